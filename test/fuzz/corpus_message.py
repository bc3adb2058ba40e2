# SPDX-License-Identifier: BSD-3-Clause
"""Inputs of the target message: see message_front.c."""

import struct

# message_front.c: sayings[].
(
    GET_FEATURES, SET_FEATURES, SET_OWNER, RESET_OWNER, SET_MEM_TABLE, SET_VRING_NUM,
    SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE, SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR,
    GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES, GET_QUEUE_NUM, SET_VRING_ENABLE, SEND_RARP,
    NET_SET_MTU, SET_STATUS, GET_STATUS, SET_LOG_BASE,
) = range(21)
POKE, SHRINK, RECONNECT = 29, 30, 31

# Bits of a message's second byte, and what they put behind its payload.
FLAGS, SIZE, PAYLOAD, CUT, FDS, REQUEST, REPLY, SYNC = (1 << i for i in range(8))
MEMORY, EVENT, PIPE, NULL, SMALL, READ_ONLY, SOCKET = range(7)

# Bits of SET_FEATURES' byte.
PACKED, EVENT_IDX, INDIRECT, VERSION_1, MRG_RXBUF, MQ, PROTOCOL, LOG_ALL = (
    1 << i for i in range(8)
)
GOOD = VERSION_1 | MRG_RXBUF | MQ | PROTOCOL | INDIRECT | EVENT_IDX

NO_FD = 0x80
PAGE = 4096
UVA = 0x7F0000000000


def say(what, data=b"", how=0, odd=b""):
    return bytes([what, how]) + data + odd


def features(bits, how=0):
    return say(SET_FEATURES, bytes([bits]), how)


def memory(*regions, how=0, odd=b""):
    """Regions: pages, pages in front of it in its file, pages of the hole before it."""
    specs = bytes(pages - 1 | offset << 4 | hole << 6 for pages, offset, hole in regions)
    return say(SET_MEM_TABLE, bytes([len(regions) - 1]) + specs, how, odd)


def num(ring, size):
    return say(SET_VRING_NUM, struct.pack("<BH", ring, size))


def base(ring, index):
    return say(SET_VRING_BASE, struct.pack("<BI", ring, index))


def addr(ring, region=0, desc=None, avail=None, used=None):
    at = ring * 0x80
    areas = (desc or at, avail or at + 0x20, used or at + 0x30)
    return say(SET_VRING_ADDR, struct.pack("<BBHHH", ring, region, *areas))


def event(what, ring, how=0, odd=b""):
    return say(what, bytes([ring]), how, odd)


def enable(ring, on=1):
    return say(SET_VRING_ENABLE, struct.pack("<BH", ring, on))


def stop(ring):
    return say(GET_VRING_BASE, struct.pack("<BH", ring, 0))


def u64(what, value, how=0):
    return say(what, struct.pack("<Q", value), how)


def shrink(region, pages, then=b""):
    return bytes([SHRINK, region, pages]) + then


def log(size=64, offset=0, how=0, odd=b""):
    return say(SET_LOG_BASE, bytes([size, offset]), how, odd)


