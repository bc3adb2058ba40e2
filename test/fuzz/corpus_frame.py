# SPDX-License-Identifier: BSD-3-Clause
"""Inputs of the target frame: see frame.c."""

import struct

PACKED, VERSION_1, MRG, CSUM, TSO4, TSO6, ECN = 1, 2, 4, 8, 16, 32, 64
PLANNED = 128
DISABLED, ISOLATED, STOPPED, BAD_TAIL, SECOND_DISABLED = 8, 16, 32, 64, 128

NEEDS_CSUM = 1
GSO_TCPV4, GSO_TCPV6, GSO_ECN = 1, 4, 0x80


def mac(port):
    return bytes([2, 0, 0, 0, 0, port + 1])


SOMEBODY = bytes.fromhex("020000000099")
ALL = b"\xff" * 6


def eth(to, kind, tags=(), of=mac(0)):
    tagged = b"".join(struct.pack(">HH", proto, vlan) for proto, vlan in tags)
    return to + of + tagged + struct.pack(">H", kind)


def ipv4(options=0):
    head = bytes([0x45 + options, 0, 0, 0, 0x12, 0x34, 0x40, 0, 64, 6, 0, 0])
    return head + bytes([10, 0, 0, 1, 10, 0, 0, 2]) + b"\x01" * 4 * options


def ipv6(extension=b""):
    head = bytes([0x60, 0, 0, 0, 0, 0, 0 if extension else 6, 64])
    return head + bytes(range(16)) + bytes(range(16, 32)) + extension


def tcp(options=0, flags=0x18):
    head = struct.pack(">HHIIBBHHH", 1000, 80, 0xFFFFFF00, 7, (5 + options) << 4, flags, 99, 0, 0)
    return head + b"\x01" * 4 * options


def udp():
    return struct.pack(">HHHH", 53, 53, 0, 0)


def vnet(flags=0, gso_type=0, hdr_len=0, gso_size=0, start=0, offset=0):
    return struct.pack("<BBHHHH", flags, gso_type, hdr_len, gso_size, start, offset)


def frame(head, more=0, hdr=vnet(), cuts=()):
    return hdr + bytes([len(head)]) + head + struct.pack("<I", more)[:3] + bytes(
        [len(cuts), *(cut - 1 for cut in cuts)]
    )


def receiver(features=VERSION_1 | MRG, mtu=0, buffers=((64, 1600, 0),)):
    """Buffers: how many, how long, how long their first pieces."""
    data = struct.pack("<BHB", features, mtu, len(buffers))
    for count, length, first in buffers:
        data += struct.pack("<BHB", count - 1, length - 12, first)
    return data


# What happens between frames: see frame_rig.h.
SEND, OPEN, CANCEL, LEAVE, RETURN, LEARNED, OFFER, TICK, TIMEOUT = range(9)
UPLINK, HELD_BACK = 1, 2


def step(kind, port=1, arg=0):
    return bytes([kind << 1 | port - 1, arg])


def plan(*steps, memory=1 << 18, how=0):
    return struct.pack("<BHB", how, memory >> 4, len(steps)) + b"".join(step(*s) for s in steps)


def switch(*frames, misc=VERSION_1, first=None, second=None, steps=b""):
    first, second = first or receiver(), second or receiver()
    if steps:
        first = bytes([first[0] | PLANNED]) + first[1:]
    return bytes([misc]) + first + second + steps + b"".join(frames)


def small(to=mac(1), **more):
    return frame(eth(to, 0x0800) + ipv4() + udp(), 30, **more)


def tso(ip, kind, gso, size, more, options=0, tags=(), flags=0x99, to=mac(1), cuts=()):
    head = eth(to, kind, tags) + ip
    hdr = vnet(NEEDS_CSUM, gso, 66, size, len(head), 16)
    return frame(head + tcp(options, flags), more, hdr, cuts)


def large4(**more):
    return tso(ipv4(), 0x0800, GSO_TCPV4, 1448, 20000, **more)


def large6(**more):
    return tso(ipv6(), 0x86DD, GSO_TCPV6, 1428, 20000, **more)


def csum_udp(more=101, **how):
    head = eth(mac(1), 0x0800) + ipv4() + udp()
    return frame(head, more, vnet(NEEDS_CSUM, start=34, offset=6), **how)


