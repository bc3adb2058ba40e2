#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A guest migrates to another port of its ferryd and back, under traffic that is counted.

usage: migrate.py split|packed QUEUES TRIPS
"""

import sys

from ferry.flow import Traffic, calibrate
from ferry.machine import Nic
from ferry.migration import Migration, different_pages, migrate
from ferry.process import wait_until
from ferry.story import tell
from ferry.traffic import expect, flowing, stream

FORMAT, QUEUES, TRIPS = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
MACS = {"vm": "52:54:00:00:00:01", "peer": "52:54:00:00:00:02"}
ADDRESSES = {"vm": "10.0.0.1", "peer": "10.0.0.2"}


def nic(story, port, guest="vm"):
    return Nic(
        story.path(f"{port}.sock"),
        MACS[guest],
        queues=QUEUES,
        packed=FORMAT == "packed",
        options="rx_queue_size=1024",
    )


def place(daemon, mac):
    """The port behind an address."""
    return {entry["mac"].lower(): entry["port"] for entry in daemon.call("fdb.show")}.get(mac)


def trip(s, daemon, vm, port):
    """Migrates to a port and stays until the guest is heard there."""
    migrate(vm, nic(s, port))
    flowing(daemon, port, size=20000)
    expect(place(daemon, MACS["vm"]) == port, f"{vm.name} is looked for at {place(daemon, MACS['vm'])}")


def same_memory(s, daemon, vm, peer, port, rate):
    """Migrates to a destination that does not start: nobody may touch the memory after the source."""
    traffic = Traffic(peer, vm, ADDRESSES["peer"], ADDRESSES["vm"], rate)
    flowing(daemon, "peer", size=50000)
    migration = Migration(vm, nic(s, port), paused=True).go()
    migration.arrive("paused", "prelaunch")
    differ = different_pages(migration.source, migration.target)
    expect(not differ, f"{len(differ)} pages differ: {differ[:20]}")
    vm.qmp.call("cont")
    migration.leave()
    flowing(daemon, port, size=20000)
    traffic.finish()


def story(s):
    ports = ("here", "there", "peer")
    daemon = s.switch(
        *(word for name in ports for word in ("--vhost", f"{name}={s.path(name)}.sock,queues={QUEUES}"))
    )
    vm = s.guest("vm", nic(s, "here"), smp=QUEUES)
    peer = s.guest("peer", nic(s, "peer", "peer"), smp=QUEUES)
    for guest in (vm, peer):
        guest.ready()
        guest.configure(f"{ADDRESSES[guest.name]}/24")
    rate = calibrate(peer, vm, ADDRESSES["vm"])

    with s.check(f"{TRIPS} migrations there and back lose, double and reorder nothing"):
        traffic = Traffic(peer, vm, ADDRESSES["peer"], ADDRESSES["vm"], rate)
        flowing(daemon, "peer", size=50000)
        for number in range(TRIPS):
            trip(s, daemon, vm, "here" if number % 2 else "there")
        traffic.nothing_lost()
    with s.check("the memory at the destination equals that at the source in every byte"):
        same_memory(s, daemon, vm, peer, "here" if TRIPS % 2 else "there", rate)
    with s.check("the guest still works as before"):
        stream(vm, peer, ADDRESSES["peer"], count=100)
        stream(peer, vm, ADDRESSES["vm"], count=100)
    with s.check("nothing broke, nobody was blamed"):
        for port in daemon.call("port.show"):
            broken = [ring["broken"] for ring in port["rings"] if ring["broken"]]
            expect(not broken, f"{port['name']} broke: {broken}")


tell(story)
