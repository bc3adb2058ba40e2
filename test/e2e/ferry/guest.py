# SPDX-License-Identifier: BSD-3-Clause
"""A Linux guest and what can be asked of its shell, whichever QEMU it runs in."""

import json
import shlex

from ferry.machine import Machine
from ferry.process import Failure

BOOT_SECONDS = 90.0
# What a busy machine may take on top before a guest's console counts as dead.
GRACE_SECONDS = 15.0
PANIC = r"Kernel panic|BUG:|Oops:|@guest failed"


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

    def signal(self, name):
        self.guest.need(f"kill -{name} $(cat {self.file}.pid)")

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
        self.smp = smp
        self.jobs = 0
        self.machine = Machine(story, name, nics, smp, arguments)

    @property
    def console(self):
        return self.machine.console

    @property
    def qmp(self):
        return self.machine.qmp

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
        """Starts a program in the background."""
        self.jobs += 1
        job = Job(self, self.jobs, command)
        inner = (
            f"{command} >{job.file} 2>&1 & echo $! >{job.file}.pid; wait $!;"
            f" echo $? >{job.file}.new; mv {job.file}.new {job.file}.status"
        )
        self.need(f"rm -f {job.file}.status {job.file}.pid; sh -c {shlex.quote(inner)} &")
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
        self.machine.kill()

    def stop(self):
        self.machine.stop()
