#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What ferryctl makes of migrations: tables, the preflight, drawings, and following them live."""

import json
import os
import re
import signal
import subprocess
import time
import unittest
import xml.etree.ElementTree

from ferryctl_test import FERRYCTL, METHODS, FakeFerryd, Fixture, Refused, Terminal, param

SVG = "{http://www.w3.org/2000/svg}"
PORT = param("port", "string", completes="port")


def moment(us, name, text, value=None, unit=""):
    return {"us": us, "moment": name, "text": text, "value": value, "unit": unit}


MOMENTS = [
    moment(0, "log_base", "dirty log received", 8192, "bytes"),
    moment(130, "log_on", "logging of guest writes on"),
    moment(2_500_000, "stop", "first ring stopped while logging", 0, "ring"),
    moment(2_500_040, "drained", "data path has let go of the last ring", 1, "ring"),
    moment(2_500_055, "base", "position of the last ring told", 1, "ring"),
    moment(2_500_900, "parked_first", "first frame parked"),
    moment(2_812_300, "parked_last", "last frame parked"),
    moment(2_812_400, "released", "guest found: parked frames begin to go out"),
    moment(2_812_950, "out", "parked frames are out", 624, "frames"),
    moment(2_900_000, "disconnected", "front-end has hung up"),
]


def record(n_moments=len(MOMENTS), **more):
    return {
        "port": "vm1", "number": 3, "direction": "out", "state": "completed",
        "verdict": "blackout 312.4 ms, parked 624, delivered 624, dropped 0",
        "time": "2024-05-01T12:00:00.123Z", "blackout_us": 312400, "parked": 624, "delivered": 624,
        "dropped": 0, "pages": 300, "harvests": 4, "pages_per_s": 120.0, "us": 2_812_400, "done": 5, "of": 5,
        "cut": 0, "lost_events": 0, "moments": MOMENTS[:n_moments], **more,
    }  # fmt: skip


DETAILS = {
    "spans": [
        {"lane": "stopped", "from_us": 2_500_000, "to_us": 2_812_400},
        {"lane": "parked", "from_us": 2_500_900, "to_us": 2_812_950},
        {"lane": "logging", "from_us": 130, "to_us": 2_900_000},
    ],
    "rounds": [{"us": 0, "duration_us": 900_000, "pages": 200, "harvests": 1, "pages_per_s": 222.0}],
    "dirty": [{"us": us, "pages_per_s": us / 10_000} for us in range(100_000, 2_500_000, 100_000)],
}

FINDING = {"port": "vm1", "peer_port": "vm2", "severity": "fails", "what": "queues", "text": "too few"}


class Ferryd(FakeFerryd):
    methods = [
        *METHODS,
        {
            "method": "migration.show",
            "help": "the last migrations",
            "positional": "port",
            "params": [PORT, param("number", "integer")],
        },
        {
            "method": "migration.check",
            "help": "compare",
            "positional": "port",
            "params": [PORT, param("peer", "object", completes="file", asks="migration.offer")],
        },
        {"method": "migration.offer", "help": "offer", "params": []},
    ]
    records = [record(number=2, state="cancelled"), record()]
    check = {"verdict": "all is well", "fails": 0, "loses": 0, "notes": 1, "findings": [FINDING]}

    def migration_show(self, params):
        if params.get("port") == "vm20":
            raise Refused(-32602, "port: vm20 has had no migration")
        if "number" in params:
            return {**self.records[-1], **DETAILS}
        return self.records

    def migration_offer(self, params):
        return {"version": "9", "ports": []}

    def migration_check(self, params):
        return self.check


