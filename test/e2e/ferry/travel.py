# SPDX-License-Identifier: BSD-3-Clause
"""The scene of most migrations: one ferryd, a guest that moves between two ports, and its peer."""

from ferry.flow import RATES, Traffic, calibrate, mixed
from ferry.machine import Nic
from ferry.migration import Migration, different_pages
from ferry.process import Failure, wait_until
from ferry.traffic import expect, flowing, stream

PORTS = ("here", "there", "peer")
MACS = {"vm": "52:54:00:00:00:01", "peer": "52:54:00:00:00:02"}
TRIES = 3
ADDRESSES = {"vm": "10.0.0.1", "peer": "10.0.0.2"}


class Travel:
    """Guests vm, on port here, and peer; both are up when the constructor returns."""

    def __init__(self, story, ring_format="split", queues=1):
        self.story = story
        self.packed = ring_format == "packed"
        self.queues = queues
        self.last = None
        self.daemon = self.switch()
        self.vm = story.guest("vm", self.nic("here"), smp=queues)
        self.peer = story.guest("peer", self.nic("peer", "peer"), smp=queues)
        for guest in (self.vm, self.peer):
            guest.ready()
            guest.configure(f"{ADDRESSES[guest.name]}/24")
        self.rate = calibrate(self.peer, self.vm, ADDRESSES["vm"])

    def switch(self, name="ferryd"):
        ports = (f"{port}={self.story.path(port)}.sock,queues={self.queues}" for port in PORTS)
        return self.story.switch(*(word for port in ports for word in ("--vhost", port)), name=name)

    def nic(self, port, guest="vm"):
        return Nic(
            self.story.path(f"{port}.sock"),
            MACS[guest],
            queues=self.queues,
            packed=self.packed,
            options="rx_queue_size=1024",
        )

    def migration(self, port, **options):
        """A destination for vm that waits at a port; one that was waiting in vain makes room."""
        if self.last is not None and self.last.target is not self.vm.machine:
            self.last.target.kill()
        self.last = Migration(self.vm, self.nic(port), **options)
        return self.last

    def traffic(self):
        """Traffic between the two that is in full swing."""
        ends = (self.peer, self.vm, ADDRESSES["peer"], ADDRESSES["vm"])
        traffic = Traffic([self.daemon], [self.vm], lambda: mixed(*ends, self.rate))
        flowing(self.daemon, "peer", size=50000)
        return traffic

    def nothing_lost(self, road):
        """Takes a road under traffic; slower where the guest itself could not follow."""
        for _ in range(TRIES):
            traffic = self.traffic()
            road()
            if traffic.nothing_lost():
                return
            self.rate = max(self.rate // 2, RATES[-1])
        raise Failure(f"{self.vm.name} has no room for {self.rate} datagrams a second")

    def equal_memory(self, migration):
        """Ends a migration whose destination does not start by itself: its memory is the source's."""
        migration.arrive("paused", "prelaunch")
        differ = different_pages(migration.source, migration.target)
        expect(not differ, f"{len(differ)} pages differ: {differ[:20]}")
        self.vm.qmp.call("cont")
        migration.leave()

    def peer_sends(self, frames=400):
        """Waits until the peer has sent so many frames more."""
        before = self.daemon.port("peer")["rx"]["frames"]
        wait_until(
            f"the peer sends {frames} frames",
            lambda: self.daemon.port("peer")["rx"]["frames"] - before >= frames,
            30,
            [self.daemon],
        )

    def settled(self, port):
        """The guest is heard at a port, and before long looked for there."""

        def found():
            entries = {entry["mac"].lower(): entry["port"] for entry in self.daemon.call("fdb.show")}
            return entries.get(MACS["vm"]) == port

        flowing(self.daemon, port, size=20000)
        wait_until(f"vm is looked for at {port}", found, 30, [self.daemon])

    def works(self):
        """Both directions carry a stream, and no ring has broken."""
        stream(self.vm, self.peer, ADDRESSES["peer"], count=50)
        stream(self.peer, self.vm, ADDRESSES["vm"], count=50)
        for port in self.daemon.call("port.show"):
            broken = [ring["broken"] for ring in port["rings"] if ring["broken"]]
            expect(not broken, f"{port['name']} broke: {broken}")
