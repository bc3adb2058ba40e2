#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Either side is killed with -9 and comes back: the other one goes on, streams survive.

vm1 connects to ferryd, vm2 listens for it.  Split rings: no QEMU can restore packed ones when the
other side of the socket has died without a word.
"""

from ferry.guest import Nic
from ferry.story import tell
from ferry.traffic import Stream, datagrams, expect, stream


def boot(story, name, number, server, packed=False):
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


def story(s):
    daemon = start(s, "ferryd")
    vm1, vm2 = boot(s, "vm1", 1, False), boot(s, "vm2", 2, True)
    meet(vm1, vm2)

    for number in (2, 3):
        with s.check(f"kill -9 of ferryd in the middle of a stream, which survives ({number - 1})"):
            flow = Stream(vm1, vm2, "10.0.0.2", seconds=8, limit=90)
            vm2.reaches("10.0.0.1")
            before = daemon.port("vm1")["rx"]["frames"]
            expect(before > 0, "nothing was sent before the kill")
            daemon.kill()
            expect(s.path("vm1.sock").exists(), "the socket file of a killed ferryd is gone")
            daemon = start(s, f"ferryd{number}")
            for name in ("vm1", "vm2"):
                daemon.wait_running(name)
            flow.finish()
            expect(daemon.port("vm1")["rx"]["frames"] > 0, "nothing was sent after the kill")
            stream(vm2, vm1, "10.0.0.1", count=50)
            datagrams(daemon, vm1, vm2, "10.0.0.2", count=500)

    with s.check("ferryd ends by SIGTERM in the middle of a stream, which survives"):
        flow = Stream(vm2, vm1, "10.0.0.1", seconds=5, limit=90)
        expect(daemon.stop(1.5) == 0, "exit status")
        daemon = start(s, "ferryd4")
        flow.finish()

    for guest, packed in ((vm2, True), (vm1, True)):
        name = guest.name
        with s.check(f"kill -9 of the QEMU of {name}: its port waits, a new one is taken"):
            other = vm1 if guest is vm2 else vm2
            frames = daemon.port(name)["rx"]["frames"]
            Stream(other, guest, "10.0.0.2" if guest is vm2 else "10.0.0.1", seconds=5)
            guest.kill()
            daemon.wait_state(name, "waiting")
            expect(daemon.port(other.name)["state"] == "up", "the other port went down")
            again = boot(s, f"{name}", 2 if guest is vm2 else 1, guest is vm2, packed)
            vm1, vm2 = (vm1, again) if guest is vm2 else (again, vm2)
            again.ready()
            again.configure("10.0.0.2/24" if guest is vm2 else "10.0.0.1/24")
            other.run("killall guestio")
            other.reaches("10.0.0.2" if guest is vm2 else "10.0.0.1")
            stream(vm1, vm2, "10.0.0.2", count=100)
            expect(daemon.port(name)["rx"]["frames"] > frames, "the port's counters went back")


tell(story)