class MigrationTest(Fixture):
    kind = Ferryd

    def test_tables(self):
        _, out, _ = self.check_run(["show", "migration"], 0)
        self.assertRegex(out, r"PORT +NUMBER +DIRECTION +STATE +BEGAN +VERDICT\nvm1 +2 +out +cancelled")
        self.assertIn("blackout 312.4 ms, parked 624, delivered 624, dropped 0\n", out)
        _, out, _ = self.check_run(["show", "migration", "vm1", "number=3"], 0)
        self.assertRegex(out, r"moments:\nMICROSECONDS +MOMENT +VALUE +UNIT +WHAT\n +0 +log_base +8192 +bytes")
        self.assertRegex(out, r"rounds:\nMICROSECONDS +DURATION +PAGES +PAGES/S")
        self.assertEqual(self.ferryd.calls[-1], ("migration.show", {"port": "vm1", "number": 3}))

    def test_check_asks_the_peer_and_tells_by_its_exit_status(self):
        path = os.path.join(self.folder, "peer.sock")
        peer = Ferryd(path)
        self.addCleanup(peer.listener.close)
        _, out, _ = self.check_run(["migration", "check", "vm1", "peer=peer.sock"], 0, out="verdict:  all is well")
        self.assertRegex(out, r"SEVERITY +PORT +PEER'S +WHAT +WHY\nfails +vm1 +vm2 +queues +too few")
        self.assertEqual(peer.calls, [("migration.offer", {})])
        offer = {"version": "9", "ports": []}
        self.assertEqual(self.ferryd.calls, [("migration.check", {"port": "vm1", "peer": offer})])
        self.ferryd.check = {**Ferryd.check, "fails": 1, "verdict": "a migration fails"}
        self.check_run(["migration", "check", f"peer={path}"], 1, out="a migration fails")
        self.assertEqual(self.run_ctl("--json", "migration", "check", f"peer={path}")[0], 1)
        self.check_run(["migration", "check", 'peer={"version": "8"}'], 1)
        self.assertEqual(self.ferryd.calls[-1], ("migration.check", {"peer": {"version": "8"}}))
        self.check_run(["migration", "check", "peer=nobody.sock"], 3, err="no ferryd answers on nobody.sock")

    def plot(self, *words):
        path = os.path.join(self.folder, "m.svg")
        self.check_run(["migration", "plot", "vm1", "file=m.svg", *words], 0)
        return xml.etree.ElementTree.parse(path).getroot()

    def check_inside(self, root):
        """All that has a place is in the picture."""
        _, _, width, height = map(float, root.get("viewBox").split())
        for element in root.iter():
            for name, size in (("x", width), ("y", height), ("width", width), ("height", height)):
                if element.get(name) is not None and element is not root:
                    self.assertTrue(0 <= float(element.get(name)) <= size, (element.tag, element.attrib))
            for x in re.findall(r"[MH](-?[\d.]+)", element.get("d", "")):
                self.assertTrue(0 <= float(x) <= width, element.attrib)

    def test_plot(self):
        root = self.plot()
        self.assertEqual(root.tag, SVG + "svg")
        self.assertEqual(self.ferryd.calls[-1], ("migration.show", {"port": "vm1", "number": 0}))
        texts = [text.text for text in root.iter(SVG + "text")]
        for text in ("logging", "stopped", "parked", "milliseconds", "pages/s", "240", "2500.000 ms",
                     "parked frames are out", Ferryd.records[-1]["verdict"]):  # fmt: skip
            self.assertIn(text, texts)
        self.assertIn("2000", texts, "a tick of all")
        self.assertIn("2600", texts, "a tick of the part that is enlarged")
        colors = [rect.get("fill") for rect in root.iter(SVG + "rect")]
        self.assertEqual(len(colors), 1 + 3 + 3, "paper and bars")
        self.check_inside(root)
        self.plot("number=3")
        self.assertEqual(self.ferryd.calls[-1], ("migration.show", {"port": "vm1", "number": 3}))

    def test_plot_of_anything(self):
        rows = [
            ("one moment", record(1), {"spans": [], "dirty": [], "rounds": []}),
            ("an hour", record(moments=[*MOMENTS[:2], moment(3_600_000_000, "log_off", "off")]), DETAILS),
            ("a name", record(port="<a&b>\"'", verdict="<&>\u0001ü"), DETAILS),
            ("no length", record(3), {"spans": [{"lane": "stopped", "from_us": 5, "to_us": 5}], "dirty": []}),
        ]
        for story, one, details in rows:
            with self.subTest(story=story):
                self.ferryd.records = [one]
                self.ferryd.migration_show = lambda params, one=one, details=details: {**one, **details}
                self.check_inside(self.plot())

    def test_plot_errors(self):
        self.check_run(["migration", "plot", "vm1"], 2, err="file: missing")
        self.check_run(["migration", "plot", "vm1", "file=/nowhere/m.svg"], 1, err="/nowhere/m.svg: No such file")
        self.check_run(["migration", "plot", "vm20", "file=m.svg"], 1, err="port: vm20 has had no migration")
        self.assertEqual(os.listdir(self.folder), ["ferry.sock"])
        _, out, _ = self.check_run(["migration", "plot", "vm1", "file=-"], 0)
        xml.etree.ElementTree.fromstring(out)

    def follow(self, *words):
        argv = [FERRYCTL, "-s", self.path, *words]
        ctl = subprocess.Popen(argv, stdout=subprocess.PIPE, env=self.env, text=True)
        self.addCleanup(ctl.stdout.close)
        self.addCleanup(ctl.kill)
        return ctl

    def interrupt(self, ctl):
        ctl.send_signal(signal.SIGINT)
        rest = ctl.stdout.read()
        self.assertEqual(ctl.wait(10), 0)
        return rest

    def test_lines_follow_changes(self):
        under_way = {"state": "logging", "done": 1, "verdict": "logging for 1.0 ms"}
        self.ferryd.records = [record(number=2), record(2, **under_way)]
        ctl = self.follow("watch", "0.1", "migration", "vm1")
        lines = [ctl.stdout.readline() for _ in range(3)]
        self.assertEqual(
            lines,
            ["vm1 3 +0.000 ms dirty log received\n", "vm1 3 +0.130 ms logging of guest writes on\n",
             "vm1 3 logging: logging for 1.0 ms\n"],
        )  # fmt: skip
        self.assertEqual(self.ferryd.calls[0], ("migration.show", {"port": "vm1"}))
        self.ferryd.records = [record(number=2), record(3, state="stopped", verdict="stopped", done=2)]
        self.assertEqual(ctl.stdout.readline(), "vm1 3 +2500.000 ms first ring stopped while logging\n")
        self.assertEqual(ctl.stdout.readline(), "vm1 3 stopped: stopped\n")
        self.assertEqual(self.interrupt(ctl), "")

    def test_json_follows_changes(self):
        ctl = self.follow("--json", "watch", "migration")
        while len(self.ferryd.calls) < 2:
            time.sleep(0.01)
        self.ferryd.records = [record(4)]
        self.assertEqual(json.loads(ctl.stdout.readline())["moments"], MOMENTS[:4])
        self.interrupt(ctl)
        self.check_run(["watch", "migration", "vm20"], 1, err="port: vm20 has had no migration")

    def test_picture(self):
        self.ferryd.records = [record(number=2), record(3, state="stopped", done=2)]
        terminal = Terminal([FERRYCTL, "-s", self.path], self.env, self.folder)
        terminal.expect("ferry> ")
        picture = terminal.type("watch mig\tvm1\t\r", r"\[#{12}\.{18}\] 2 of 5(?s:.)*blackout 312.4 ms")
        self.assertNotIn("migration 2", picture)
        self.assertIn("dirty 120 pages/s", picture)
        terminal.type("\x03", "ferry> $")
        terminal.type("migration pl\tvm1 fi\tx.svg\r", "ferry> $")
        self.assertEqual(self.ferryd.calls[-1], ("migration.show", {"port": "vm1", "number": 0}))
        terminal.type("quit\r", "\n")
        self.assertEqual(terminal.wait(), 0)
        self.assertIn("x.svg", os.listdir(self.folder))
        self.check_run(["help", "migration"], 0, out="migration plot [port]")


if __name__ == "__main__":
    unittest.main()
