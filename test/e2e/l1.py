#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The guest of test/tools/l1 is what stories in it take it for: DPDK's own driver moves frames there.

usage: l1/run l1.py
"""

from ferry.l1 import Nic, devices, monitor
from ferry.pmd import DriverPmd
from ferry.process import wait_until
from ferry.story import tell
from ferry.traffic import expect

ENOUGH = 20000


def story(s):
    addresses = devices()
    with s.check("two devices are on VFIO, each in an IOMMU group of its own"):
        expect(len(addresses) == 2, f"on VFIO: {addresses}")
    qmp = monitor()
    nics = [Nic(qmp, number) for number in (1, 2)]
    with s.check("QEMU has no driver on them"):
        for nic in nics:
            expect("DRIVER_OK" not in " ".join(nic.status()), f"status: {nic.status()}")
    pmd = DriverPmd(s, "pmd", *addresses)
    with s.check("DPDK's driver moves frames over the wire, both ways"):
        pmd.command("start tx_first", "Logical Core|forwarding")
        for port in (0, 1):
            wait_until(f"port {port} receives", lambda p=port: pmd.stats(p)["rx"] > ENOUGH, 30)
        pmd.command("stop", r"Done\.")
    with s.check("QEMU counts the same frames in its rings"):
        pmd.command("set fwd rxonly")
        counted = [pmd.stats(port)["tx"] for port in (0, 1)]
        used = [nic.queue(1)["used-idx"] for nic in nics]
        expect([count % 65536 for count in counted] == used, f"sent {counted}, used index {used}")
    with s.check("the driver leaves, and the devices are reset"):
        pmd.quit()
        for nic in nics:
            expect("DRIVER_OK" not in " ".join(nic.status()), f"status: {nic.status()}")


tell(story)
