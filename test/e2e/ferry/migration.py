# SPDX-License-Identifier: BSD-3-Clause
"""Live migrations of guests, driven over QEMU's control sockets."""

import mmap

from ferry.machine import Machine
from ferry.process import Failure, wait_until

PAGE = 4096
MB = 1 << 20
ENDED = ("completed", "failed", "cancelled")
# Less than what a guest dirties by itself, which is not enough to keep a faster one from ending.
NEVER_ENDING = 16 << 10
SCRATCH = "/tmp/scratch"
WRITER = f"while [ -e {SCRATCH} ]; do cp /bin/busybox {SCRATCH}.1; cp /bin/busybox {SCRATCH}.2; done"


class Migration:
    """One try to move a guest.  Its destination waits from the constructor on; go() sends the guest.

    It ends with arrive() or finish(), after which the guest is found at the destination, or with the guest where
    it was: cancel(), or a destination that was killed and stay().
    """

    def __init__(self, guest, *nics, paused=False):
        self.guest = guest
        self.source = guest.machine
        name = guest.story.number(f"{guest.name}-")
        path = guest.story.path(f"{name}.migration")
        arguments = ["-incoming", f"unix:{path}", *(["-S"] if paused else [])]
        self.uri = f"unix:{path}"
        self.target = Machine(guest.story, name, nics, guest.smp, arguments)
        self.target.qmp.call("query-status")

    def go(self, bandwidth=1000 * MB, downtime_ms=300, halt=False):
        """Starts; with `halt` it stops the guest and waits for go_on() once memory is nearly over."""
        qmp = self.source.qmp
        capabilities = {"pause-before-switchover": halt, "events": True}
        qmp.call(
            "migrate-set-capabilities",
            capabilities=[{"capability": key, "state": on} for key, on in capabilities.items()],
        )
        self.pace(bandwidth, downtime_ms)
        qmp.events.clear()
        qmp.call("migrate", uri=self.uri)
        return self

    def linger(self, rounds=3):
        """Starts, and goes on for ever once most of memory is over: what is not logged now is lost."""
        self.guest.need(f"touch {SCRATCH}")
        self.guest.spawn(f"sh -c '{WRITER}'")
        self.go(bandwidth=30 * MB, downtime_ms=1)
        wait_until(
            f"round {rounds} of {self.guest.name}",
            lambda: self.wait("active")["ram"]["dirty-sync-count"] >= rounds,
            90,
            [self.source.qemu],
        )
        self.pace(NEVER_ENDING, downtime_ms=1)
        return self

    def hurry(self):
        """Has a lingering migration end."""
        self.calm()
        self.pace(1000 * MB)

    def calm(self):
        """Has the guest write no more than it has to."""
        self.guest.need(f"rm -f {SCRATCH}")

    def pace(self, bandwidth, downtime_ms=300):
        parameters = {"max-bandwidth": bandwidth, "downtime-limit": downtime_ms}
        self.source.qmp.call("migrate-set-parameters", **parameters)

    def info(self):
        return self.source.qmp.call("query-migrate")

    def wait(self, *states, seconds=90):
        """Waits for one of the states, or for the end; returns what QEMU tells about it."""

        def reached():
            info = self.info()
            return info if info.get("status") in (*states, *ENDED) else None

        info = wait_until(f"{self.guest.name} is {states}", reached, seconds, [self.source.qemu])
        if info["status"] not in states:
            raise Failure(f"migration of {self.guest.name} is {info['status']}, not {states}: {info}")
        return info

    def go_on(self):
        """Ends the halt."""
        self.source.qmp.call("migrate-continue", state="pre-switchover")

    def arrive(self, *states, seconds=90):
        """Waits for the end; from then on the guest is asked at the destination."""
        self.wait("completed", seconds=seconds)
        states = states or ("running",)
        wait_until(
            f"{self.target.name} is {states}",
            lambda: self.target.qmp.call("query-status")["status"] in states,
            seconds,
            [self.target.qemu],
        )
        self.guest.machine = self.target
        return self.info()

    def finish(self):
        """Waits for the end, leaves the source and says how it went."""
        info = self.arrive()
        print(
            f"# {self.source.name} to {self.target.name}: {info['total-time']} ms,"
            f" {info['ram']['dirty-sync-count']} rounds, stood {self.blackout_ms():.0f} ms",
            flush=True,
        )
        self.leave()

    def blackout_ms(self):
        """From the stop of the source to the start of the destination, by the host's clock."""
        stop = event_us(self.source.qmp, "STOP")
        return (event_us(self.target.qmp, "RESUME") - stop) / 1000

    def leave(self):
        """Ends the QEMU that the guest has left."""
        self.source.stop()

    def cancel(self):
        self.source.qmp.call("migrate_cancel")
        self.wait("cancelled")
        self.stay()

    def stay(self, seconds=60):
        """The guest has to go on where it was."""
        wait_until(
            f"{self.source.name} runs again",
            lambda: self.source.qmp.call("query-status")["status"] == "running",
            seconds,
            [self.source.qemu],
        )
        self.target.kill()
        self.calm()


def event_us(qmp, name):
    """When an event has happened last."""
    qmp.call("query-status")
    times = [event["timestamp"] for event in qmp.events if event["event"] == name]
    if not times:
        raise Failure(f"no event {name} among {qmp.events}")
    return times[-1]["seconds"] * 1000000 + times[-1]["microseconds"]


def different_pages(one, other):
    """Numbers of the pages of RAM in which two machines differ; both have to stand still."""
    with open(one.memory(), "rb") as a, open(other.memory(), "rb") as b:
        with mmap.mmap(a.fileno(), 0, prot=mmap.PROT_READ) as left:
            with mmap.mmap(b.fileno(), 0, prot=mmap.PROT_READ) as right:
                if len(left) != len(right):
                    raise Failure(f"RAM of {len(left)} and {len(right)} bytes")
                return [
                    at // PAGE
                    for at in range(0, len(left), PAGE)
                    if left[at : at + PAGE] != right[at : at + PAGE]
                ]
