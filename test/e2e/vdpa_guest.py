#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A guest whose rings are moved by a device migrates to another host's software and back.

    peer ------- ferryd a - tap a --.
                  |   |             bridge -- veth -- station
          vm - (device)             |
          vm - ferryd b - tap b ----'

The device is one of the model's, and port wire of ferryd a is the other end of its cable.

usage: vdpa_guest.py log|shadow split|packed

With "log" the device tells positions and keeps a log itself, with "shadow" the driver does.
"""

import sys

from ferry.flow import Traffic, calibrate, mixed
from ferry.hosts import HOSTS, STATION, Wire, introduce, looked_for, nic, socket, switch, trip
from ferry.process import wait_until
from ferry.story import tell
from ferry.traffic import expect, flowing, stream
from ferry.travel import ADDRESSES, MACS
from ferry.vdpa import Model, plugin

SHAPE, PACKED = sys.argv[1], sys.argv[2] == "packed"
OPTIONS = {
    "log": ("positions", "logging", "packed", "event_idx", "indirect"),
    "shadow": ("event_idx", "indirect"),
}


class Scene:
    """Both hosts; vm is on the device and peer on a software port, and both are up."""

    def __init__(self, s):
        self.wire = Wire(s)
        eal, env = plugin()
        more = {"a": ("--eal", eal) if eal else (), "b": ()}
        ports = {"a": ("peer", "wire"), "b": ("vm",)}
        self.daemons = {h: switch(s, self.wire, h, ports[h], more[h], env) for h in HOSTS}
        self.here = self.daemons["a"]
        self.model = Model(s, "model", socket(s, "a", "wire"), OPTIONS[SHAPE], MACS["vm"])
        self.here.wait_running("wire")
        self.here.call(
            "port.add",
            name="vm",
            type="vhost-user",
            socket=str(socket(s, "a", "vm")),
            queues=1,
            vdpa=f"vdpa_virtio0,socket={self.model.device}",
            uplink="wire",
        )
        introduce(s, self.daemons)
        self.vm = s.guest("vm", nic(s, "a", "vm", PACKED))
        self.peer = s.guest("peer", nic(s, "a", "peer"))
        for guest in (self.vm, self.peer):
            guest.ready()
            guest.configure(f"{ADDRESSES[guest.name]}/24")

    def in_hardware(self, seconds=20):
        """Waits until the device moves the guest's rings."""

        def moved():
            rings = [ring for ring in self.here.port("vm")["rings"] if ring["started"]]
            return rings and all(ring["provider"] == "vdpadev" for ring in rings)

        wait_until("the device moves the rings of vm", moved, seconds, [self.here, self.model.process])

    def device_frames(self):
        stats = self.model.stats()
        return stats["frames_received"], stats["frames_sent"]

    def tell_device(self):
        """What the device has counted, for whoever looks for a frame."""
        counts = {name: n for name, n in self.model.stats().items() if isinstance(n, int) and n}
        print(f"# device: {counts}", flush=True)

    def lawful(self):
        """Neither the driver nor what it let the device do has broken a rule."""
        stats = self.model.stats()
        expect(stats["violations"] == 0, f"the driver: {stats['violation']}")
        expect(stats["refused_dma"] == 0, f"{stats['refused_dma']} accesses outside of the maps")


def streams(scene):
    scene.in_hardware()
    before = scene.device_frames()
    stream(scene.vm, scene.peer, ADDRESSES["peer"], seconds=3)
    stream(scene.peer, scene.vm, ADDRESSES["vm"], seconds=3)
    after = scene.device_frames()
    expect(min(b - a for a, b in zip(before, after)) > 500, f"device: {before}, then {after}")


def trips(s, scene, rate):
    """There and back, while the station and the guest that stays talk to the one that moves.

    What is on the device's wire when the rings leave the device is the network's to bring or to lose, so that some
    datagrams towards the guest may be missing; all else has to come through whole.
    """
    ends = (scene.wire.station, scene.vm, STATION, ADDRESSES["vm"])
    traffic = Traffic(scene.daemons.values(), [scene.vm], lambda: mixed(*ends, rate))
    flowing(scene.here, "wire", size=50000)
    trip(s, scene.daemons, scene.vm, "b", packed=PACKED)
    trip(s, scene.daemons, scene.vm, "a", at="wire", packed=PACKED)
    scene.in_hardware()
    looked_for(scene.here, "vm", "wire")
    scene.tell_device()
    for flow in traffic.finish():
        faults = {name: flow[name] for name in ("duplicates", "corrupt") if flow.get(name)}
        expect(not faults, f"{flow['flow']}: {faults}")
        if flow["flow"] == "vm to station":
            expect(flow["missing"] == flow["reordered"] == 0, f"{flow}")
        expect(flow["received"] > flow["sent"] // 2, f"{flow}")
    print(f"# dropped: {traffic.blamed()}", flush=True)


def story(s):
    scene = Scene(s)
    with s.check("a guest boots on a device and streams through it both ways"):
        streams(scene)
    rate = calibrate(scene.wire.station, scene.vm, ADDRESSES["vm"])
    with s.check("it migrates to another host's software and back onto the device under traffic"):
        trips(s, scene, rate)
    with s.check("it streams through the device as before"):
        streams(scene)
    with s.check("driver and device have kept to the rules"):
        scene.lawful()


tell(story)
