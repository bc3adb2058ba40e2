#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""DPDK's virtio-user devices as front-ends: every frame is received or its loss has a name.

usage: virtio_user.py split|packed
"""

import sys

from ferry.daemon import dropped
from ferry.pmd import Testpmd
from ferry.process import wait_until
from ferry.story import tell
from ferry.traffic import expect

PACKED = sys.argv[1] == "packed"
MACS = {"a": "52:54:00:00:00:0a", "b": "52:54:00:00:00:0b"}
ENOUGH = 20000


def front_ends(story, queues):
    """Two of them, each told to send to the other."""
    pair = []
    for (name, mac), (_, peer) in zip(MACS.items(), reversed(MACS.items())):
        pair.append(
            Testpmd(
                story,
                f"pmd-{name}{queues}",
                story.path(f"{name}.sock"),
                mac,
                server=name == "b",
                packed=PACKED,
                queues=queues,
                huge=name == "a",
                arguments=(f"--eth-peer=0,{peer}", "--txonly-multi-flow"),
            )
        )
    return pair


def settled(daemon):
    """Looks at both ports until two looks are alike."""
    seen = [None]

    def still():
        now = [(port["rx"], port["tx"], port["drops"]) for port in daemon.call("port.show")]
        same, seen[0] = now == seen[0], now
        return same

    wait_until("the counters stand still", still, 10)
    return {port["name"]: port for port in daemon.call("port.show")}


def forward(daemon, sender, receiver, mode):
    """Has one send until enough has come to the other; returns both ports' counters before and after."""
    before = settled(daemon)
    start = receiver.stats()["rx"], sender.stats()["tx"]
    receiver.command(f"set fwd {mode}")
    receiver.command("start", "Logical Core|forwarding")
    sender.command("set fwd txonly")
    sender.command("start", "Logical Core|forwarding")
    wait_until("frames come through", lambda: receiver.stats()["rx"] - start[0] > ENOUGH, 30)
    sender.command("stop", r"Done\.")
    after = settled(daemon)
    receiver.command("stop", r"Done\.")
    return before, after, receiver.stats()["rx"] - start[0], sender.stats()["tx"] - start[1]


def grown(before, after, name, direction):
    return after[name][direction]["frames"] - before[name][direction]["frames"]


def story(s):
    for queues in (1, 4):
        daemon = s.switch(
            *("--vhost", f"a={s.path('a.sock')},queues={queues}"),
            *("--vhost", f"b={s.path('b.sock')},client,queues={queues}"),
            name=f"ferryd{queues}",
        )
        a, b = front_ends(s, queues)
        with s.check(f"{queues} queues: both front-ends are up"):
            for name in MACS:
                port = daemon.wait_running(name, queues)
                expect(
                    all(ring["format"] == sys.argv[1] for ring in port["rings"] if ring["started"]),
                    f"{name}: {[ring['format'] for ring in port['rings']]}",
                )
        for sender, receiver, source, sink in ((a, b, "a", "b"), (b, a, "b", "a")):
            with s.check(f"{queues} queues, {source} to {sink}: sent = received + dropped by name"):
                before, after, received, sent = forward(daemon, sender, receiver, "rxonly")
                taken, given = grown(before, after, source, "rx"), grown(before, after, sink, "tx")
                lost = sum(dropped(after[name]) - dropped(before[name]) for name in MACS)
                expect(taken == sent, f"sent {sent}, ferryd received {taken}")
                expect(given == received, f"ferryd gave {given}, received {received}")
                expect(taken == given + lost, f"{taken} in, {given} out, {lost} dropped by name")
        with s.check(f"{queues} queues: frames go there and come back"):
            before, after, _, _ = forward(daemon, a, b, "macswap")
            expect(grown(before, after, "b", "rx") > 0, "nothing came back")
            expect(grown(before, after, "a", "tx") > 0, "nothing was given back")
        for pmd in (a, b):
            pmd.quit()
        with s.check(f"{queues} queues: both ports wait when the front-ends have gone"):
            for name in MACS:
                daemon.wait_state(name, "waiting")
        daemon.stop()


tell(story)
