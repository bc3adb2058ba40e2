# SPDX-License-Identifier: BSD-3-Clause
"""Counted traffic that goes on until it is told to end, whatever happens meanwhile.

Who sends and who receives is asked only at the start and at the end: in between a guest may be
on its way to another QEMU.
"""

from ferry.traffic import PORT, expect, listening

LIMIT = 240
RATES = (2000, 1400, 1000, 700, 500, 350, 250)
RECORD_BYTES = 256
# In a guest's own hands: a socket, the backlog of a CPU, and its network driver.
GUEST_DROPS = r"""
awk '/^Udp: [0-9]/ { print "receive_buffer", $6 }' /proc/net/snmp
awk '{ n += ("0x" $2) + 0 } END { print "backlog", n + 0 }' /proc/net/softnet_stat
for f in /sys/class/net/eth0/statistics/rx_dropped; do echo "driver $(cat $f)"; done
"""


def guest_drops(guest):
    """Frames that a guest has received and then dropped, by name."""
    words = guest.need(GUEST_DROPS.strip().replace("\n", "; ")).split()
    return {name: int(count) for name, count in zip(words[::2], words[1::2])}


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
