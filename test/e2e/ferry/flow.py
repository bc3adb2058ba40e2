# SPDX-License-Identifier: BSD-3-Clause
"""Counted traffic that goes on until it is told to end, whatever happens meanwhile.

Who sends and who receives is asked only at the start and at the end: in between a guest may be
on its way to another QEMU.
"""

import re
import time

from ferry.process import Failure
from ferry.traffic import PORT, expect, listening

LIMIT = 240
# Datagrams a second towards a guest that migrates: the first that it takes all of; and from it.
RATES = (2000, 1400, 1000, 700, 500, 350, 250)
RATE_BACK = 200
RECORD_BYTES = 256
# A guest's own: what its system dropped, and frames that came while it offered no buffer.
OWN_DROPS = r"^guest | no_desc$"
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

    def end(self):
        self.outgoing.signal("USR1")

    def finish(self):
        """Waits for its end in good order; returns what was sent and what the receiver's socket saw."""
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

    def end(self):
        self.outgoing.signal("USR1")

    def finish(self):
        """Waits for its end in good order and checks that all came through, once and as it was."""
        sent, seen = self.outgoing.result(), self.incoming.result()
        where = f"{self.name}: sent {sent}, received {seen}"
        expect(sent["complete"] and seen["complete"], f"broke off, {where}")
        expect(sent["records"] == seen["records"] > 0, f"records differ, {where}")
        for fault in ("lost", "duplicates", "reordered", "corrupt"):
            expect(seen[fault] == 0, f"{fault}, {where}")
        return {"flow": self.name, "sent": sent["records"], "received": seen["records"]}


class Ping:
    """An echo every 20 ms."""

    def __init__(self, sender, address, rate=50):
        self.name = f"ping {sender.name} to {address}"
        self.job = sender.spawn(f"guestio ping {address} --rate {rate} --seconds {LIMIT}")

    def end(self):
        self.job.signal("USR1")

    def finish(self):
        seen = self.job.result()
        return {
            "flow": self.name,
            "sent": seen["records"] + seen["lost"],
            "received": seen["records"],
            "missing": seen["lost"],
            **{key: seen[key] for key in ("duplicates", "reordered", "corrupt")},
            "gap_ms": round(seen["longest_gap_ms"]),
        }


def mixed(peer, guest, peer_address, guest_address, rate):
    """All that a guest hears and says while it migrates: datagrams both ways, echoes and a stream."""
    return [
        Flow(peer, guest, guest_address, rate),
        Flow(guest, peer, peer_address, RATE_BACK),
        Ping(peer, guest_address),
        Stream(peer, guest, guest_address),
    ]


class Traffic:
    """Flows that run side by side, and who has dropped something meanwhile."""

    def __init__(self, daemons, guests, start):
        self.daemons = daemons
        self.guests = guests
        self.before = self.drops()
        self.flows = start()

    def finish(self):
        """Ends it all; streams have to be intact.  Returns what each flow has seen."""
        for flow in self.flows:
            flow.end()
        seen = [flow.finish() for flow in self.flows]
        for flow in seen:
            print(f"# {flow}", flush=True)
        return seen

    def drops(self):
        """What the guests themselves and ferryd's ports have dropped so far, by name."""
        drops = {}
        for guest in self.guests:
            for name, count in guest_drops(guest).items():
                drops[f"guest {guest.name} {name}"] = count
        for daemon in self.daemons:
            for port in daemon.call("port.show"):
                for name, count in port["drops"].items():
                    drops[f"{daemon.name} {port['name']} {name}"] = count
        return drops

    def blamed(self):
        """Who has dropped something since the start."""
        more = {name: count - self.before.get(name, 0) for name, count in self.drops().items()}
        return {name: count for name, count in more.items() if count > 0}

    def nothing_lost(self):
        """Ends it all; everything has to have arrived, once and in order.

        False where all that is missing is frames for which a guest itself had no room.
        """
        faults = {}
        for flow in self.finish():
            faults.update({f"{flow['flow']}: {name}": flow[name] for name in FAULTS if flow.get(name)})
        blamed = self.blamed()
        own = sum(count for name, count in blamed.items() if re.search(OWN_DROPS, name))
        if faults and all(name.endswith(": missing") for name in faults) and sum(faults.values()) <= own:
            print(f"# a guest had no room: {faults}; dropped: {blamed}", flush=True)
            return False
        expect(not faults, f"{faults}; dropped: {blamed}")
        return True


def calibrate(sender, receiver, address, seconds=2):
    """The highest of the rates at which a guest that stays where it is takes every datagram."""
    for rate in RATES:
        flow = Flow(sender, receiver, address, rate)
        time.sleep(seconds)
        flow.end()
        seen = flow.finish()
        if seen["missing"] == 0:
            print(f"# {receiver.name} takes {rate} datagrams a second", flush=True)
            return rate
    raise Failure(f"{receiver.name} loses datagrams at any rate: {seen}")
