# SPDX-License-Identifier: BSD-3-Clause
"""What a story finds that runs inside the guest of test/tools/l1: devices behind VFIO, and QEMU."""

import io
import os

from ferry.qmp import Qmp
from ferry.story import Skip

PORT = "/dev/virtio-ports/qmp"
NICS = [f"0000:0{bus}:00.0" for bus in range(1, 5)]


class Port:
    """The guest's end of QEMU's control socket, as Qmp wants a connection."""

    def __init__(self):
        self.raw = open(PORT, "r+b", buffering=0)

    def settimeout(self, seconds):
        """The guest itself has a limit of time."""

    def makefile(self, _mode, **options):
        return io.TextIOWrapper(io.BufferedRWPair(self.raw, self.raw), **options)


class Nic:
    """One device, as QEMU sees it: what it says of its rings is not ours."""

    def __init__(self, qmp, number):
        self.qmp = qmp
        self.path = f"/machine/peripheral/nic{number}/virtio-backend"

    def status(self):
        """Names of the bits of the status register that are set."""
        text = self.qmp.call("x-query-virtio-status", path=self.path)["status"]["statuses"]
        return [line.split(":")[0] for line in text]

    def queue(self, index):
        return self.qmp.call("x-query-virtio-queue-status", path=self.path, queue=index)


def devices():
    """Their PCI addresses; a story outside of the guest ends here."""
    if not os.path.exists(PORT):
        raise Skip("this story runs inside the guest of test/tools/l1")
    return [nic for nic in NICS if os.path.exists(f"/sys/bus/pci/drivers/vfio-pci/{nic}")]


def monitor():
    return Qmp(Port())
