#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Three guests that talk to each other migrate at the same time, each to a port of its own, and back."""

from ferry.flow import Flow, Ping, Stream, Traffic
from ferry.machine import Nic
from ferry.migration import Migration
from ferry.process import wait_until
from ferry.story import tell
from ferry.traffic import expect, flowing

GUESTS = (1, 2, 3)
RATES = (400, 200, 100)


def address(number):
    return f"10.0.0.{number}"


def nic(s, number, side):
    mac = f"52:54:00:00:00:0{number}"
    return Nic(s.path(f"vm{number}-{side}.sock"), mac, packed=number == 2, options="rx_queue_size=1024")


def flows(guests, rate):
    """Each guest sends to the next one, asks it for echoes, and streams to the one before."""
    ring = [(guests[at], guests[(at + 1) % len(guests)]) for at in range(len(guests))]
    return [
        flow
        for one, other in ring
        for flow in (
            Flow(one, other, address(other.name[2]), rate),
            Ping(one, address(other.name[2])),
            Stream(other, one, address(one.name[2]), rate=10),
        )
    ]


def all_go(s, daemon, guests, side):
    migrations = [Migration(guest, nic(s, int(guest.name[2]), side)) for guest in guests]
    for migration in migrations:
        migration.go()
    for migration in migrations:
        migration.finish()
    for guest in guests:
        flowing(daemon, f"{guest.name}-{side}", size=20000)


def there_and_back(s, daemon, guests, rate):
    traffic = Traffic([daemon], guests, lambda: flows(guests, rate))
    flowing(daemon, f"{guests[0].name}-a", size=20000)
    for side in ("b", "a"):
        all_go(s, daemon, guests, side)
    return traffic.nothing_lost()


def story(s):
    ports = [f"vm{number}-{side}" for number in GUESTS for side in ("a", "b")]
    daemon = s.switch(*(word for port in ports for word in ("--vhost", f"{port}={s.path(port)}.sock")))
    guests = [s.guest(f"vm{number}", nic(s, number, "a")) for number in GUESTS]
    for number, guest in zip(GUESTS, guests):
        guest.ready()
        guest.configure(f"{address(number)}/24")
    with s.check("three guests migrate at once, there and back: nothing is lost, doubled or reordered"):
        done = any(there_and_back(s, daemon, guests, rate) for rate in RATES)
        expect(done, "the guests have no room")
    with s.check("each is looked for where it is"):
        wanted = {f"52:54:00:00:00:0{number}": f"vm{number}-a" for number in GUESTS}

        def found():
            places = {entry["mac"].lower(): entry["port"] for entry in daemon.call("fdb.show")}
            return all(places.get(mac) == port for mac, port in wanted.items())

        wait_until("each is looked for on its port", found, 30, [daemon])


tell(story)
