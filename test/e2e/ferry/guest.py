# SPDX-License-Identifier: BSD-3-Clause
"""A Linux guest under QEMU, with its console and QEMU's control socket in our hands."""

import dataclasses
import json
import shlex
import socket

from ferry.console import Console
from ferry.process import Failure, Process
from ferry.qmp import Qmp

BOOT_SECONDS = 90.0
# What a busy machine may take on top before a guest's console counts as dead.
GRACE_SECONDS = 15.0
PANIC = r"Kernel panic|BUG:|Oops:|@guest failed"
# Not a multiple of 256 KiB: for round sizes QEMU's emulation tracks dirty pages badly.
MEMORY = "131080K"
# no_timer_check: on a busy machine the emulated timer may look dead for the moment of the check.
KERNEL_LINE = "console=ttyS0 quiet nokaslr mitigations=off no_timer_check"


@dataclasses.dataclass
class Nic:
    """A vhost-user network device; `server` says that QEMU listens on the socket."""

    socket: str
    mac: str
    server: bool = False
    reconnect: bool = True
    queues: int = 1
    packed: bool = False
    options: str = ""

    def arguments(self, index):
        role = "server=on" if self.server else "reconnect=1" if self.reconnect else ""
        chardev = f"socket,id=c{index},path={self.socket}" + (f",{role}" if role else "")
        device = (
            f"virtio-net-pci,netdev=n{index},mac={self.mac},romfile=,vectors=0"
            f",packed={'on' if self.packed else 'off'}"
        )
        if self.queues > 1:
            device += ",mq=on"
        if self.options:
            device += f",{self.options}"
        return [
            *("-chardev", chardev),
            *("-netdev", f"vhost-user,id=n{index},chardev=c{index},queues={self.queues}"),
            *("-device", device),
        ]


class Job:
    """A command that runs in the background of a guest."""

    def __init__(self, guest, number, command):
        self.guest = guest
        self.file = f"/tmp/job{number}"
        self.command = command

    def wait(self, seconds=60.0):
        """Waits for its end; returns (exit status, output)."""
        self.guest.need(f"until [ -e {self.file}.status ]; do usleep 20000; done", seconds)
        status = int(self.guest.need(f"cat {self.file}.status"))
        return status, self.guest.need(f"cat {self.file}")

    def result(self, seconds=60.0):
        """Waits for the end of a guestio command and returns what it counted."""
        _, out = self.wait(seconds)
        try:
            return json.loads(out.strip().splitlines()[-1])
        except (IndexError, ValueError):
            raise Failure(f"{self.guest.name}: {self.command}: {out.strip()}") from None


class Guest:
    """A guest; its QEMU is started by the constructor, ready() waits for the shell."""

    def __init__(self, story, name, *nics, smp=1, arguments=()):
        self.story = story
        self.name = name
        self.jobs = 0
        kernel, initrd = story.image()
        serial = listen(story.path(f"{name}.serial"))
        control = listen(story.path(f"{name}.qmp"))
        self.qemu = Process(
            name,
            [
                "qemu-system-x86_64",
                *("-accel", "tcg,thread=multi", "-smp", smp, "-m", MEMORY),
                *("-object", f"memory-backend-memfd,id=m,size={MEMORY},share=on"),
                *("-numa", "node,memdev=m", "-nodefaults", "-no-user-config", "-nographic"),
                *("-chardev", f"socket,id=serial,path={story.path(f'{name}.serial')}"),
                *("-serial", "chardev:serial"),
                *("-chardev", f"socket,id=qmp,path={story.path(f'{name}.qmp')}"),
                *("-mon", "chardev=qmp,mode=control"),
                *("-kernel", kernel, "-initrd", initrd),
                *("-append", KERNEL_LINE),
                *(arg for index, nic in enumerate(nics) for arg in nic.arguments(index)),
                *arguments,
            ],
            story.log_path(f"{name}.qemu"),
        )
        story.keep(self.qemu)
        self.serial = accept(serial, self.qemu)
        self.control = accept(control, self.qemu)
        self.monitor = None
        self.console = Console(
            f"console of {name}",
            lambda: self.serial.recv(65536),
            self.serial.sendall,
            story.log_path(f"{name}.console"),
        )

    @property
    def qmp(self):
        """QEMU answers only once its front-ends are connected, so not before it is asked for."""
        if self.monitor is None:
            self.monitor = Qmp(self.control)
        return self.monitor

    def ready(self, seconds=BOOT_SECONDS):
        """Waits for the shell."""
        self.console.expect(r"@guest ready [^@]*@\r?\n", seconds, PANIC)
        return self

    def run(self, command, seconds=20.0):
        """Runs a shell command; returns (exit status, output).  One that takes longer is killed."""
        token = self.story.number("token")
        self.console.send(f"{token} {int(seconds)}\n{command}\n")
        out, match = self.console.expect(rf"@{token} (\d+)@\r?\n", seconds + GRACE_SECONDS, PANIC)
        return int(match[1]), out.replace("\r\n", "\n")

    def need(self, command, seconds=20.0):
        """Runs a command that has to succeed; returns its output."""
        status, out = self.run(command, seconds)
        if status != 0:
            raise Failure(f"{self.name}: {command}: exit status {status}: {out.strip()}")
        return out

    def spawn(self, command):
        """Starts a command in the background."""
        self.jobs += 1
        job = Job(self, self.jobs, command)
        inner = f"{command} >{job.file} 2>&1; echo $? >{job.file}.new; mv {job.file}.new {job.file}.status"
        self.need(f"rm -f {job.file}.status; sh -c {shlex.quote(inner)} &")
        return job

    def configure(self, *addresses, iface="eth0", mtu=1500):
        """Brings an interface up with its addresses."""
        self.need(f"ip link set {iface} mtu {mtu} up")
        for address in addresses:
            self.need(f"ip addr add {address} dev {iface}")

    def ping(self, address, count=3, size=56, seconds=30.0):
        """Pings; fails unless each echo came back."""
        out = self.need(f"ping -q -i 0.2 -c {count} -s {size} -W 5 {address}", seconds)
        if f"{count} packets received" not in out:
            raise Failure(f"{self.name}: ping {address}: {out.strip()}")

    def reaches(self, address, seconds=30):
        """Pings again and again until one comes back."""
        self.need(f"until ping -q -c 1 -W 1 {address} >/dev/null; do :; done", seconds)

    def reboot(self):
        """Restarts the guest from within and waits for its shell."""
        self.console.send(f"{self.story.number('token')} 10\nreboot -f\n")
        return self.ready()

    def kill(self):
        """kill -9 of QEMU."""
        self.qemu.kill()

    def stop(self):
        self.qemu.stop()


def listen(path):
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    sock.listen(1)
    return sock


def accept(sock, process):
    """Waits for QEMU to connect, but not longer than it lives."""
    sock.settimeout(0.2)
    for _ in range(100):
        try:
            connection, _ = sock.accept()
        except TimeoutError:
            if process.status() is not None:
                break
            continue
        sock.close()
        connection.settimeout(None)
        return connection
    raise Failure(f"QEMU of {process.name} did not connect: {process.log()[-500:]}")
