#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A guest migrates from one ferryd to another and back; a bridge joins the two, and a third station.

    peer, vm - ferryd a - tap a --.
                                  bridge -- veth -- station
          vm - ferryd b - tap b --'

The station's address must never be seen by the bridge anywhere but where the station is.
"""

import re

from ferry.flow import Flow, Ping, Traffic, calibrate, mixed
from ferry.machine import Nic
from ferry.migration import Migration
from ferry.net import Namespace, Station
from ferry.process import wait_until
from ferry.story import tell
from ferry.traffic import expect, flowing
from ferry.travel import ADDRESSES, MACS, TRIES

STATION = "10.0.0.254"
STATION_MAC = "52:54:00:00:00:fe"
HOSTS = ("a", "b")


class Wire:
    """The bridge, and what it has learned while somebody was watching."""

    def __init__(self, story):
        self.network = Namespace(story, "wire")
        outside = Namespace(story, "station")
        need = self.network.need
        need("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
        need("ip", "link", "add", "bridge", "type", "bridge")
        need("ip", "link", "set", "bridge", "up")
        need("ip", "link", "add", "station", "type", "veth", "peer", "name", "eth0", "netns", outside.name)
        self.join("station")
        outside.need("ip", "link", "set", "eth0", "address", STATION_MAC, "up")
        outside.need("ip", "addr", "add", f"{STATION}/24", "dev", "eth0")
        self.station = Station(story, outside, "station")
        argv = [*self.network.prefix, "stdbuf", "-oL", "bridge", "monitor", "fdb"]
        self.monitor = story.start("bridge", argv)

    def join(self, iface):
        """Makes an interface that appears in a moment a port of the bridge."""
        wait_until(f"{iface} is there", lambda: self.network.run("ip", "link", "show", iface)[0] == 0, 20)
        self.network.need("ip", "link", "set", iface, "master", "bridge", "up")

    def moves(self, mac):
        """The ports of the bridge at which an address has appeared, in order."""
        lines = re.findall(rf"^{mac} dev (\S+) ", self.monitor.log(), re.MULTILINE)
        return [port for at, port in enumerate(lines) if at == 0 or lines[at - 1] != port]

    def place(self, mac):
        """The port at which the bridge looks for an address now."""
        lines = self.network.need("bridge", "fdb", "show", "br", "bridge")
        found = re.search(rf"^{mac} dev (\S+) ", lines, re.MULTILINE)
        return found and found[1]

    def stays(self, mac, port):
        expect(self.place(mac) == port, f"{mac} is at {self.place(mac)}")
        expect(set(self.moves(mac)) <= {port}, f"{mac} moved: {self.moves(mac)}")


def switch(s, wire, host):
    ports = ("vm", "peer") if host == "a" else ("vm",)
    daemon = s.switch(
        *(word for port in ports for word in ("--vhost", f"{port}={socket(s, host, port)}")),
        *("--port", f"up0=net_tap0,iface=ferry-{host}"),
        name=host,
        rpc=f"{host}.rpc",
        prefix=wire.network.prefix,
    )
    wire.join(f"ferry-{host}")
    return daemon


def introduce(s, daemons):
    """Each calls the other: frames for a guest that has left follow it there."""
    place = {host: f"unix:{s.path(f'{host}.peer')}" for host in daemons}
    for host, daemon in daemons.items():
        others = [place[other] for other in daemons if other != host]
        daemon.call("peer.set", listen=place[host], peers=others, key="not known to strangers")
    for daemon in daemons.values():
        wait_until("a peer is up", lambda: any(p["state"] == "up" for p in daemon.call("peer.show")), 20)


def socket(s, host, port):
    return s.path(f"{host}-{port}.sock")


def nic(s, host, guest):
    return Nic(socket(s, host, guest), MACS[guest], options="rx_queue_size=1024")


def trip(s, daemons, vm, host):
    """Moves the guest to a host; before long each ferryd looks for it where it is."""
    Migration(vm, nic(s, host, "vm")).go().finish()
    flowing(daemons[host], "vm", size=20000)
    for name, daemon in daemons.items():
        port = "vm" if name == host else "up0"
        wait_until(f"{name} looks for vm at {port}", lambda: found(daemon, port), 30, [daemon])


def found(daemon, port):
    entries = {entry["mac"].lower(): entry["port"] for entry in daemon.call("fdb.show")}
    return entries.get(MACS["vm"]) == port


def trips(s, wire, daemons, vm, peer, rate):
    """There and back, while the station and the guest that stays talk to the one that moves."""

    def flows():
        inside = [Flow(peer, vm, ADDRESSES["vm"], rate // 4), Ping(peer, ADDRESSES["vm"])]
        return inside + mixed(wire.station, vm, STATION, ADDRESSES["vm"], rate)

    traffic = Traffic(daemons.values(), [vm], flows)
    flowing(daemons["a"], "up0", size=50000)
    trip(s, daemons, vm, "b")
    trip(s, daemons, vm, "a")
    return traffic.nothing_lost()


def story(s):
    wire = Wire(s)
    daemons = {host: switch(s, wire, host) for host in HOSTS}
    introduce(s, daemons)
    vm, peer = s.guest("vm", nic(s, "a", "vm")), s.guest("peer", nic(s, "a", "peer"))
    for guest in (vm, peer):
        guest.ready()
        guest.configure(f"{ADDRESSES[guest.name]}/24")
    rate = calibrate(wire.station, vm, ADDRESSES["vm"])

    with s.check("a guest migrates to another host and back: nothing is lost, doubled or reordered"):
        rates = (rate >> turn for turn in range(TRIES))
        expect(any(trips(s, wire, daemons, vm, peer, rate) for rate in rates), "vm has no room")
    with s.check("the bridge has seen the guest move there and back, and the station where it is"):
        wire.stays(STATION_MAC, "station")
        wire.stays(MACS["peer"], "ferry-a")
        moves = wire.moves(MACS["vm"])
        expect(moves[:3] == ["ferry-a", "ferry-b", "ferry-a"], f"vm: {moves}")
    with s.check("the hosts still reach each other"):
        Migration(vm, nic(s, "b", "vm")).go().finish()
        vm.ping(ADDRESSES["peer"])
        vm.ping(STATION)


tell(story)
