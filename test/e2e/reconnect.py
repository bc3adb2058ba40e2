#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Either side is killed with -9 and comes back: the other one goes on, streams survive.

usage: reconnect.py split|packed

vm1 connects to ferryd, vm2 listens for it.  QEMU cannot tell where packed rings were when the other
side of the socket has died without a word: ferryd finds that in the rings.
"""

import sys

from ferry.machine import Nic
from ferry.story import tell
from ferry.traffic import Stream, datagrams, expect, flowing, stream


PACKED = sys.argv[1] == "packed"


def boot(story, name, number, server, packed=PACKED):
    nic = Nic(story.path(f"{name}.sock"), f"52:54:00:00:00:0{number}", server=server, packed=packed)
    return story.guest(name, nic)


def meet(vm1, vm2):
    for guest, address in ((vm1, "10.0.0.1"), (vm2, "10.0.0.2")):
        guest.ready()
        guest.configure(f"{address}/24")
    vm1.ping("10.0.0.2")


def start(story, name):
    return story.switch(
        *("--vhost", f"vm1={story.path('vm1.sock')}"),
        *("--vhost", f"vm2={story.path('vm2.sock')},client"),
        name=name,
    )


def replaced(s, daemon, guest, peer):
    """Kills a guest's QEMU under a stream and boots another on its socket, with the other rings."""
    number = int(guest.name[2])
    Stream(peer, guest, f"10.0.0.{number}", seconds=30)
    flowing(daemon, peer.name)
    frames = daemon.port(guest.name)["rx"]["frames"]
    guest.kill()
    daemon.wait_state(guest.name, "waiting")
    expect(daemon.port(peer.name)["state"] == "up", "the other port went down")
    again = boot(s, guest.name, number, guest.name == "vm2", packed=not PACKED)
    again.ready()
    again.configure(f"10.0.0.{number}/24")
    peer.run("killall guestio")
    peer.reaches(f"10.0.0.{number}")
    stream(peer, again, f"10.0.0.{number}", count=100)
    expect(daemon.port(guest.name)["rx"]["frames"] > frames, "the port's counters went back")
    return again


def story(s):
    daemon = start(s, "ferryd")
    vm1, vm2 = boot(s, "vm1", 1, False), boot(s, "vm2", 2, True)
    meet(vm1, vm2)

    for number in (2, 3):
        with s.check(f"kill -9 of ferryd in the middle of a stream, which survives ({number - 1})"):
            flow = Stream(vm1, vm2, "10.0.0.2", seconds=8, limit=90)
            flowing(daemon, "vm1")
            daemon.kill()
            expect(s.path("vm1.sock").exists(), "the socket file of a killed ferryd is gone")
            daemon = start(s, f"ferryd{number}")
            flowing(daemon, "vm1")
            flow.finish()
            stream(vm2, vm1, "10.0.0.1", count=50)
            datagrams(daemon, vm1, vm2, "10.0.0.2", count=500)

    with s.check("ferryd ends by SIGTERM in the middle of a stream, which survives"):
        flow = Stream(vm2, vm1, "10.0.0.1", seconds=6, limit=90)
        flowing(daemon, "vm2")
        expect(daemon.stop(1.5) == 0, "exit status")
        daemon = start(s, "ferryd4")
        flowing(daemon, "vm2")
        flow.finish()

    with s.check("kill -9 of the QEMU that listens: the port waits, the next one is taken"):
        vm2 = replaced(s, daemon, vm2, vm1)
    with s.check("kill -9 of the QEMU that connects: the port waits, the next one is taken"):
        vm1 = replaced(s, daemon, vm1, vm2)


tell(story)
