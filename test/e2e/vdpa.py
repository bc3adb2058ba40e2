#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Rings that go from software to a device and back under traffic, and devices that fail.

usage: vdpa.py SHAPE [HANDOVERS]

SHAPE is what the device model can do: "log" (positions and a dirty log) or "shadow" (neither).  Guest
A is on the port with the device, guest B on one of software; the model's wire hangs on the port that
is named as uplink.
"""

import json
import os
import statistics
import sys
import time

from ferry.process import Failure, wait_until
from ferry.rpc import RpcError
from ferry.story import tell
from ferry.traffic import expect
from ferry.vdpa import Model, plugin

SHAPE = sys.argv[1] if len(sys.argv) > 1 else "log"
HANDOVERS = int(sys.argv[2]) if len(sys.argv) > 2 else 100
OPTIONS = {"log": ("positions", "logging", "packed"), "shadow": ()}
FRAMES = 20000

# A device that lies about what it has done may do anything to frames, but not to what comes after.
LIES = ("wrong_index", "wrong_id")
PATIENCE = 2.5  # of the model's wire, after which a frame that nobody takes is dropped
FAULTS = (
    "lost_interrupt",
    "wrong_index",
    "wrong_id",
    "needs_reset",
    "ctrl_no_answer",
    "slow_registers",
    "bad_bitmap",
    "stuck_stop",
    "late_dma",
    "dma_after_stop",
    "ones",
    "surprise_removal",
)


def vhost(s, name, **more):
    return {"name": name, "type": "vhost-user", "socket": str(s.path(f"{name}.sock")), **more}


def start(s, name, packed=False):
    """Starts a model and a ferryd whose port "a" has its device; "c" is another place for its guest."""
    model = Model(s, f"model-{name}", s.path("wire.sock"), OPTIONS[SHAPE])
    ports = [
        vhost(s, "wire"),
        vhost(s, "b"),
        vhost(s, "a", vdpa=f"vdpa_virtio0,socket={model.device}", uplink="wire", queues=4),
        vhost(s, "c"),
    ]
    config = s.path(f"{name}.json")
    eal, env = plugin()
    config.write_text(json.dumps({"eal": eal, "ports": ports}))
    daemon = s.switch("-c", config, name=name, env=env)
    daemon.wait_running("wire")
    return model, daemon


def provider(daemon):
    return daemon.port("a")["provider"]


def pair(s, *options, frames=FRAMES):
    """Streams between A and B, with every oracle."""
    argv = [os.environ["VMM"], "pair", str(s.path("a.sock")), str(s.path("b.sock"))]
    return s.start(s.number("pair"), [*argv, "--frames", str(frames), "--bufs", "128", *options])


def judge(process, lossy=False, seconds=60.0):
    status = process.wait(seconds)
    line = json.loads(process.log().splitlines()[-1])
    expect(status == 0 and line["ok"], f"{line['fault']}")
    for way in ("a_to_b", "b_to_a"):
        expect(lossy or line[way]["lost"] == 0, f"{way}: {line[way]}")
    return line


def toggle(daemon, streams):
    """Hands over to and fro while streams run; returns the gaps of both directions."""
    gaps = {"sw": [], "hw": []}
    while streams.status() is None and len(gaps["hw"]) < HANDOVERS:
        for to, list_ in gaps.items():
            try:
                now = daemon.call("port.provider", name="a", to=to)
            except RpcError as error:  # its guest stops ring by ring, and a device wants pairs
                print(f"# {error}")
                return gaps
            list_.append(now["last_gap_us"])
            time.sleep(0.01)
    return gaps


def blame(model, daemon):
    """Says where frames may have gone."""
    for port in daemon.call("port.show"):
        drops = {name: count for name, count in port["drops"].items() if count}
        kept = {name: port[name] for name in ("parked", "unparked", "park_known") if port[name]}
        print(f"# port {port['name']}: dropped {drops}, {kept}")
    print(f"# model: {model.ask('stats')}")


def handovers(s, daemon, *options):
    """So many handovers each way, over as many streams as that takes."""
    gaps, frames, runs = {"sw": [], "hw": []}, 0, 0
    while len(gaps["hw"]) < HANDOVERS:
        streams = pair(s, "--seed", str(runs + 1), *options)
        daemon.wait_running("a")
        for to, list_ in toggle(daemon, streams).items():
            gaps[to] += list_
        line = judge(streams)
        frames += line["a_to_b"]["received"] + line["b_to_a"]["received"]
        runs += 1
        expect(runs < 200, f"{len(gaps['hw'])} handovers in {runs} runs")
    for to, list_ in gaps.items():
        print(f"# to {to}: {len(list_)} handovers, gap {statistics.median(list_):.0f} us at the median, "
              f"{max(list_)} at most")
    print(f"# {frames} frames in {runs} runs")


def fault(s, model, daemon, name):
    """A fault while frames pass, then a way back: software goes on whatever the device does."""
    daemon.call("port.provider", name="a", to="hw")
    streams = pair(s, "--lossy", "--rate", "8000", frames=8000)
    daemon.wait_running("a")
    model.ask(f"fault 0 {name}")
    time.sleep(0.3)
    before = time.monotonic()
    daemon.call("port.provider", name="a", to="sw")
    took = time.monotonic() - before
    now = provider(daemon)
    expect(now["now"] == "sw", f"{now}")
    expect(took < 10, f"the way back took {took:.1f} s")
    if name in LIES:
        streams.wait(60)
        time.sleep(PATIENCE)
    else:
        judge(streams, lossy=True)
    state = "failed" if now["failed"] else "works on"
    reason = next((d["reason"] for d in daemon.call("vdpa.show") if d.get("port") == "a"), "")
    print(f"# {name}: {state} {reason}, back in {took * 1000:.0f} ms")
    model.ask(f"fault 0 {name} off")
    judge(pair(s, frames=2000))


def recovers(s, model, daemon):
    """Asks for the device until it is had again."""

    def had():
        try:
            return daemon.call("port.provider", name="a", to="hw")
        except RpcError:
            return None

    wait_until("the device is there again", had, 20, alive=[daemon])


def story(s):
    model, daemon = start(s, "ferryd")
    with s.check("show vdpa and show port name the device"):
        device = next(d for d in daemon.call("vdpa.show") if d["port"] == "a")
        expect(device["driver"] == "vdpa_virtio" or "virtio" in device["driver"], f"{device}")
        expect(provider(daemon)["wanted"] == "auto", f"{provider(daemon)}")
        for words in (("show", "vdpa"), ("show", "port", "a"), ("show", "vdpa", device["name"])):
            status, out, err = daemon.ctl(*words)
            expect(status == 0 and device["name"] in out, f"{words}: {out}{err}")
    for options in ([], ["--packed"]) if SHAPE == "log" else ([],):
        what = "packed" if options else "split"
        with s.check(f"{HANDOVERS} handovers each way, {what}: nothing lost, doubled or overtaken"):
            try:
                handovers(s, daemon, *options)
            except Failure:
                blame(model, daemon)
                raise
    with s.check("a migration that begins with the device ends in software, or goes on there"):
        daemon.call("port.provider", name="a", to="auto")
        sockets = [str(s.path(f"{name}.sock")) for name in ("a", "c", "b")]
        run = s.start("migrate", [os.environ["VMM"], "migrate", *sockets, "--count", "20"])
        status = run.wait(200)
        line = json.loads(run.log().splitlines()[-1])
        print(f"# {json.dumps(line)}")
        expect(status == 0 and line["ok"], f"{line['fault']}")
    for name in () if os.environ.get("NOFAULTS") else FAULTS:
        with s.check(f"{name}: software goes on"):
            fault(s, model, daemon, name)
            recovers(s, model, daemon)
    with s.check("ferryd lives"):
        expect(daemon.status() is None, "it has ended")


tell(story)
