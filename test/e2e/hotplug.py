#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Ports come and go while two guests stream, and so does the port of one of them."""

from ferry.daemon import refused
from ferry.machine import Nic
from ferry.pmd import Testpmd
from ferry.process import wait_until
from ferry.story import tell
from ferry.traffic import Stream, expect, flowing, stream

ROUNDS = 4


def boot(story, name, number, packed):
    nic = Nic(story.path(f"{name}.sock"), f"52:54:00:00:00:0{number}", packed=packed)
    return story.guest(name, nic)


def names(daemon):
    return sorted(port["name"] for port in daemon.call("port.show"))


def add_use_delete(s, daemon, number):
    """A port is added over RPC, a front-end connects and floods, the port goes under its feet."""
    name, path = f"hot{number}", s.path(f"hot{number}.sock")
    daemon.call("port.add", name=name, type="vhost-user", socket=str(path))
    pmd = Testpmd(s, f"pmd{number}", path, f"52:54:00:00:01:0{number}", packed=number % 2 == 1)
    pmd.command("set fwd txonly")
    pmd.command("start")
    daemon.wait_running(name)
    wait_until("frames come", lambda: daemon.port(name)["rx"]["frames"] > 10000, 20)
    status, _, err = daemon.ctl("port", "del", name)
    expect(status == 0, f"ferryctl port del {name}: {err}")
    expect(not path.exists(), f"{path.name} was left behind")
    expect(names(daemon) == ["vm1", "vm2"], f"ports are {names(daemon)}")
    pmd.kill()


def story(s):
    daemon = s.switch()
    expect(names(daemon) == [], "a ferryd without ports has ports")
    for number, name in enumerate(("vm1", "vm2"), 1):
        path = s.path(f"{name}.sock")
        status, _, err = daemon.ctl("port", "add", name, "type=vhost-user", f"socket={path}")
        expect(status == 0, f"ferryctl port add: {err}")
    vm1, vm2 = boot(s, "vm1", 1, False), boot(s, "vm2", 2, True)
    for guest, address in ((vm1, "10.0.0.1"), (vm2, "10.0.0.2")):
        guest.ready()
        guest.configure(f"{address}/24")

    with s.check(f"{ROUNDS} ports come, flood and go under a stream, which stays intact"):
        flow = Stream(vm1, vm2, "10.0.0.2", seconds=15, limit=90)
        for number in range(ROUNDS):
            add_use_delete(s, daemon, number)
        flow.finish()
    with s.check("no entry of the FDB names a port that is gone"):
        left = {entry["port"] for entry in daemon.call("fdb.show")} - {"vm1", "vm2"}
        expect(not left, f"left behind: {left}")
    with s.check("the port of a guest goes under a stream and comes back: so does the guest"):
        flow = Stream(vm1, vm2, "10.0.0.2", seconds=8, limit=90)
        flowing(daemon, "vm1")
        daemon.call("port.del", name="vm1")
        expect(names(daemon) == ["vm2"], f"ports are {names(daemon)}")
        daemon.call("port.add", name="vm1", type="vhost-user", socket=str(s.path("vm1.sock")))
        flowing(daemon, "vm1")
        flow.finish()
        stream(vm2, vm1, "10.0.0.1", count=50)
    with s.check("what cannot be added is refused by name and changes nothing"):
        error = refused(daemon, "port.add", name="vm1", type="vhost-user", socket=str(s.path("x.sock")))
        expect("vm1" in str(error), f"the name is not in: {error}")
        error = refused(daemon, "port.add", name="vm3", type="vhost-user", socket=str(s.path("vm1.sock")))
        expect("vm1" in str(error), f"the socket is not in: {error}")
        refused(daemon, "port.del", name="nobody")
        expect(names(daemon) == ["vm1", "vm2"], f"ports are {names(daemon)}")
        vm1.ping("10.0.0.2")


tell(story)