def bad_headers():
    """One frame for each thing that a header may not ask for."""
    yield small(hdr=vnet(NEEDS_CSUM, start=13, offset=16))
    yield small(hdr=vnet(NEEDS_CSUM, start=71, offset=1))
    yield small(hdr=vnet(NEEDS_CSUM, start=65535, offset=65535))
    yield small(hdr=vnet(NEEDS_CSUM, GSO_ECN, start=34, offset=16))
    yield small(hdr=vnet(NEEDS_CSUM, 3, 0, 100, 34, 6))
    yield small(hdr=vnet(NEEDS_CSUM, GSO_TCPV4, 0, 0, 34, 16))
    yield small(hdr=vnet(0, GSO_TCPV4, 0, 1448, 34, 16))
    yield small(hdr=vnet(NEEDS_CSUM, GSO_TCPV4, 500, 1448, 34, 16))


def lying_headers():
    """Large frames whose headers do not agree with what the virtio-net header says."""
    yield tso(ipv4(), 0x86DD, GSO_TCPV4, 1448, 5000)
    yield tso(ipv4(), 0x0800, GSO_TCPV6, 1448, 5000)
    yield tso(ipv4(5)[:-20], 0x0800, GSO_TCPV4, 1448, 5000)
    yield frame(eth(mac(1), 0x0800) + ipv4(), 5000, vnet(NEEDS_CSUM, 1, 0, 9, 34, 6))
    yield frame(eth(mac(1), 0x0800) + ipv4() + tcp(), 0, vnet(NEEDS_CSUM, 1, 0, 9, 34, 16))
    yield frame(eth(mac(1), 0x0800) + ipv4() + b"\0" * 20, 99, vnet(NEEDS_CSUM, 1, 0, 9, 34, 16))
    yield frame(eth(mac(1), 0x0800) + ipv4(), 5, vnet(NEEDS_CSUM, 1, 0, 9, 36, 16))


# All that the name of a drop does not say.
NAMED = {
    "runt.empty-and-13": switch(frame(b""), frame(mac(1) + mac(0) + b"\x08")),
    "too_long.of-the-mtu": switch(small(), frame(eth(mac(1), 0x0800), 1500), csum_udp(1473),
                                  first=receiver(mtu=1500)),
    "too_long.one-tag-more": switch(frame(eth(mac(1), 0x0800, [(0x8100, 5)]), 1500),
                                    frame(eth(mac(1), 0x0800, [(0x8100, 5)]), 1501),
                                    first=receiver(mtu=1500)),
    "too_long.of-everything": switch(frame(eth(mac(1), 0x0800), 65535),
                                     frame(eth(mac(1), 0x0800), 65536),
                                     frame(eth(mac(1), 0x0800), 65556)),
    "too_long.of-one-flooded": switch(frame(eth(ALL, 0x0806), 1501), first=receiver(mtu=1500)),
    "too_long.segments-for-a-small-mtu": switch(large4(), first=receiver(VERSION_1, 1400)),
    "bad_hdr.each": switch(*bad_headers()),
    "bad_hdr.headers-lie": switch(*lying_headers()),
    "bad_hdr.too-many-segments": switch(tso(ipv4(), 0x0800, GSO_TCPV4, 1, 1025)),
    "bad_src.group-and-zero": switch(frame(eth(mac(1), 0x0800, of=ALL), 46),
                                     frame(eth(mac(1), 0x0800, of=b"\0" * 6), 46)),
    "reserved.all": switch(frame(eth(bytes.fromhex("0180c2000000"), 0x88CC), 46),
                           frame(eth(bytes.fromhex("0180c200000f"), 0x88CC), 46),
                           frame(eth(bytes.fromhex("0180c2000010"), 0x88CC), 46)),
    "same_port.back": switch(small(mac(0))),
    "isolated.known-and-flooded": switch(small(), small(SOMEBODY), misc=ISOLATED),
    "no_port.all-isolated": switch(small(SOMEBODY), misc=ISOLATED | STOPPED),
    "disabled.small-and-large": switch(small(), large4(), misc=DISABLED),
    "no_ring.stopped": switch(small(mac(2)), small(ALL), misc=STOPPED),
    "no_ring.disabled": switch(small(mac(2)), small(ALL), misc=SECOND_DISABLED),
    "no_desc.none": switch(small(), first=receiver(buffers=())),
    "no_desc.merged-not-enough": switch(frame(eth(mac(1), 0x0800), 9000), small(),
                                        first=receiver(buffers=((5, 1600, 0),))),
    "no_room.not-mergeable": switch(frame(eth(mac(1), 0x0800), 2000), small(),
                                    first=receiver(VERSION_1)),
    "ring_bad.behind-the-last": switch(small(), small(), small(), misc=BAD_TAIL,
                                       first=receiver(buffers=((2, 1600, 12),))),
    "ring_bad.under-segments": switch(large4(), small(), misc=BAD_TAIL,
                                      first=receiver(VERSION_1, buffers=((3, 1600, 12),))),
}


