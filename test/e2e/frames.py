#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Frames that are not ordinary: jumbo, tagged, isolated, captured; vm1 has split rings, vm2 packed ones."""

import json

from ferry.daemon import refused
from ferry.machine import Nic
from ferry.process import need, wait_until
from ferry.story import tell
from ferry.traffic import datagrams, expect, stream


def boot(story, name, number):
    nic = Nic(story.path(f"{name}.sock"), f"52:54:00:00:00:0{number}", packed=name == "vm2")
    return story.guest(name, nic)


def configuration(story):
    ports = [
        {"name": "vm1", "type": "vhost-user", "socket": str(story.path("vm1.sock"))},
        {"name": "vm2", "type": "vhost-user", "socket": str(story.path("vm2.sock"))},
    ]
    path = story.path("ferry.json")
    path.write_text(json.dumps({"ports": ports}))
    return path


def readd(daemon, name, **members):
    """Removes a guest's port and adds it with other members; the guest connects again."""
    socket = str(daemon.story.path(f"{name}.sock"))
    daemon.call("port.del", name=name)
    daemon.call("port.add", name=name, type="vhost-user", socket=socket, **members)
    daemon.wait_running(name)


def tshark(path, *fields, keep=""):
    """The fields of each frame of a capture that a filter keeps."""
    argv = ["tshark", "-n", "-r", path, "-T", "fields"]
    for field in fields:
        argv += ["-e", field]
    out = need(argv + (["-Y", keep] if keep else []))
    return [line.split("\t") for line in out.splitlines()]


def story(s):
    daemon = s.switch("-c", configuration(s))
    vm1, vm2 = boot(s, "vm1", 1), boot(s, "vm2", 2)
    for number, guest in enumerate((vm1, vm2), 1):
        guest.ready()
        guest.configure(f"10.0.0.{number}/24", mtu=9000)

    with s.check("jumbo frames pass"):
        before = daemon.port("vm2")["tx"]
        vm1.ping("10.0.0.2", size=8972)
        after = daemon.port("vm2")["tx"]
        expect(after["bytes"] - before["bytes"] > 3 * 9000, f"from {before} to {after}")
        datagrams(daemon, vm1, vm2, "10.0.0.2", count=200, size=8900, rate=200)
        stream(vm2, vm1, "10.0.0.1", count=50)
    with s.check("frames tagged for a VLAN pass untouched and are learnt in it"):
        for number, guest in enumerate((vm1, vm2), 1):
            guest.need("ip link add link eth0 name eth0.7 type vlan id 7")
            guest.configure(f"10.7.0.{number}/24", iface="eth0.7")
        vm1.ping("10.7.0.2")
        stream(vm1, vm2, "10.7.0.2", count=50)
        stream(vm2, vm1, "10.7.0.1", count=50)
        vlans = {(entry["vlan"], entry["mac"].lower(), entry["port"]) for entry in daemon.call("fdb.show")}
        for number, name in ((1, "vm1"), (2, "vm2")):
            for vlan in (0, 7):
                entry = (vlan, f"52:54:00:00:00:0{number}", name)
                expect(entry in vlans, f"{entry} is not in the FDB: {vlans}")
    with s.check("a tag that one side lacks keeps them apart"):
        vm2.need("ip link set eth0.7 down")
        expect(vm1.run("ping -q -c 1 -W 1 10.7.0.2")[0] != 0, "a ping came back from another VLAN")
    with s.check("a capture holds what its filter wants, with direction, port and time"):
        path = s.path("vm1.pcapng")
        daemon.call("capture.start", port="vm1", file=str(path), filter="icmp")
        vm1.ping("10.0.0.2", count=5)
        stream(vm1, vm2, "10.0.0.2", count=20)
        shown = daemon.call("capture.show")
        expect(len(shown) == 1 and shown[0]["frames"] == 10, f"capture.show: {shown}")
        daemon.call("capture.stop", name=shown[0]["name"])
        rows = tshark(path, "icmp.type", "frame.interface_name", "frame.packet_flags_direction")
        expect(len(rows) == 10, f"{len(rows)} frames: {rows}")
        expect({row[1] for row in rows} == {"vm1"}, f"interfaces: {rows}")
        kinds = {(row[0], int(row[2], 0)) for row in rows}
        expect(kinds == {("8", 1), ("0", 2)}, f"echoes are in, answers are out: {rows}")
    with s.check("a snap length cuts, a wrong filter is refused in libpcap's words"):
        path = s.path("short.pcapng")
        daemon.call("capture.start", port="vm2", file=str(path), direction="tx", snaplen=60)
        vm1.ping("10.0.0.2", count=3, size=1000)
        daemon.call("capture.stop", name=daemon.call("capture.show")[-1]["name"])
        rows = tshark(path, "frame.len", "frame.cap_len", keep="icmp.type == 8")
        expect(rows == [["1042", "60"]] * 3, f"frames: {rows}")
        error = refused(daemon, "capture.start", port="vm1", file=str(path), filter="no such thing")
        expect("filter" in str(error), f"says: {error}")
    with s.check("a port with an MTU loses longer frames by name"):
        readd(daemon, "vm2", mtu=1500)
        vm1.reaches("10.0.0.2")
        status, _ = vm1.run("ping -q -c 1 -W 1 -s 8972 10.0.0.2")
        expect(status != 0, "a jumbo frame passed a port with an MTU of 1500")
        lost = sum(port["drops"].get("too_long", 0) for port in daemon.call("port.show"))
        expect(lost > 0, "nothing was dropped as too_long")
    with s.check("ports of one group do not hear each other"):
        for name in ("vm1", "vm2"):
            readd(daemon, name, group="apart")
        expect(vm1.run("ping -q -c 2 -W 1 10.0.0.2")[0] != 0, "a ping crossed the group")
        for name in ("vm1", "vm2"):
            readd(daemon, name)
        wait_until("they hear each other again", lambda: vm1.run("ping -c 1 -W 1 10.0.0.2")[0] == 0, 20)


tell(story)
