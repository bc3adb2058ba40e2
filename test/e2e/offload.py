#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Guests that differ in what their devices can do: ferryd makes up the difference.

    vm1  everything
    vm2  no offload at all, and no mergeable buffers: checksums and segments are to be complete
    vm3  large receives without mergeable buffers: chains of pages
"""

from ferry.machine import Nic
from ferry.story import tell
from ferry.traffic import datagrams, expect, mean_frame, stream

SENDS_PLAIN = "csum=off,host_tso4=off,host_tso6=off,host_ecn=off,host_ufo=off"
TAKES_PLAIN = "guest_csum=off,guest_tso4=off,guest_tso6=off,guest_ecn=off,guest_ufo=off"
OPTIONS = {
    "vm1": "",
    "vm2": f"{SENDS_PLAIN},{TAKES_PLAIN},mrg_rxbuf=off",
    "vm3": "mrg_rxbuf=off",
}


def boot(story, name):
    nic = Nic(story.path(f"{name}.sock"), f"52:54:00:00:00:0{name[2]}", options=OPTIONS[name])
    return story.guest(name, nic)


def csum_errors(guest):
    """Segments and datagrams that a guest has thrown away for a wrong checksum."""
    command = "awk '/^(Tcp|Udp):/ { print }' /proc/net/snmp; grep InCsumErrors /proc/net/snmp6"
    lines = guest.need(command).splitlines()
    total = sum(int(line.split()[1]) for line in lines if line.startswith(("Udp6", "Icmp6")))
    for head, values in zip(lines[0:4:2], lines[1:4:2]):
        total += int(dict(zip(head.split(), values.split()))["InCsumErrors"])
    return total


def no_bad_checksums(guests):
    for guest in guests:
        expect(csum_errors(guest) == 0, f"{guest.name} saw {csum_errors(guest)} bad checksums")


def story(s):
    daemon = s.switch(*(arg for name in OPTIONS for arg in ("--vhost", f"{name}={s.path(name + '.sock')}")))
    vm1, vm2, vm3 = guests = [boot(s, name) for name in OPTIONS]
    for number, guest in enumerate(guests, 1):
        guest.ready()
        guest.configure(f"10.0.0.{number}/24", f"fd00::{number}/64")

    with s.check("features are what each device offers"):
        features = {name: daemon.wait_running(name)["features"] for name in OPTIONS}
        for feature in ("csum", "host_tso4", "guest_tso6", "mrg_rxbuf"):
            expect(feature in features["vm1"], f"vm1 lacks {feature}: {features['vm1']}")
            expect(feature not in features["vm2"], f"vm2 has {feature}: {features['vm2']}")
        expect("mrg_rxbuf" not in features["vm3"], f"vm3: {features['vm3']}")

    for version, address in ((4, "10.0.0.{}"), (6, "fd00::{}")):
        with s.check(f"IPv{version}: 64 KB segments are cut for vm2, with checksums"):
            source, sink = daemon.port("vm1"), daemon.port("vm2")
            stream(vm1, vm2, address.format(2), count=200)
            large = mean_frame(source, daemon.port("vm1"), "rx")
            small = mean_frame(sink, daemon.port("vm2"), "tx")
            expect(large > 3000, f"vm1 sent {large:.0f} bytes per frame")
            expect(small <= 1514, f"vm2 was given {small:.0f} bytes per frame")
        with s.check(f"IPv{version}: vm2 sends plain frames to vm1 and vm3"):
            stream(vm2, vm1, address.format(1), count=50)
            stream(vm2, vm3, address.format(3), count=50)
        with s.check(f"IPv{version}: 64 KB segments reach vm3 whole, in chains of pages"):
            sink = daemon.port("vm3")
            stream(vm1, vm3, address.format(3), count=200)
            large = mean_frame(sink, daemon.port("vm3"), "tx")
            expect(large > 3000, f"vm3 was given {large:.0f} bytes per frame")
        with s.check(f"IPv{version}: datagrams between all of them"):
            for sender, receiver in ((vm1, vm2), (vm2, vm3), (vm3, vm1)):
                target = address.format(receiver.name[2])
                datagrams(daemon, sender, receiver, target, count=200)
                datagrams(daemon, sender, receiver, target, count=20, size=20000, rate=50)
    with s.check("nobody saw a bad checksum"):
        no_bad_checksums(guests)


tell(story)
