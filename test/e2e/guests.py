#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Two guests talk: vm1 through a socket that ferryd listens on, vm2 through one that QEMU does.

usage: guests.py split|packed QUEUES
"""

import os
import sys
import time

from ferry.machine import Nic
from ferry.process import wait_until
from ferry.story import tell
from ferry.traffic import Datagrams, Stream, datagrams, expect, flowing, mean_frame, stream

FORMAT, QUEUES = sys.argv[1], int(sys.argv[2])
ADDRESSES = {"vm1": ("10.0.0.1", "fd00::1"), "vm2": ("10.0.0.2", "fd00::2")}


def boot(story, name, number, server):
    nic = Nic(
        story.path(f"{name}.sock"),
        f"52:54:00:00:00:0{number}",
        server=server,
        queues=QUEUES,
        packed=FORMAT == "packed",
    )
    return story.guest(name, nic, smp=QUEUES)


def addresses(guest):
    v4, v6 = ADDRESSES[guest.name]
    guest.configure(f"{v4}/24", f"{v6}/64")


def rings_are_right(daemon, name):
    port = daemon.wait_running(name, QUEUES)
    rings = [ring for ring in port["rings"] if ring["started"]]
    expect(len(rings) == 2 * QUEUES, f"{name}: {len(rings)} rings are started")
    for ring in rings:
        expect(ring["format"] == FORMAT, f"{name}: ring {ring['index']} is {ring['format']}")
        expect(ring["size"] == 256, f"{name}: ring {ring['index']} has size {ring['size']}")
        expect(not ring["broken"], f"{name}: ring {ring['index']} broke: {ring['broken']}")


def unused(daemon, name):
    """Receive rings of a guest that no frame was given to."""
    rings = daemon.port(name)["rings"]
    return [ring["index"] for ring in rings if ring["index"] % 2 == 0 and ring["chains"] == 0]


def all_queues_carry(daemon, sender, receiver, address):
    """Each receive ring of a guest is given frames, once its flows come from all transmit queues.

    The sender's CPU of the moment decides the transmit queue of a flow, and that the share of the
    receive rings which its hash picks from.
    """
    for _ in range(10):
        datagrams(daemon, sender, receiver, address, count=40, flows=40)
        if not unused(daemon, receiver.name):
            return
    expect(False, f"{receiver.name}: receive rings {unused(daemon, receiver.name)} were never used")


def workers():
    """One worker for one queue pair, else one on each of two CPUs."""
    cpus = sorted(os.sched_getaffinity(0))[:2]
    return ("--cpus", ",".join(map(str, cpus))) if QUEUES > 1 else ()


def moves(daemon, vm1, vm2):
    """Moves the rings that vm1 sends on to and fro between the workers under counted flows."""
    flow = Datagrams(daemon, vm1, vm2, "10.0.0.2", count=1000, flows=QUEUES, rate=1000)
    rings = [ring["index"] for ring in daemon.port("vm1")["rings"] if ring["index"] % 2 == 1]
    for turn in range(20):
        for ring in rings:
            worker = (turn + ring // 2) % len(daemon.call("worker.show"))
            daemon.call("queue.move", port="vm1", ring=ring, worker=worker)
            now = {r["index"]: r["worker"] for r in daemon.port("vm1")["rings"]}
            expect(now[ring] == worker, f"ring {ring} is with worker {now[ring]}, not {worker}")
    flow.finish()


def sleeps(daemon):
    """Without traffic no CPU is used that is worth naming; the bound forgives a chatty guest."""

    def quiet():
        before = daemon.cpu_seconds()
        time.sleep(1)
        return daemon.cpu_seconds() - before <= 0.05

    def asked():
        rings = [ring for ring in daemon.port("vm1")["rings"] if ring["started"]]
        armed = all(ring["kicks_wanted"] for ring in rings if ring["index"] % 2 == 1)
        return armed and all(ring["calls_wanted"] for ring in rings if ring["index"] % 2 == 0)

    wait_until("ferryd uses less than 5 % of a core", quiet, 20)
    wait_until("both sides have asked for notifications", asked, 20)


def story(s):
    daemon = s.switch(
        *workers(),
        *("--vhost", f"vm1={s.path('vm1.sock')},queues={QUEUES}"),
        *("--vhost", f"vm2={s.path('vm2.sock')},client,queues={QUEUES}"),
    )
    vm1, vm2 = boot(s, "vm1", 1, False), boot(s, "vm2", 2, True)
    for guest in (vm1, vm2):
        guest.ready()
        addresses(guest)

    with s.check("both ports are up with the rings that the guests asked for"):
        rings_are_right(daemon, "vm1")
        rings_are_right(daemon, "vm2")
    with s.check("they ping over IPv4 and IPv6"):
        vm1.ping("10.0.0.2")
        vm2.ping("fd00::1", size=1400)
    with s.check("their addresses were learnt at the right ports"):
        entries = {entry["mac"].lower(): entry["port"] for entry in daemon.call("fdb.show")}
        expect(entries.get("52:54:00:00:00:01") == "vm1", f"FDB: {entries}")
        expect(entries.get("52:54:00:00:00:02") == "vm2", f"FDB: {entries}")
    with s.check("TCP in both directions at once is intact"):
        stream(vm1, vm2, "10.0.0.2", flows=QUEUES, count=200 // QUEUES, duplex=True)
    with s.check("TCP over IPv6 is intact, in segments larger than a frame on a wire"):
        before = daemon.port("vm1")
        stream(vm1, vm2, "fd00::2", flows=QUEUES, seconds=2)
        size = mean_frame(before, daemon.port("vm1"), "rx")
        expect(size > 3000, f"{size:.0f} bytes per frame")
    with s.check("datagrams arrive once, in order, and each loss has a name"):
        datagrams(daemon, vm2, vm1, "10.0.0.1", count=1000, flows=max(2, QUEUES))
    if QUEUES > 1:
        with s.check("flows are spread over all receive queues"):
            all_queues_carry(daemon, vm1, vm2, "10.0.0.2")
        with s.check("queues move between workers without loss or reordering"):
            moves(daemon, vm1, vm2)
        with s.check("the guest uses fewer queues, then all again, under traffic"):
            flow = Stream(vm1, vm2, "10.0.0.2", flows=2, seconds=5)
            for queues in (1, 2, QUEUES):
                flowing(daemon, "vm1")
                vm2.need(f"guestio queues eth0 {queues}")
            flow.finish()
    with s.check("a guest reboots in the middle of a stream and comes back"):
        Stream(vm1, vm2, "10.0.0.2", seconds=30)
        flowing(daemon, "vm1")
        vm2.reboot()
        addresses(vm2)
        vm1.reaches("10.0.0.2")
        stream(vm2, vm1, "10.0.0.1", count=100)
        rings_are_right(daemon, "vm2")
    with s.check("the switch sleeps when they have nothing to say"):
        vm1.run("killall guestio")
        sleeps(daemon)
    with s.check("nothing broke, nobody was blamed"):
        for port in daemon.call("port.show"):
            expect(port["state"] == "up", f"{port['name']} is {port['state']}: {port['reason']}")
    with s.check("SIGTERM takes the switch down cleanly within a second"):
        daemon.signal(15)
        expect(daemon.wait(1.5) == 0, "exit status")
        expect(not s.path("vm1.sock").exists(), "vm1.sock was left behind")


tell(story)
