#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A guest migrates from one ferryd to another and back; a bridge joins the two, and a third station.

    peer, vm - ferryd a - tap a --.
                                  bridge -- veth -- station
          vm - ferryd b - tap b --'

The station's address must never be seen by the bridge anywhere but where the station is.
"""

from ferry.flow import Flow, Ping, Traffic, calibrate, mixed
from ferry.hosts import HOSTS, STATION, STATION_MAC, Wire, introduce, nic, switch, trip
from ferry.migration import Migration
from ferry.story import tell
from ferry.traffic import expect, flowing
from ferry.travel import ADDRESSES, MACS, TRIES


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
