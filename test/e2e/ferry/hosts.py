# SPDX-License-Identifier: BSD-3-Clause
"""Two ferryds that know each other, a bridge that joins them, and a third station on it."""

import re

from ferry.machine import Nic
from ferry.migration import Migration
from ferry.net import Namespace, Station
from ferry.process import wait_until
from ferry.traffic import expect, flowing
from ferry.travel import MACS

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


def switch(s, wire, host, ports=None, more=(), env=None):
    """A host's ferryd, with a tap in the bridge."""
    if ports is None:
        ports = ("vm", "peer") if host == "a" else ("vm",)
    daemon = s.switch(
        *(word for port in ports for word in ("--vhost", f"{port}={socket(s, host, port)}")),
        *("--port", f"up0=net_tap0,iface=ferry-{host}"),
        *more,
        name=host,
        rpc=f"{host}.rpc",
        prefix=wire.network.prefix,
        env=env,
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


def nic(s, host, guest, packed=False):
    return Nic(socket(s, host, guest), MACS[guest], packed=packed, options="rx_queue_size=1024")


def trip(s, daemons, vm, host, at="vm", packed=False):
    """Moves the guest to a host; before long each ferryd looks for it where it is."""
    Migration(vm, nic(s, host, "vm", packed)).go().finish()
    flowing(daemons[host], at, size=20000)
    for name, daemon in daemons.items():
        looked_for(daemon, "vm", at if name == host else "up0")


def looked_for(daemon, guest, port):
    """Waits until frames for a guest go to a port."""

    def found():
        entries = {entry["mac"].lower(): entry["port"] for entry in daemon.call("fdb.show")}
        return entries.get(MACS[guest]) == port

    wait_until(f"{daemon.name} looks for {guest} at {port}", found, 30, [daemon])