def long(more):
    return frame(eth(mac(1), 0x0800), more)


AWAY = ((OPEN,), (SEND, 1, 2), (LEAVE,))


def parked():
    """Frames for a guest that leaves after the first two."""
    mixed = [small(), small(ALL), small(), csum_udp(), small(ALL), large4(), small(), small(mac(2)),
             small(SOMEBODY), small(), small(), small(ALL)]
    takes_all = receiver(VERSION_1 | MRG | CSUM | TSO4 | TSO6 | ECN)
    return {
        "park_full.at-the-end": switch(*[long(60000)] * 7, small(), steps=plan(*AWAY)),
        "park_full.over-the-end": switch(
            *[long(30000), small()] * 14, first=takes_all,
            steps=plan(*AWAY, (SEND, 1, 11), (RETURN,), (LEAVE,), (SEND, 1, 11), (TICK,),
                       (RETURN,), memory=300000)),
        "park_full.segments": switch(
            *[large4()] * 15, first=receiver(VERSION_1 | MRG | CSUM), second=takes_all,
            steps=plan(*AWAY, (SEND, 1, 13), (LEARNED, 1, 2))),
        "park_timeout.nowhere": switch(
            *mixed, steps=plan(*AWAY, (SEND, 1, 6), (TICK,), (TIMEOUT,), (SEND, 1, 2), (TICK,))),
        "park_timeout.heir-without-rings": switch(
            *mixed, steps=plan(*AWAY, (SEND, 1, 6), (LEARNED, 1, 0), (TIMEOUT,), (TICK,))),
        "park_timeout.no-buffers-at-home": switch(
            *mixed, steps=plan(*AWAY, (OFFER, 1, 3), (SEND, 1, 7), (RETURN,), (TIMEOUT,), (TICK,),
                               (SEND, 1, 2), (LEAVE,), (SEND, 1, 9), how=HELD_BACK)),
        "park_peer.came-by-the-uplink": switch(
            *mixed, steps=plan(*AWAY, (SEND, 1, 6), (LEARNED, 1, 2), (SEND, 1, 2), how=UPLINK)),
        "isolated.heir": switch(
            *mixed, misc=VERSION_1 | ISOLATED,
            steps=plan((OPEN, 2), (SEND, 1, 2), (LEAVE, 2), (SEND, 1, 5), (LEARNED, 2, 1))),
        "too_long.for-the-heir": switch(
            frame(eth(mac(1), 0x0800), 1500), small(), frame(eth(mac(1), 0x0800), 1400), small(),
            frame(eth(mac(1), 0x0800), 1500), small(), second=receiver(mtu=1300),
            steps=plan((OPEN,), (LEAVE,), (SEND, 1, 3), (LEARNED, 1, 2), (SEND, 1, 1))),
        "bad_hdr.of-parked": switch(
            *lying_headers(), *lying_headers(), first=takes_all, second=receiver(VERSION_1 | MRG),
            steps=plan((OPEN,), (LEAVE,), (SEND, 1, 7), (LEARNED, 1, 2))),
        "no_ring.parking-cancelled": switch(
            *mixed, steps=plan((OPEN,), (CANCEL,), (LEAVE,), (SEND, 1, 5), (OPEN,))),
        "no_room.parked-for-less": switch(
            large4(), small(), large4(), small(), first=takes_all,
            second=receiver(VERSION_1, buffers=((9, 900, 0),)),
            steps=plan((OPEN,), (LEAVE,), (SEND, 1, 4), (LEARNED, 1, 2))),
        "ring_bad.under-parked": switch(
            *[small()] * 9, misc=VERSION_1 | BAD_TAIL, first=receiver(buffers=((4, 1600, 12),)),
            steps=plan(*AWAY, (SEND, 1, 5), (RETURN,), (LEAVE,), (SEND, 1, 1), (RETURN,))),
        "none.back-and-forth": switch(
            *mixed, *mixed, *mixed, first=receiver(PACKED | VERSION_1 | MRG), second=takes_all,
            steps=plan((LEAVE, 2), *AWAY, (SEND, 1, 5), (RETURN, 2), (LEARNED, 1, 2), (SEND, 1, 5),
                       (OPEN, 2), (SEND, 1, 2), (LEAVE, 2), (SEND, 1, 5), (RETURN,), (SEND, 1, 5),
                       (LEAVE,), (SEND, 1, 5), (RETURN, 2), (LEARNED, 1, 2), (TICK,))),
        "none.at-the-guest-s-pace": switch(
            *mixed, *mixed, second=receiver(PACKED | VERSION_1 | CSUM),
            steps=plan((OFFER, 1, 2), (OFFER, 2, 1), *AWAY, (SEND, 1, 12), (LEARNED, 1, 2),
                       (OFFER, 2, 2), (SEND, 1, 3), (OFFER, 2, 5), (TICK,), (OFFER, 2, 40),
                       (SEND, 1, 3), (RETURN,), (OFFER, 1, 60), how=HELD_BACK)),
    }


