# SPDX-License-Identifier: BSD-3-Clause
"""Counted traffic that goes on until it is told to end, whatever happens meanwhile.

Who sends and who receives is asked only at the start and at the end: in between a guest may be
on its way to another QEMU.
"""

import time

from ferry.process import Failure
from ferry.traffic import PORT, expect, listening

LIMIT = 240
# Datagrams a second towards a guest that migrates: the first that it takes all of; and from it.
RATES = (2000, 1400, 1000, 700, 500, 350, 250)
RATE_BACK = 200
RECORD_BYTES = 256
FAULTS = ("missing", "duplicates", "reordered", "corrupt")


def guest_drops(guest):
    """Frames that a guest has received and then dropped itself, by name."""
    snmp = "awk '/^Udp: [0-9]/ { print $6 }' /proc/net/snmp"
    backlog = "awk '{ print $2 }' /proc/net/softnet_stat"
    driver = "cat /sys/class/net/eth0/statistics/rx_dropped"
    return {
        "receive_buffer": int(guest.need(snmp)),
        "backlog": sum(int(word, 16) for word in guest.need(backlog).split()),
        "driver": int(guest.need(driver)),
    }


class Flow:
    """Numbered datagrams at a steady rate."""

    def __init__(self, sender, receiver, address, rate, size=RECORD_BYTES):
        port = PORT + int(sender.story.number("")) % 1000
        self.name = f"{sender.name} to {receiver.name}"
        self.incoming = receiver.spawn(f"guestio dgram-recv {port} --idle-ms 0 --seconds {LIMIT}")
        listening(receiver, "udp6", port)
        command = f"guestio dgram-send {address} {port} --size {size} --rate {rate}"
        self.outgoing = sender.spawn(f"{command} --seconds {LIMIT}")

    def finish(self):
        """Ends it in good order; returns what was sent and what the receiver's socket saw."""
        self.outgoing.signal("USR1")
        sent = self.outgoing.result()["records"]
        self.incoming.signal("USR1")
        seen = self.incoming.result()
        return {
            "flow": self.name,
            "sent": sent,
            "received": seen["records"],
            "missing": sent - seen["records"],
            **{key: seen[key] for key in ("duplicates", "reordered", "corrupt", "socket_drops")},
            "gap_ms": round(seen["longest_gap_ms"]),
        }


class Stream:
    """A TCP connection of checked records, at a rate that leaves room for others."""

    def __init__(self, sender, receiver, address, rate=40, size=4096):
        port = PORT + int(sender.story.number("")) % 1000
        self.name = f"TCP {sender.name} to {receiver.name}"
        self.incoming = receiver.spawn(f"guestio stream-recv {port} --seconds {LIMIT}")
        listening(receiver, "tcp6", port)
        command = f"guestio stream-send {address} {port} --size {size} --rate {rate}"
        self.outgoing = sender.spawn(f"{command} --seconds {LIMIT}")

    def finish(self):
        """Ends it in good order and checks that all came through, once and as it was."""
        self.outgoing.signal("USR1")
        sent, seen = self.outgoing.result(), self.incoming.result()
        where = f"{self.name}: sent {sent}, received {seen}"
        expect(sent["complete"] and seen["complete"], f"broke off, {where}")
        expect(sent["records"] == seen["records"] > 0, f"records differ, {where}")
        for fault in ("lost", "duplicates", "reordered", "corrupt"):
            expect(seen[fault] == 0, f"{fault}, {where}")
        return seen


class Ping:
    """An echo every 20 ms."""

    def __init__(self, sender, address, rate=50):
        self.name = f"ping {sender.name} to {address}"
        self.job = sender.spawn(f"guestio ping {address} --rate {rate} --seconds {LIMIT}")

    def finish(self):
        self.job.signal("USR1")
        seen = self.job.result()
        return {
            "flow": self.name,
            "sent": seen["records"] + seen["lost"],
            "received": seen["records"],
            "missing": seen["lost"],
            **{key: seen[key] for key in ("duplicates", "reordered", "corrupt")},
            "gap_ms": round(seen["longest_gap_ms"]),
        }


class Traffic:
    """All that a guest hears and says while it migrates: datagrams both ways, a stream and echoes."""

    def __init__(self, peer, guest, peer_address, guest_address, rate):
        self.guest = guest
        self.drops = guest_drops(guest)
        self.flows = [
            Flow(peer, guest, guest_address, rate),
            Flow(guest, peer, peer_address, RATE_BACK),
            Ping(peer, guest_address),
        ]
        self.stream = Stream(peer, guest, guest_address)

    def finish(self):
        """Ends it all; the stream has to be intact.  Returns what each flow has seen."""
        seen = [flow.finish() for flow in self.flows]
        self.stream.finish()
        for flow in seen:
            print(f"# {flow}", flush=True)
        return seen

    def dropped_by_guest(self):
        now = guest_drops(self.guest)
        return {name: now[name] - self.drops[name] for name in now if now[name] > self.drops[name]}

    def nothing_lost(self):
        """Ends it all; everything has to have arrived, once and in order."""
        faults = {
            flow["flow"]: {name: flow[name] for name in FAULTS if flow[name]} for flow in self.finish()
        }
        faults = {name: found for name, found in faults.items() if found}
        expect(not faults, f"{faults}; dropped by {self.guest.name} itself: {self.dropped_by_guest()}")


def calibrate(sender, receiver, address, seconds=2):
    """The highest of the rates at which a guest that stays where it is takes every datagram."""
    for rate in RATES:
        flow = Flow(sender, receiver, address, rate)
        time.sleep(seconds)
        seen = flow.finish()
        if seen["missing"] == 0:
            print(f"# {receiver.name} takes {rate} datagrams a second", flush=True)
            return rate
    raise Failure(f"{receiver.name} loses datagrams at any rate: {seen}")
