# SPDX-License-Identifier: BSD-3-Clause
"""Counted traffic between guests: what arrives is what was sent, or its loss has a name."""

from ferry.daemon import dropped
from ferry.process import Failure, wait_until

PORT = 7000


def expect(condition, what):
    if not condition:
        raise Failure(what)


def listening(guest, table, port, seconds=20):
    """Waits until something in a guest is bound to a port."""
    guest.need(f"until grep -q ':{port:04X} ' /proc/net/{table}; do usleep 20000; done", seconds)


class Stream:
    """TCP connections whose records are numbered and checked, running until finish()."""

    def __init__(
        self,
        sender,
        receiver,
        address,
        flows=1,
        count=None,
        seconds=5,
        duplex=False,
        limit=60,
    ):
        port = PORT + int(sender.story.number("")) % 1000
        self.sender, self.receiver, self.duplex, self.limit = sender, receiver, duplex, limit
        both = f"--flows {flows}" + (f" --duplex --count {count}" if duplex else "")
        self.incoming = receiver.spawn(f"guestio stream-recv {port} {both} --seconds {limit}")
        listening(receiver, "tcp6", port)
        amount = "" if duplex else f" --count {count}" if count else f" --seconds {seconds}"
        self.outgoing = sender.spawn(f"guestio stream-send {address} {port} {both}{amount}")

    def finish(self):
        """Waits for the end of both sides and checks that all came through; returns what arrived."""
        sent = self.outgoing.result(self.limit)
        received = self.incoming.result(self.limit)
        where = f"{self.sender.name} to {self.receiver.name}: sent {sent}, received {received}"
        expect(sent["complete"] and received["complete"], f"stream broke off, {where}")
        for end in (sent, received):
            for fault in ("lost", "duplicates", "reordered", "corrupt"):
                expect(end[fault] == 0, f"{fault}, {where}")
        expect(received["records"] > 0, f"nothing came, {where}")
        expect(self.duplex or sent["bytes"] == received["bytes"], f"bytes differ, {where}")
        return received


def stream(*args, **options):
    return Stream(*args, **options).finish()


class Datagrams:
    """Numbered UDP datagrams, on their way until finish()."""

    def __init__(self, daemon, sender, receiver, address, count=1000, size=1000, rate=1000, flows=1):
        port = PORT + int(sender.story.number("")) % 1000
        self.daemon, self.sender, self.receiver = daemon, sender, receiver
        self.limit = 30 + count * flows / rate
        self.before = drops(daemon)
        both = f"--count {count} --flows {flows}"
        self.incoming = receiver.spawn(f"guestio dgram-recv {port} {both} --idle-ms 3000")
        listening(receiver, "udp6", port)
        self.outgoing = sender.spawn(f"guestio dgram-send {address} {port} {both} --size {size} --rate {rate}")

    def finish(self):
        """What did not arrive has to be in the drop counters of ferryd; returns what arrived."""
        sent, received = self.outgoing.result(self.limit), self.incoming.result(self.limit)
        where = f"{self.sender.name} to {self.receiver.name}: sent {sent}, received {received}"
        for fault in ("duplicates", "reordered", "corrupt"):
            expect(received[fault] == 0, f"{fault}, {where}")
        lost = sent["records"] - received["records"]
        expect(received["records"] > 0, f"nothing came, {where}")
        expect(lost <= drops(self.daemon) - self.before, f"{lost} lost without a name, {where}")
        return received


def datagrams(*args, **options):
    return Datagrams(*args, **options).finish()


def flowing(daemon, name, size=1000000):
    """Waits until a port has received so many bytes more: a stream is in full swing."""
    before = daemon.port(name)["rx"]["bytes"]
    wait_until(
        f"{name} sends {size} bytes",
        lambda: daemon.port(name)["rx"]["bytes"] - before >= size,
        30,
        alive=[daemon],
    )


def drops(daemon):
    """Frames that ferryd has dropped on all ports."""
    return sum(dropped(port) for port in daemon.call("port.show"))


def mean_frame(before, after, direction):
    """Bytes per frame that a port has seen between two looks at it."""
    frames = after[direction]["frames"] - before[direction]["frames"]
    size = after[direction]["bytes"] - before[direction]["bytes"]
    expect(frames > 0, f"no {direction} frames on {after['name']}")
    return size / frames