def poke(region, at, value):
    return bytes([POKE]) + struct.pack("<BHH", region, at // 2, value)


def hello(bits=GOOD):
    return [
        say(GET_FEATURES), say(GET_PROTOCOL_FEATURES), u64(SET_PROTOCOL_FEATURES, 0x9),
        say(GET_QUEUE_NUM), say(SET_OWNER), features(bits), memory((4, 0, 0), (4, 1, 2)),
    ]


def ring(i, bits=GOOD, index=0):
    start = 0x8000 if bits & PACKED and not index else index
    return [
        num(i, 16), base(i, start), addr(i), event(SET_VRING_KICK, i), event(SET_VRING_CALL, i),
        enable(i),
    ]


def start(rings=2, bits=GOOD):
    said = hello(bits)
    for i in range(rings):
        said += [event(SET_VRING_CALL, i), event(SET_VRING_ERR, i)]
    for i in range(rings):
        said += ring(i, bits)
    return said


def odd_memory(*regions, fds=(MEMORY,), n=None):
    """A table as its bytes are, with whatever descriptors."""
    data = struct.pack("<II", len(regions) if n is None else n, 0)
    data += b"".join(struct.pack("<QQQQ", *region) for region in regions)
    odd = bytes([len(data)]) + data + bytes([len(fds), *fds])
    return memory((1, 0, 0), how=PAYLOAD | FDS, odd=odd)


RUNNING = {
    "split.start": start(),
    "split.start-of-eight": start(8),
    "split.no-multiqueue": start(8) + [features(VERSION_1)],
    "split.enabled-from-the-start": start(2, VERSION_1),
    "split.stop-and-start": start() + [stop(0), stop(1)] + ring(0) + ring(1),
    "split.base-is-not-the-index": start() + [stop(0), poke(0, 0x302, 77)] + ring(0),
    "split.memory-while-running": start() + [memory((8, 0, 0)), memory((8, 0, 0)), addr(0)],
    "split.same-memory-again": start() + [memory((4, 0, 0), (4, 1, 2))] * 2,
    "split.changed-while-running": start()
    + [num(0, 8), base(0, 3), addr(0, 1), addr(1, 0, 0x600), num(1, 0), num(1, 16)],
    "split.reset-owner": start() + [say(RESET_OWNER), enable(0), enable(1)],
    "split.reconnect": start() + [bytes([RECONNECT])] + start(),
    "split.asks": start() + [say(GET_STATUS), u64(SET_STATUS, 15)],
    "split.addr-nowhere": start() + [addr(0, 0, 0xFFFF, 0xFFFF, 0xFFFF)],
    "packed.start": start(2, GOOD | PACKED),
    "packed.stop-and-start": start(2, GOOD | PACKED) + [stop(1), stop(0)]
    + ring(0, GOOD | PACKED, 5) + ring(1, GOOD | PACKED, 0x8007),
    "packed.then-split": start(2, GOOD | PACKED) + [features(GOOD)],
    "ring_set.descriptors-replaced": start()
    + [event(SET_VRING_KICK, 0), event(SET_VRING_CALL, 1), enable(1, 0), enable(1),
       event(SET_VRING_CALL, 0 | NO_FD), event(SET_VRING_KICK, 1 | NO_FD)],
    "log_set.on-and-off": start() + [log(), features(GOOD | LOG_ALL), features(GOOD)] * 3,
    "log_set.replaced": start()
    + [log(), features(GOOD | LOG_ALL), log(20), log(255, 1), log(2, 3), enable(0, 0), enable(0)],
    "log_set.stop-and-start": start() + [log(), features(GOOD | LOG_ALL), stop(0), stop(1)]
    + ring(0) + ring(1),
    "logged.from-the-start": hello(GOOD | LOG_ALL) + [log()] + ring(0) + ring(1),
    "logged.last": start(2, GOOD | PACKED | LOG_ALL) + [log()],
    "no_log.for-ever": start() + [features(GOOD | LOG_ALL)] + ring(0),
    "cover.memory-outgrows-it": start()
    + [log(2), features(GOOD | LOG_ALL), memory((16, 0, 0), (8, 0, 1)), addr(0), addr(1), log()],
    "announce.before-all": [say(GET_FEATURES), u64(SEND_RARP, 0x0605040302)],
    "announce.not-a-group": start() + [u64(SEND_RARP, 1), u64(SEND_RARP, 0), u64(SEND_RARP, 2)],
    "waiting.kick-without-memory": [features(GOOD), num(0, 16), event(SET_VRING_KICK, 0)],
    "split.memory-comes-last": [features(GOOD), num(0, 16), event(SET_VRING_KICK, 0),
                                memory((4, 0, 0)), addr(0)],
    "memory.all-vanishes": start() + [shrink(0, 0, shrink(1, 0)), addr(0, 1), addr(1, 1)],
    "memory.vanishes-and-another": start()
    + [shrink(0, 0), addr(0), addr(1), memory((4, 0, 0), (4, 1, 2))] + ring(0),
    "memory.half-vanishes": start() + [shrink(1, 2), say(GET_FEATURES, how=SYNC), stop(0), stop(1)],
}

LOGGED = [log(), features(GOOD | LOG_ALL)]
GONE = [stop(0), stop(1)]
BACK = ring(0) + ring(1) + [log()]

# A guest leaves while it is logged, and comes back, or not.
MIGRATED = {
    "leaving.for-good": start() + LOGGED + GONE,
    "leaving.ring-by-ring": start(8) + LOGGED + [stop(i) for i in range(8)],
    "leaving.log-off-when-gone": start() + LOGGED + GONE + [features(GOOD)],
    "leaving.hangs-up": start() + LOGGED + GONE + [bytes([RECONNECT])] + start(),
    "leaving.resets": start() + LOGGED + GONE + [say(RESET_OWNER)],
    "leaving.again-before-the-log": start() + LOGGED + (GONE + ring(0) + ring(1)) * 2,
    "leaving.packed": start(2, GOOD | PACKED)
    + [log(), features(GOOD | PACKED | LOG_ALL), stop(1), stop(0)],
    "arrived.back-while-logged": start() + LOGGED + GONE + BACK,
    "arrived.back-twice": start() + LOGGED + (GONE + BACK) * 2,
    "arrived.half-gone": start() + LOGGED + [stop(1)] + ring(1) + [stop(0)] + ring(0),
    "arrived.with-another-log": start() + LOGGED + GONE + [log(20)] + ring(0) + ring(1),
    "arrived.log-comes-last": start() + LOGGED + GONE + [features(GOOD)] + ring(0) + ring(1)
    + LOGGED,
    "arrived.with-other-memory": start() + LOGGED + GONE + [memory((8, 0, 0))] + BACK,
    "arrived.never-gone": start() + LOGGED + BACK,
    "arrived.packed-elsewhere": start(2, GOOD | PACKED) + [log(), features(GOOD | PACKED | LOG_ALL)]
    + GONE + ring(0, GOOD | PACKED, 0x8003) + ring(1, GOOD | PACKED, 3) + [log()],
    "arrived.announced": start() + LOGGED + GONE + BACK + [u64(SEND_RARP, 0x0605040302)],
}

REFUSED = {
    "unsupported.zero": [say(GET_FEATURES, b"", REQUEST, struct.pack("<I", 0))],
    "unsupported.log-fd": start() + [say(GET_STATUS, b"", REQUEST, struct.pack("<I", 7))],
    "fds.log-without": start() + [log(how=FDS, odd=b"\0")],
    "fds.log-with-two": start() + [log(how=FDS, odd=bytes([2, MEMORY, MEMORY]))],
    "file.log-in-a-pipe": start() + [log(how=FDS, odd=bytes([1, PIPE]))],
    "file.log-in-an-eventfd": start() + [log(how=FDS, odd=bytes([1, EVENT]))],
    "leaves.log": start() + [log(255, 3, FDS, bytes([1, SMALL]))],
    "read_only.log": start() + [log(how=FDS, odd=bytes([1, READ_ONLY]))],
    "cover.log-too-small": start() + [log(1)],
    "cover.log-last-page": start() + [log(), features(GOOD | LOG_ALL), log(1)],
    "cut.log": start() + [log(how=SIZE | CUT, odd=struct.pack("<H", 8) + b"\x08")],
    "unsupported.large": [say(GET_FEATURES, b"", REQUEST, struct.pack("<I", 0xFFFFFFFF))],
    "flags.version": [say(GET_FEATURES, b"", FLAGS, struct.pack("<I", 2))],
    "flags.an-answer": [say(GET_FEATURES, b"", FLAGS, struct.pack("<I", 5))],
    "offer.features": [say(SET_FEATURES, b"\0", PAYLOAD, b"\x08" + struct.pack("<Q", 1 << 33))],
    "offer.protocol": [u64(SET_PROTOCOL_FEATURES, 1 << 63)],
    "cut.state": [say(SET_VRING_NUM, struct.pack("<BH", 0, 16), SIZE | CUT,
                      struct.pack("<H", 4) + b"\4")],
    "cut.table": [memory((1, 0, 0), how=SIZE | CUT, odd=struct.pack("<H", 20) + b"\x14")],
    "fds.where-none-belongs": [say(SET_OWNER, b"", FDS, bytes([1, EVENT]))],
    "fds.kick-without": [event(SET_VRING_KICK, 0, FDS, b"\0")],
    "fds.kick-with-two": [event(SET_VRING_KICK, 0, FDS, bytes([2, EVENT, EVENT]))],
    "fds.no-fd-but-one": [event(SET_VRING_CALL, NO_FD, FDS, bytes([1, EVENT]))],
    "eventfd.pipe": [event(SET_VRING_KICK, 0, FDS, bytes([1, PIPE]))],
    "eventfd.null": [event(SET_VRING_CALL, 1, FDS, bytes([1, NULL]))],
    "eventfd.socket": [event(SET_VRING_ERR, 1, FDS, bytes([1, SOCKET]))],
    "eventfd.memory": [event(SET_VRING_KICK, 1, FDS, bytes([1, MEMORY]))],
    "ring.num": [num(8, 16)],
    "ring.kick": [event(SET_VRING_KICK, 9)],
    "ring.enable": [enable(255)],
    "ring.stop": start() + [stop(8)],
    "addr.before-memory": [features(GOOD), num(0, 16), addr(0)],
    "library.mtu-of-zero": start() + [u64(NET_SET_MTU, 0)],
    "regions.none": [odd_memory(n=0)],
    "regions.nine": [odd_memory(n=9)],
    "regions.no-descriptor": [odd_memory((0, PAGE, UVA, 0), fds=())],
    "regions.eight-descriptors": [odd_memory((0, PAGE, UVA, 0), fds=(MEMORY,) * 8)],
    "regions.nine-descriptors": [odd_memory((0, PAGE, UVA, 0), fds=(MEMORY,) * 9)],
    "malformed.ring-256-with-descriptors": start() + [
        say(SET_VRING_ENABLE, b"\0\1\0", FDS | PAYLOAD,
            b"\10" + struct.pack("<II", 256, 1) + bytes([2, EVENT, MEMORY])),
    ],
    "malformed.ring-1-with-descriptors": start() + [
        say(SET_VRING_NUM, struct.pack("<BH", 1, 8), FDS, bytes([8] + [EVENT] * 8)),
    ],
    "empty.region": [odd_memory((0, 0, UVA, 0))],
    "wraps.guest": [odd_memory((2**64 - PAGE, 2 * PAGE, UVA, 0))],
    "wraps.user": [odd_memory((0, 2 * PAGE, 2**64 - PAGE, 0))],
    "wraps.offset": [odd_memory((0, 2 * PAGE, UVA, 2**64 - PAGE))],
    "page.guest": [odd_memory((8, PAGE, UVA, 0))],
    "page.offset": [odd_memory((0, PAGE, UVA, 8))],
    "overlaps.guest": [odd_memory((0, 2 * PAGE, UVA, 0), (PAGE, PAGE, UVA + 2 * PAGE, 0),
                                  fds=(MEMORY, MEMORY))],
    "overlaps.user": [odd_memory((0, PAGE, UVA, 0), (PAGE, PAGE, UVA, 0), fds=(MEMORY, MEMORY))],
    "file.pipe": [odd_memory((0, PAGE, UVA, 0), fds=(PIPE,))],
    "file.null": [odd_memory((0, PAGE, UVA, 0), fds=(NULL,))],
    "file.event": [odd_memory((0, PAGE, UVA, 0), fds=(EVENT,))],
    "read_only.memory": [odd_memory((0, PAGE, UVA, 0), fds=(READ_ONLY,))],
    "leaves.small": [odd_memory((0, PAGE, UVA, 0), fds=(SMALL,))],
    "leaves.one-page": [odd_memory((0, 1 << 20, UVA, PAGE))],
    "leaves.while-running": start() + [odd_memory((0, 2 << 20, UVA, 0))],
    "malformed.payload-too-long": [say(GET_FEATURES, b"", SIZE, struct.pack("<H", 60000))],
    "malformed.and-silence": [say(SET_VRING_NUM, struct.pack("<BH", 0, 16), CUT, b"\4")],
    "malformed.half-a-head": [say(GET_FEATURES, b"", CUT, b"\6")],
}


def inputs():
    return {name: b"".join(said) for name, said in {**RUNNING, **MIGRATED, **REFUSED}.items()}
