#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A port on a real device: its guest reaches who is on the device's wire, in hardware and in software.

usage: l1/run --nics 3 vdpa_l1.py [HANDOVERS]

The first device is the port's, the second belongs to a station that sends back what it hears, the
third is the uplink through which software reaches the same wire.
"""

import json
import statistics
import sys

from ferry.l1 import Nic, devices, monitor
from ferry.pmd import DriverPmd, Testpmd
from ferry.process import wait_until
from ferry.story import tell
from ferry.traffic import expect
from ferry.vdpa import plugin

HANDOVERS = int(sys.argv[1]) if len(sys.argv) > 1 else 5
GUEST = "52:54:00:00:00:0a"
STATION = "52:54:00:00:02:00"
ENOUGH = 500


def start(s, device, uplink):
    config = s.path("ferry.json")
    eal, env = plugin()
    ports = [
        {"name": "up", "type": "ethdev", "devargs": uplink},
        {
            "name": "a",
            "type": "vhost-user",
            "socket": str(s.path("a.sock")),
            "queues": 1,
            "vdpa": device,
            "uplink": "up",
        },
    ]
    config.write_text(json.dumps({"eal": eal, "ports": ports}))
    return s.switch("-c", config, env=env, seconds=90)


def passes(guest):
    """Frames go to the station and come back; a few that the wire loses are sent anew."""
    guest.command("stop", r"Done\.|not started")
    guest.command("start tx_first 4", "Logical Core|forwarding")
    start_rx = guest.stats()["rx"]
    wait_until("frames come back", lambda: guest.stats()["rx"] - start_rx > ENOUGH, 30)


def hand_over(daemon, to):
    now = daemon.call("port.provider", name="a", to=to)
    expect(now["now"] == to, f"{now}")
    return now["last_gap_us"]


def story(s):
    device, station, uplink = devices()[:3]
    nic = Nic(monitor(), 1)
    daemon = start(s, device, uplink)
    guest = Testpmd(
        s,
        "guest",
        s.path("a.sock"),
        GUEST,
        arguments=("--forward-mode=macswap", f"--eth-peer=0,{STATION}"),
    )
    echo = DriverPmd(s, "station", station, arguments=("--forward-mode=macswap",))
    echo.command("start", "Logical Core|forwarding")
    with s.check("ferryd has the device, and the guest is in hardware"):
        daemon.wait_running("a")
        listed = next(entry for entry in daemon.call("vdpa.show") if entry["port"] == "a")
        expect(listed["name"] == device, f"{listed}")
        expect(hand_over(daemon, "hw") is not None, "no gap")
    with s.check("the guest's frames are moved by the device"):
        before = nic.queue(1)["used-idx"]
        passes(guest)
        expect(any("DRIVER_OK" in line for line in nic.status()), f"status: {nic.status()}")
        expect(nic.queue(1)["used-idx"] != before, "QEMU has sent nothing")
    gaps = {"sw": [], "hw": []}
    with s.check(f"{HANDOVERS} handovers each way: frames pass after each"):
        for _ in range(HANDOVERS):
            for to, seen in gaps.items():
                seen.append(hand_over(daemon, to))
                running = any("DRIVER_OK" in line for line in nic.status())
                expect(running == (to == "hw"), f"{to}, but the device's status is {nic.status()}")
                passes(guest)
    for to, seen in gaps.items():
        if seen:
            print(f"# to {to}: gap {statistics.median(seen):.0f} us at the median, under emulation")
    with s.check("ferryd ends, and the device is reset"):
        expect(daemon.stop(20) == 0, "exit status")
        expect(not any("DRIVER_OK" in line for line in nic.status()), f"status: {nic.status()}")


tell(story)
