#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Guests reach the host's network through a tap port; two uplinks do not hear each other."""

import time

from ferry.machine import Nic
from ferry.net import Namespace, Station
from ferry.process import wait_until
from ferry.story import tell
from ferry.traffic import Stream, expect

HOST = "10.0.0.254"


def boot(story, name, number, options=""):
    nic = Nic(story.path(f"{name}.sock"), f"52:54:00:00:00:0{number}", options=options)
    return story.guest(name, nic)


def sleep(daemon):
    worker = daemon.call("worker.show")[0]
    return worker["state"], worker["sleep"]


def story(s):
    network = Namespace(s)
    daemon = s.switch(
        *("--vhost", f"vm1={s.path('vm1.sock')}", "--vhost", f"vm2={s.path('vm2.sock')}"),
        *("--port", "up0=net_tap0,iface=ferry0", "--port", "up1=net_tap1,iface=ferry1"),
        prefix=network.prefix,
    )
    wait_until("ferry0 is there", lambda: network.run("ip", "link", "show", "ferry0")[0] == 0, 20)
    network.need("ip", "addr", "add", f"{HOST}/24", "dev", "ferry0")
    network.need("ip", "-6", "addr", "add", "fd00::fe/64", "dev", "ferry0", "nodad")
    network.need("ip", "link", "set", "ferry0", "up")
    network.need("ip", "link", "set", "ferry1", "up")
    host = Station(s, network)
    vm1 = boot(s, "vm1", 1)
    vm2 = boot(s, "vm2", 2, "csum=off,guest_csum=off,mrg_rxbuf=off")
    for number, guest in enumerate((vm1, vm2), 1):
        guest.ready()
        guest.configure(f"10.0.0.{number}/24", f"fd00::{number}/64")

    with s.check("the uplink is up and says what it is"):
        port = daemon.wait_state("up0")
        expect(port["type"] == "ethdev", f"type is {port['type']}")
    with s.check("guests ping the host, and the host them"):
        vm1.ping(HOST)
        vm2.ping("fd00::fe")
        network.need("ping", "-q", "-c", "3", "-i", "0.2", "10.0.0.2")
    for guest, number in ((vm1, 1), (vm2, 2)):
        with s.check(f"TCP between {guest.name} and the host is intact, both directions"):
            Stream(guest, host, HOST, count=100).finish()
            Stream(host, guest, f"10.0.0.{number}", count=100).finish()
            Stream(host, guest, f"fd00::{number}", count=30).finish()
    with s.check("guests still talk to each other"):
        Stream(vm1, vm2, "10.0.0.2", count=100).finish()
    with s.check("the two uplinks, isolated by default, do not hear each other"):
        before = {name: daemon.port(name)["tx"]["frames"] for name in ("vm1", "up1")}
        asks = "for i in $(seq 100 130); do ping -q -c 1 -W 1 10.0.0.$i & done; wait"
        network.run("sh", "-c", asks)
        heard = {name: daemon.port(name)["tx"]["frames"] - before[name] for name in before}
        expect(heard["vm1"] >= 31, f"vm1 heard {heard['vm1']} of 31 questions")
        expect(heard["up1"] < 10, f"up1 heard {heard['up1']} frames, of up0 too")
    with s.check("a worker says how it sleeps: woken, or bounded where a device cannot wake it"):
        wait_until("it sleeps until it is woken", lambda: sleep(daemon) == ("sleeping", "interrupt"))
        daemon.call("port.add", name="nul0", type="ethdev", devargs="net_null0,no-rx=1")
        wait_until("its sleep is bounded", lambda: sleep(daemon)[1] == "bounded")
        before = daemon.cpu_seconds()
        time.sleep(2)
        used = daemon.cpu_seconds() - before
        expect(used < 1, f"{used:.2f} s of CPU in 2 s of bounded sleep")
        daemon.call("port.del", name="nul0")
        wait_until("it sleeps until it is woken", lambda: sleep(daemon) == ("sleeping", "interrupt"))
    with s.check("an uplink goes and comes back live"):
        daemon.call("port.del", name="up0")
        wait_until("ferry0 is gone", lambda: network.run("ip", "link", "show", "ferry0")[0] != 0, 10)
        daemon.call("port.add", name="up0", type="ethdev", devargs="net_tap0,iface=ferry0")
        network.need("ip", "addr", "add", f"{HOST}/24", "dev", "ferry0")
        network.need("ip", "link", "set", "ferry0", "up")
        vm1.need("ip neigh flush dev eth0")  # a new tap has a new address
        vm1.reaches(HOST)


tell(story)