# What receivers take, and from what they are made.
RECEIVERS = {
    "legacy": receiver(0, buffers=((32, 1600, 10), (8, 65535, 3))),
    "packed-nothing": receiver(PACKED | VERSION_1, buffers=((60, 1600, 12), (4, 1600, 200))),
    "csum": receiver(CSUM | VERSION_1, buffers=((60, 1514, 11),)),
    "merged-small": receiver(PACKED | VERSION_1 | MRG, buffers=((64, 64, 20),) * 7),
    "all": receiver(VERSION_1 | MRG | CSUM | TSO4 | TSO6 | ECN, buffers=((64, 1600, 12),)),
    "tso4": receiver(VERSION_1 | MRG | CSUM | TSO4, buffers=((64, 1600, 12),)),
}


def streams():
    frames = {
        "small": [small(), small(cuts=(10, 2, 14, 20)), small(cuts=(1,) * 7), small(ALL),
                  small(b"\0" * 6), small(b"\0" * 6)],
        "edges": [frame(eth(mac(1), 0x0800), more) for more in (0, 45, 46, 65, 66, 67, 80, 1500)],
        "cuts": [frame(eth(mac(1), 0x0800), 1400, cuts=cuts)
                 for cuts in ((12,), (10,), (92,), (91, 1), (5, 100, 256), (256,) * 7)],
        "sums": [csum_udp(), csum_udp(0), csum_udp(700, cuts=(12, 20, 30)),
                 frame(eth(ALL, 0x0800) + ipv4() + udp(), 9,
                       vnet(NEEDS_CSUM, start=34, offset=6))],
        "large": [large4(), large6(), large4(options=3, tags=[(0x8100, 5)], cuts=(12, 54)),
                  large4(flags=0x91), tso(ipv4(), 0x0800, GSO_TCPV4 | GSO_ECN, 1448, 3000)],
        "tags": [large6(tags=[(0x88A8, 7), (0x8100, 5)]), large4(tags=[(0x8100, 1)], to=ALL),
                 small(cuts=(26,))],
        "odd": [tso(ipv4(10), 0x0800, GSO_TCPV4, 1, 40), tso(ipv4(), 0x0800, GSO_TCPV4, 65535, 99),
                tso(ipv6(b"\x06\x05" + b"\0" * 46), 0x86DD, GSO_TCPV6, 1000, 3000)],
    }
    made = {}
    for what, sent in frames.items():
        for who, first in RECEIVERS.items():
            misc = PACKED | VERSION_1 if what in ("cuts", "tags") else VERSION_1
            misc = 0 if who == "legacy" else misc
            made[f"none.{what}-to-{who}"] = switch(*sent, misc=misc, first=first)
    return made


def inputs():
    return {**NAMED, **parked(), **streams()}
