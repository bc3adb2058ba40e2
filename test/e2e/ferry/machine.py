# SPDX-License-Identifier: BSD-3-Clause
"""One QEMU with its console and its control socket in our hands: the place where a guest runs."""

import dataclasses
import os
import socket

from ferry.console import Console
from ferry.process import Failure, Process
from ferry.qmp import Qmp

# Not a multiple of 256 KiB: for round sizes QEMU's emulation tracks dirty pages badly.
MEMORY = "131080K"
# no_timer_check: on a busy machine the emulated timer may look dead for the moment of the check;
# nowatchdog: and an emulated processor stuck, which boots under all that is still sent to it.
KERNEL_LINE = "console=ttyS0 quiet nokaslr mitigations=off no_timer_check nowatchdog"


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


class Machine:
    """A QEMU, started by the constructor; it ends with the story."""

    def __init__(self, story, name, nics, smp=1, arguments=()):
        self.name = name
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

    def memory(self):
        """The guest's RAM, as a file."""
        folder = f"/proc/{self.qemu.pid}/fd"
        for number in os.listdir(folder):
            if "memory-backend-memfd" in os.readlink(f"{folder}/{number}"):
                return f"{folder}/{number}"
        raise Failure(f"{self.name}: no memory among the files of QEMU")

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
