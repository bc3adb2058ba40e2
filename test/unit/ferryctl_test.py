#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""ferryctl against a ferryd of a few lines: what words become, what is printed, how it exits."""

import contextlib
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import threading
import time
import unittest

FERRYCTL = os.environ["FERRYCTL"]


def param(name, kind, **more):
    return {"name": name, "type": kind, "required": False, "help": f"the {name}", **more}


PORT_NAME = param("name", "string", completes="port")
METHODS = [
    {"method": "rpc.show", "help": "list methods", "positional": "method", "params": [param("method", "string")]},
    {"method": "port.show", "help": "show ports", "positional": "name", "params": [PORT_NAME]},
    {
        "method": "port.add",
        "help": "add a port",
        "positional": "name",
        "params": [
            param("name", "string"),
            param("type", "string", choices=["vhost-user", "ethdev"]),
            param("socket", "string", completes="file"),
            param("queues", "integer", min=1, max=128),
            param("fast", "boolean"),
            param("opts", "object"),
            param("list", "array"),
        ],
    },
    {"method": "port.del", "help": "remove a port", "positional": "name", "params": [PORT_NAME]},
    {"method": "stats.show", "help": "show counters", "params": []},
    {"method": "fdb.flush", "help": "forget", "params": []},
    {
        "method": "capture.start",
        "help": "start a capture",
        "positional": "port",
        "params": [param("port", "string", completes="port"), param("file", "string", completes="file")],
    },
    {"method": "capture.stop", "help": "end a capture", "positional": "name", "params": [param("name", "string")]},
]

PORTS = [
    {
        "name": "vm1", "type": "vhost-user", "state": "up", "reason": "", "features": ["csum", "mrg_rxbuf"],
        "rx": {"frames": 7, "bytes": 420}, "tx": {"frames": 10, "bytes": 640},
        "drops": {"runt": 0, "no_desc": 3, "busy": 0, "no_ring": 0, "no_room": 0},
        "rings": [{"index": 0, "direction": "tx", "size": 256, "format": "split", "started": True, "enabled": True,
                   "avail": 7, "used": 7, "worker": None, "chains": 7, "calls": 1, "broken": ""}],
    },
    {
        "name": "vm20", "type": "vhost-user", "state": "waiting", "reason": "no front-end \u001b[2J", "features": [],
        "rx": {"frames": 0, "bytes": 0}, "tx": {"frames": 0, "bytes": 0}, "drops": {}, "rings": [],
    },
]  # fmt: skip

STATS = {"port": "vm1", "rates": None, "rx": {"frames": 1}, "tx": {"frames": 2}, "drops": {}}
RATES = {"rx_frames": 12345, "rx_bits": 98_760_000, "tx_frames": 0, "tx_bits": 0, "drops": 1.5}


