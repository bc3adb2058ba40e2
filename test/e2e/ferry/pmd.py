# SPDX-License-Identifier: BSD-3-Clause
"""DPDK's virtio-user device, a real vhost-user front-end, driven by testpmd."""

import os
import re
import shutil

from ferry.process import Failure, Process, wait_until

STATISTICS = {
    "rx": r"RX-packets: +(\d+)",
    "rx_bytes": r"RX-bytes: +(\d+)",
    "tx": r"TX-packets: +(\d+)",
    "tx_bytes": r"TX-bytes: +(\d+)",
}


# In a guest without hardware acceleration, too.
START_SECONDS = 90

# What a testpmd needs of hugepages; ferryd may want some at the same time.
HUGEPAGES = 64


def free_hugepages():
    with open("/proc/meminfo") as file:
        return int(re.search(r"HugePages_Free: +(\d+)", file.read())[1])


def runtime_folder(prefix):
    """Where EAL keeps the files of a process with ordinary pages; it leaves the folder behind."""
    root = "/var/run" if os.getuid() == 0 else os.environ.get("XDG_RUNTIME_DIR", "/tmp")
    return f"{root}/dpdk/{prefix}"


def memory(story, name, huge):
    """EAL arguments for memory that can be shared: hugepages where there are some, or ordinary pages."""
    if huge and free_hugepages() >= 2 * HUGEPAGES:
        return ["--in-memory", "--single-file-segments"]
    prefix = f"ferry-{name}-{os.getpid()}"
    story.at_end.callback(shutil.rmtree, runtime_folder(prefix), ignore_errors=True)
    return ["--no-huge", "-m", "256", "--no-shconf", f"--file-prefix={prefix}"]


class Pmd(Process):
    """A testpmd and its command line."""

    def __init__(self, story, name, eal, arguments):
        program = shutil.which("dpdk-testpmd")
        if program is None:
            raise Failure("dpdk-testpmd is not installed (package dpdk-dev)")
        reader, self.stdin_fd = os.pipe()
        argv = [
            *("stdbuf", "-oL", program, *eal, "--no-telemetry"),
            *("--", "-i", "--no-mlockall", *arguments),
        ]
        super().__init__(name, argv, story.log_path(name), stdin=reader)
        os.close(reader)
        story.keep(self)
        self.wait_line(r"testpmd> *", START_SECONDS)

    def command(self, line, pattern=None, seconds=10.0):
        """Types a line; waits for a pattern behind it and returns the match."""
        mark = f"# {line}"
        seen = len(self.log())
        os.write(self.stdin_fd, f"{line}\n".encode())
        if pattern is None:
            return None
        expression = re.compile(pattern)
        return wait_until(
            f"{self.name}: {mark}: /{pattern}/",
            lambda: expression.search(self.log(), seen),
            seconds,
            alive=[self],
        )

    def stats(self, port=0):
        """Frames and bytes of a device."""
        match = self.command(
            f"show port stats {port}", rf"(?s)NIC statistics for port {port}.*?Tx-pps.*?####"
        )
        return {name: int(re.search(text, match[0])[1]) for name, text in STATISTICS.items()}

    def quit(self):
        os.write(self.stdin_fd, b"quit\n")
        return self.wait(15)


class Testpmd(Pmd):
    """One testpmd with one virtio-user device."""

    def __init__(
        self,
        story,
        name,
        path,
        mac,
        *,
        server=False,
        packed=False,
        queues=1,
        huge=True,
        arguments=(),
    ):
        vdev = f"net_virtio_user0,path={path},mac={mac},queues={queues}"
        vdev += f",server={int(server)},packed_vq={int(packed)}"
        eal = [*memory(story, name, huge), "--iova-mode=va", "--no-pci", "--vdev", vdev]
        rings = (f"--rxq={queues}", f"--txq={queues}")
        super().__init__(story, name, eal, ("--total-num-mbufs=8192", *rings, *arguments))


class DriverPmd(Pmd):
    """A testpmd with DPDK's own driver on PCI devices behind VFIO."""

    def __init__(self, story, name, *addresses, arguments=()):
        allowed = [word for address in addresses for word in ("-a", address)]
        eal = ["--in-memory", "-m", "40", *allowed]
        super().__init__(story, name, eal, ("--total-num-mbufs=4096", *arguments))
