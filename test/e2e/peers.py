#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What two ferryds keep for a guest that moves between them goes from one to the other.

    guest - ferryd a - tap --.
                             bridge -- veth -- station
    guest - ferryd b - tap --'

The station sends without a pause while the guest is now here, now there, and now nowhere.
"""

import collections
import json
import re
import subprocess

from ferry.net import Namespace
from ferry.process import wait_until
from ferry.story import program, tell
from ferry.traffic import expect

STATION_MAC = "52:54:00:00:00:fe"
HOSTS = ("a", "b")
LISTEN = {"a": "127.0.0.1:4798", "b": "127.0.0.1:4799"}
TRIPS = 10


def configuration(story, host, key):
    other = HOSTS[1 - HOSTS.index(host)]
    config = {
        "ports": [
            {"name": "vm", "type": "vhost-user", "socket": str(story.path(f"{host}.vm"))},
            {"name": "up0", "type": "ethdev", "devargs": f"net_tap0,iface=ferry-{host}"},
        ],
        "migration": {"listen": LISTEN[host], "peers": [LISTEN[other]], "key_file": str(key)},
    }
    path = story.path(f"{host}.json")
    path.write_text(json.dumps(config))
    return path


class Wire:
    """The bridge, its stations, and what it has learned while somebody was watching."""

    def __init__(self, story):
        self.network = Namespace(story, "wire")
        need = self.network.need
        need("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
        need("ip", "link", "add", "bridge", "type", "bridge")
        need("ip", "link", "set", "bridge", "up")
        need("ip", "link", "add", "station", "type", "veth", "peer", "name", "eth0")
        need("ip", "link", "set", "eth0", "address", STATION_MAC, "up")
        self.join("station")
        argv = [*self.network.prefix, "stdbuf", "-oL", "bridge", "monitor", "fdb"]
        self.monitor = story.start("bridge", argv)

    def join(self, iface):
        wait_until(f"{iface} is there", lambda: self.network.run("ip", "link", "show", iface)[0] == 0, 20)
        self.network.need("ip", "link", "set", iface, "master", "bridge", "up")

    def places(self, mac):
        return set(re.findall(rf"^{mac} dev (\S+) ", self.monitor.log(), re.MULTILINE))


class Mover:
    """The program that plays the guest, or the station."""

    def __init__(self, story, name, *argv):
        self.process = story.start(name, argv, stdin=subprocess.PIPE)
        self.moves = 0

    def say(self, line):
        self.process.popen.stdin.write(f"{line}\n".encode())
        self.process.popen.stdin.flush()

    def move(self):
        self.moves += 1
        self.say("move")
        wait_until("the guest has moved", lambda: self.process.log().count("moved\n") >= self.moves, 20, [self.process])

    def end(self):
        self.say("end")
        expect(self.process.wait(20) == 0, self.process.log())
        return json.loads(self.process.log().splitlines()[-1])


def switch(story, wire, host, key):
    daemon = story.switch(
        "-c", configuration(story, host, key), name=host, rpc=f"{host}.rpc", prefix=wire.network.prefix
    )
    wire.join(f"ferry-{host}")
    return daemon


def up(daemon):
    peers = daemon.call("peer.show")
    return len(peers) == 2 and all(peer["state"] == "up" for peer in peers)


def counted(daemons, *names):
    """Counters of the guest's ports, all hosts added up."""
    total = dict.fromkeys(names, 0)
    for daemon in daemons.values():
        port = daemon.port("vm")
        for name in names:
            total[name] += port.get(name, 0) or port["drops"].get(name, 0)
    return total


def drops(daemons):
    """By name, all ports of all hosts added up."""
    total = collections.Counter()
    for daemon in daemons.values():
        for port in daemon.call("port.show"):
            total.update({name: n for name, n in port["drops"].items() if n > 0})
    return total


def quiet(daemon):
    return not daemon.call("park.show")


def trips(daemons, guest, n):
    """There and back; the frames that come late have their time, or some of it."""
    for trip in range(n):
        guest.move()
        if trip % 2 == 0:
            for daemon in daemons.values():
                wait_until("nobody is on the way", lambda d=daemon: quiet(d), 10, [daemon])


def story(s):
    wire = Wire(s)
    key = s.path("key")
    key.write_text("a key for this story alone\n")
    daemons = {host: switch(s, wire, host, key) for host in HOSTS}
    for daemon in daemons.values():
        wait_until("peers have met", lambda d=daemon: up(d), 10, [daemon])

    mover = program("MOVER")
    station = Mover(s, "station", *wire.network.prefix, mover, "station", "eth0")
    guest = Mover(s, "guest", mover, "guest", *(s.path(f"{host}.vm") for host in HOSTS))
    with s.check(f"{TRIPS} trips: what the station sends comes, once each and in order"):
        wait_until("the station sends", lambda: daemons["a"].port("vm")["tx"]["frames"] > 500, 20)
        trips(daemons, guest, TRIPS)
        sent = station.end()
        for daemon in daemons.values():
            wait_until("nobody is on the way", lambda d=daemon: quiet(d), 10, [daemon])
        got = guest.end()
        expect(got["moved"] == TRIPS and sent["sent"] > TRIPS * 500, f"{sent} {got}")
        # the guest's program may not have had the time to offer buffers; ferryd says so by name
        lost = drops(daemons)
        expect(got["received"] + lost["no_desc"] == sent["sent"], f"{sent} {got} {lost}")
        expect(got["received"] > 0.5 * sent["sent"], f"{lost}")
    with s.check("what was kept went from ferryd to ferryd, and is accounted for"):
        n = counted(daemons, "parked", "unparked", "park_known", "park_taken", "park_full", "park_timeout", "park_peer")
        expect(n["park_taken"] >= TRIPS * 200, f"{n}")
        expect(n["parked"] == n["unparked"] + n["park_known"], f"{n}")
        expect(n["park_full"] == n["park_timeout"] == n["park_peer"] == 0, f"{n}")
    with s.check("the bridge has heard the station only where it is"):
        expect(wire.places(STATION_MAC) == {"station"}, f"{wire.places(STATION_MAC)}")
        expect(len(wire.places("52:54:00:fe:00:11")) == 2, wire.monitor.log())


tell(story)