class Refused(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class FakeFerryd:
    """Answers as its rows say and remembers what it was asked."""

    methods = METHODS

    def __init__(self, path):
        self.calls = []
        self.streams = {}
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(8)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection, connection.makefile("rw") as lines:
            for line in lines:
                request = json.loads(line)
                answer = {"jsonrpc": "2.0", "id": request["id"]}
                try:
                    answer["result"] = self.answer(request["method"], request.get("params", {}))
                except Refused as refused:
                    answer["error"] = {"code": refused.code, "message": str(refused)}
                lines.write(json.dumps(answer) + "\n")
                lines.flush()

    def answer(self, method, params):
        if method == "rpc.show":
            return self.methods
        self.calls.append((method, params))
        return getattr(self, method.replace(".", "_"))(params)

    def port_show(self, params):
        if "name" not in params:
            return PORTS
        for port in PORTS:
            if port["name"] == params["name"]:
                return port
        raise Refused(-32602, f"name: no port \"{params['name']}\"")

    def port_add(self, params):
        return {}

    port_del = port_add

    def fdb_flush(self, params):
        return {"entries": 5}

    def stats_show(self, params):
        asked = sum(method == "stats.show" for method, _ in self.calls)
        return [{**STATS, "rates": RATES if asked > 1 else None}]

    def capture_start(self, params):
        path = params["file"]
        self.mode = os.stat(path).st_mode & 0o777, os.stat(os.path.dirname(path)).st_mode & 0o777
        self.streams["c1"] = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        os.write(self.streams["c1"], b"frames\n\0")
        return {"name": "c1"}

    def capture_stop(self, params):
        fd = self.streams.pop(params["name"])
        os.write(fd, b"end\n")
        os.close(fd)
        return {}


class Fixture(unittest.TestCase):
    kind = FakeFerryd

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="ferryctl-test-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.path = os.path.join(self.folder, "ferry.sock")
        self.ferryd = self.kind(self.path)
        self.addCleanup(self.ferryd.listener.close)
        self.env = {**os.environ, "HOME": self.folder, "TERM": "vt100", "FERRY_SOCKET": "/nowhere/ferry.sock"}
        self.env.pop("XDG_STATE_HOME", None)

    def run_ctl(self, *words, stdin="", options=None):
        argv = [FERRYCTL, *(["-s", self.path] if options is None else options), *words]
        done = subprocess.run(
            argv, input=stdin, env=self.env, cwd=self.folder, capture_output=True, text=True, timeout=30
        )
        return done.returncode, done.stdout, done.stderr

    def check_run(self, words, status, out="", err="", **more):
        got = self.run_ctl(*words, **more)
        self.assertEqual(got[0], status, got)
        self.assertIn(out, got[1])
        self.assertIn(err, got[2])
        return got


class FerryctlTest(Fixture):
    """As a command and on lines."""

    def test_words_become_a_method_and_typed_parameters(self):
        rows = [
            ("show port", "port.show", {}),
            ("show port vm1", "port.show", {"name": "vm1"}),
            ("port show vm1", "port.show", {"name": "vm1"}),
            ("port show name=vm1", "port.show", {"name": "vm1"}),
            ("port add vm3 queues=4", "port.add", {"name": "vm3", "queues": 4}),
            ("port add queues=0x10 vm3", "port.add", {"name": "vm3", "queues": 16}),
            ("port add vm3 queues=-1", "port.add", {"name": "vm3", "queues": -1}),
            ("port add vm3 queues=many", "port.add", {"name": "vm3", "queues": "many"}),
            ("port add vm3 queues=", "port.add", {"name": "vm3", "queues": ""}),
            ("port add 5", "port.add", {"name": "5"}),
            ("port add vm3 fast=yes", "port.add", {"name": "vm3", "fast": True}),
            ("port add vm3 fast=off", "port.add", {"name": "vm3", "fast": False}),
            ("port add vm3 fast=maybe", "port.add", {"name": "vm3", "fast": "maybe"}),
            ('port add vm3 opts={"a":1}', "port.add", {"name": "vm3", "opts": {"a": 1}}),
            ("port add vm3 list=[1,2]", "port.add", {"name": "vm3", "list": [1, 2]}),
            ("port add vm3 list=1,2", "port.add", {"name": "vm3", "list": "1,2"}),
            ("port add vm3 socket=/run/x.sock", "port.add", {"name": "vm3", "socket": "/run/x.sock"}),
            ("port add vm3 socket=x.sock", "port.add", {"name": "vm3", "socket": f"{self.folder}/x.sock"}),
            ("port add vm3 sokcet=x", "port.add", {"name": "vm3", "sokcet": "x"}),
            ("port add up0 type=ethdev name2=net_tap0,iface=x", "port.add",
             {"name": "up0", "type": "ethdev", "name2": "net_tap0,iface=x"}),
        ]  # fmt: skip
        for line, method, params in rows:
            with self.subTest(line=line):
                self.ferryd.calls.clear()
                self.check_run(line.split(), 0)
                self.assertEqual(self.ferryd.calls, [(method, params)])

    def test_exit_status(self):
        rows = [
            ("show port nobody", 1, 'name: no port "nobody"'),
            ("frobnicate", 2, 'no noun "frobnicate"'),
            ("frobnicate now", 2, "nouns are rpc, port, stats, fdb, capture"),
            ("show frobnicate", 2, "show takes rpc, port, stats"),
            ("show", 2, "show takes"),
            ("port", 2, '"port" has the verbs show, add, del'),
            ("port frobnicate", 2, '"port" has the verbs show, add, del'),
            ("show port vm1 vm2", 2, 'expected key=value, not "vm2"'),
            ("show stats vm1", 2, 'expected key=value, not "vm1"'),
            ("show port vm1 name=vm2", 2, 'given twice: "name"'),
            ("show port x=1 x=2", 2, 'given twice: "x"'),
            ("help frobnicate", 2, 'no noun "frobnicate"'),
            ("watch", 2, "watch [SECONDS] COMMAND"),
            ("watch 0 show port", 2, "watch repeats every"),
            ("watch 1 port frobnicate", 2, '"port" has the verbs'),
            ("port add vm3 socket=-", 2, "no output for stdout"),
            ("--bogus", 2, "bogus"),
        ]
        for line, status, err in rows:
            with self.subTest(line=line):
                self.assertEqual(self.check_run(line.split(), status, err=err)[1], "")

    def test_no_ferryd(self):
        nobody = os.path.join(self.folder, "nobody.sock")
        self.check_run(["show", "port"], 3, err="nobody.sock", options=["--rpc", nobody])
        self.check_run(["show", "port"], 3, err="/nowhere/ferry.sock", options=[])
        self.env["FERRY_SOCKET"] = self.path
        self.check_run(["show", "port"], 0, out="vm1", options=[])
        silent = socket.socket(socket.AF_UNIX)
        self.addCleanup(silent.close)
        silent.bind(nobody)
        silent.listen()
        threading.Thread(target=lambda: silent.accept()[0].close(), daemon=True).start()
        self.check_run(["show", "port"], 3, err="nobody.sock", options=["-s", nobody])

    def test_json_is_the_result_and_nothing_else(self):
        for words, result in ((["show", "port"], PORTS), (["show", "port", "vm1"], PORTS[0]), (["port", "del"], {})):
            status, out, err = self.run_ctl("--json", *words)
            self.assertEqual((status, json.loads(out), err), (0, result, ""))
        status, out, err = self.run_ctl("--json", "show", "port", "nobody")
        self.assertEqual((status, out), (1, ""))
        status, out, err = self.run_ctl("show", "stats", "--json")
        self.assertEqual(json.loads(out), [STATS])

    def test_tables(self):
        _, out, _ = self.run_ctl("show", "port")
        self.assertEqual(
            out,
            "PORT  TYPE        STATE    RX FRAMES  TX FRAMES  RINGS  PROVIDER  DROPS      REASON\n"
            "vm1   vhost-user  up               7         10      1         -  no_desc 3\n"
            "vm20  vhost-user  waiting          0          0      0         -             no front-end ?[2J\n",
        )
        _, out, _ = self.run_ctl("show", "port", "vm1")
        self.assertIn("features: csum mrg_rxbuf\n", out)
        self.assertIn("rx:       frames 7, bytes 420\n", out)
        self.assertRegex(out, r"drops: *\n  runt    0\n  no_desc 3\n")
        self.assertRegex(out, r"rings:\nRING  DIR  SIZE .*\n +0  tx +256  split")
        self.assertEqual(self.run_ctl("port", "add", "vm3")[1], "")
        self.assertEqual(self.run_ctl("fdb", "flush")[1], "entries: 5\n")

    def test_rates_are_asked_for_again(self):
        _, out, _ = self.run_ctl("show", "stats")
        self.assertEqual(len(self.ferryd.calls), 2)
        self.assertRegex(out, r"vm1 +12\.3 k +98\.8 M +0 +0 +2 +1 +2")

    def test_script(self):
        script = "# ports\n\nport add 'vm3' queues=2   # two\n  show port vm1\nport del nobody x\nport del vm1\n"
        self.check_run([], 1, out="csum", err='line 5: expected key=value, not "x"', stdin=script)
        self.assertEqual([call[0] for call in self.ferryd.calls], ["port.add", "port.show"])
        self.check_run([], 1, err="line 1: name: no port", stdin="show port nobody\nport del vm1\n")
        self.check_run([], 1, err="a quote is not closed", stdin="show port 'vm1\n")
        self.ferryd.calls.clear()
        self.check_run([], 0, stdin="fdb flush\nquit\nport del vm1\n")
        self.assertEqual(self.ferryd.calls, [("fdb.flush", {})])

    def test_help_and_version(self):
        self.check_run(["--help"], 0, out="Exit status")
        self.assertRegex(self.run_ctl("--version")[1], r"^ferryctl \d")
        self.check_run(["help"], 0, out="port add [name] [key=value...]")
        _, out, _ = self.check_run(["help", "port", "add"], 0, out="queues       the queues (integer from 1 to 128)")
        self.assertIn("(vhost-user|ethdev)", out)
        self.assertNotIn("port del", out)
        self.check_run(["help", "show", "port"], 0, out="show port [name]")

    def test_watch(self):
        argv = [FERRYCTL, "-s", self.path, "--json", "watch", "0.1", "show", "port", "vm1"]
        ctl = subprocess.Popen(argv, stdout=subprocess.PIPE, env=self.env, text=True)
        for _ in range(3):
            self.assertEqual(json.loads(ctl.stdout.readline()), PORTS[0])
        ctl.send_signal(signal.SIGINT)
        ctl.stdout.read()
        self.assertEqual(ctl.wait(10), 0)
        ctl.stdout.close()

    def start_stream(self):
        argv = [FERRYCTL, "-s", self.path, "capture", "start", "vm1", "file=-"]
        ctl = subprocess.Popen(argv, stdout=subprocess.PIPE, env=self.env)
        self.assertEqual(ctl.stdout.read(8), b"frames\n\0")
        return ctl

    def test_stream_until_interrupted(self):
        ctl = self.start_stream()
        self.assertEqual(self.ferryd.mode, (0o600, 0o700))
        self.assertEqual(os.listdir(self.folder), ["ferry.sock"])
        ctl.send_signal(signal.SIGINT)
        self.assertEqual(ctl.stdout.read(), b"end\n")
        self.assertEqual(ctl.wait(10), 0)
        ctl.stdout.close()
        self.assertEqual(self.ferryd.calls[-1], ("capture.stop", {"name": "c1"}))

    def test_stream_until_the_reader_goes(self):
        ctl = self.start_stream()
        ctl.stdout.close()
        self.assertEqual(ctl.wait(10), 0)
        self.assertEqual(self.ferryd.calls[-1], ("capture.stop", {"name": "c1"}))

    def test_stream_until_the_capture_ends(self):
        ctl = self.start_stream()
        self.ferryd.capture_stop({"name": "c1"})
        self.assertEqual(ctl.stdout.read(), b"end\n")
        self.assertEqual(ctl.wait(10), 0)
        ctl.stdout.close()
        self.assertEqual(self.ferryd.calls[-1][0], "capture.start")


class Terminal:
    def __init__(self, argv, env, folder):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execve(argv[0], argv, env)
        self.text = ""

    def expect(self, pattern):
        end = time.monotonic() + 20
        while (match := re.search(pattern, self.text)) is None:
            if not select.select([self.fd], [], [], max(0, end - time.monotonic()))[0]:
                raise AssertionError(f"{pattern!r} is not in {self.text!r}")
            try:
                self.text += os.read(self.fd, 4096).decode()
            except OSError:
                raise AssertionError(f"ended; {pattern!r} is not in {self.text!r}") from None
        before, self.text = self.text[: match.end()], self.text[match.end() :]
        return before

    def type(self, text, pattern):
        os.write(self.fd, text.encode())
        return self.expect(pattern)

    def wait(self):
        with contextlib.suppress(OSError):  # a terminal that nobody has open
            while select.select([self.fd], [], [], 20)[0] and (data := os.read(self.fd, 4096)):
                self.text += data.decode()
        end = time.monotonic() + 20
        while (ended := os.waitpid(self.pid, os.WNOHANG)) == (0, 0):
            if time.monotonic() > end:
                os.kill(self.pid, signal.SIGKILL)
            time.sleep(0.01)
        status = ended[1]
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


class ConsoleTest(Fixture):
    """On a terminal: completion, history, Ctrl-C, Ctrl-D."""

    def open(self):
        terminal = Terminal([FERRYCTL, "-s", self.path], self.env, self.folder)
        terminal.expect("ferry> ")
        return terminal

    def check_typed(self, terminal, keys, method, params):
        terminal.type(keys, "ferry> $")
        self.assertEqual(self.ferryd.calls[-1], (method, params))

    def test_console(self):
        terminal = self.open()
        self.check_typed(terminal, "sh\tpor\tvm1\t\r", "port.show", {"name": "vm1"})
        self.check_typed(terminal, "port ad\tvm3 ty\tvho\tfa\ty\t\r", "port.add",
                         {"name": "vm3", "type": "vhost-user", "fast": True})  # fmt: skip
        self.check_typed(terminal, "port add vm3 socket=fer\t\r", "port.add",
                         {"name": "vm3", "socket": f"{self.folder}/ferry.sock"})  # fmt: skip
        self.assertRegex(terminal.type("show port \t\t", r"(?s)vm1 +vm20.*ferry> "), "vm20")
        terminal.type("vm9", "vm9")
        # A signal could come between two keys and be lost.
        self.assertEqual(termios.tcgetattr(terminal.fd)[6][termios.VINTR], b"\0", "Ctrl-C is no key")
        terminal.type("\x03", "ferry> ")
        self.check_typed(terminal, "fdb flush\r", "fdb.flush", {})
        terminal.type("port del 'vm1\r", r"a quote is not closed(?s:.)*ferry> $")
        self.check_typed(terminal, "\x1b[A\x1b[A\r", "fdb.flush", {})
        terminal.type("show port nobody\r", r"no port(?s:.)*ferry> $")  # Ctrl-D before it is the terminal's
        terminal.type("\x04", "\n")
        self.assertEqual(terminal.wait(), 0)
        history = os.path.join(self.folder, ".local/state/ferry/ferryctl_history")
        with open(history, encoding="utf-8") as lines:
            self.assertIn("fdb", lines.read())
        terminal = self.open()
        terminal.type("\x1b[A", "show port nobody")
        terminal.type("\x15quit\r", "quit")
        self.assertEqual(terminal.wait(), 0)

    def test_watch_on_a_terminal(self):
        terminal = self.open()
        terminal.type("watch 0.1 show port\r", r"every 0.1 s: show port(?s:.)*vm20(?s:.)*vm20")
        terminal.type("\x03", "ferry> $")
        terminal.type("quit\r", "\n")
        self.assertEqual(terminal.wait(), 0, terminal.text)


if __name__ == "__main__":
    sys.argv = sys.argv[:1]
    unittest.main()
