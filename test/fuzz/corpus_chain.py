# SPDX-License-Identifier: BSD-3-Clause
"""Inputs of the target chain: see chain.c."""

import struct

PACKED, EVENT_IDX, INDIRECT, VERSION_1, MRG_RXBUF, WRITABLE, LOGGED, BURSTS = 1, 2, 4, 8, 16, 32, 64, 128

# arena.c: sizes and places of regions.
S64, S256, S1K, S4K, S8K, S16K, S64K, S1M = range(8)
BEHIND, HOLE, END, OVERLAP, BEFORE, GIVEN = range(6)

NEXT, WRITE, INDIRECT_DESC = 1, 2, 4

# chain.c: ops[].
POKE, DESC, TABLE, RAW, PUSH, AVAIL, EVENT = range(7)
PEEK, PUT, PUBLISH, ARM, DISARM, RESET, RESTART, FAULT, LOG = range(7, 16)
TAKE, SWAP, SWITCH, TRUNCATE = range(4)
ALL = 15


def op(what, arg=0, data=b""):
    return bytes([what | arg << 4]) + data


def ref(region, offset):
    return struct.pack("<BH", region, offset)


def fields(slot, at, length, flags, following):
    return struct.pack("<H", slot) + ref(*at) + struct.pack("<IHH", length, flags, following)


class Ring:
    """A ring and the operations on it; its areas are at the start of region 0."""

    def __init__(self, features=0, size=8, regions=((S4K, BEHIND), (S4K, BEHIND)), pos=0):
        self.features = features
        self.size = size
        self.regions = regions
        self.pos = pos
        self.areas = ((0, 0), (0, 0x200), (0, 0x300))
        self.ops = []

    @property
    def packed(self):
        return bool(self.features & PACKED)

    def desc(self, slot, length=64, flags=0, following=0, at=(1, 0), available=True):
        """A descriptor; `following` is the next one's slot, of a packed one the id."""
        arg = 1 if self.packed and available else 0
        self.ops.append(op(DESC, arg, fields(slot, at, length, flags, following)))
        return self

    def entry(self, table, slot, length=64, flags=0, following=0, at=(1, 0)):
        self.ops.append(op(TABLE, 0, ref(*table) + fields(slot, at, length, flags, following)))
        return self

    def raw(self, slot, data):
        self.ops.append(op(RAW, 0, struct.pack("<H", slot) + data))
        return self

    def push(self, head, count=1):
        if not self.packed:
            self.ops.append(op(PUSH, count - 1, struct.pack("<H", head)))
        return self

    def avail(self, index):
        self.ops.append(op(AVAIL, 0, struct.pack("<H", index)))
        return self

    def event(self, value, flags=0):
        self.ops.append(op(EVENT, 0, struct.pack("<HH", value, flags)))
        return self

    def poke(self, at, data):
        self.ops.append(op(POKE, 0, ref(*at) + bytes([len(data)]) + data))
        return self

    def do(self, what, arg=0):
        self.ops.append(op(what, arg))
        return self

    def peek(self, count=ALL):
        return self.do(PEEK, count)

    def put(self, count=16, length=1):
        """Gives chains back; length 1 stands for all of a chain."""
        self.ops.append(op(PUT, count - 1, bytes([length])))
        return self

    def turn(self):
        return self.peek().put().do(PUBLISH).do(RESET)

    def data(self):
        head = bytes([self.features, len(self.regions) - 1])
        for size, place, *address in self.regions:
            head += bytes([size | place << 3])
            head += b"".join(struct.pack("<Q", a) for a in address)
        head += struct.pack("<H", self.size)
        head += b"".join(ref(*area) for area in self.areas)
        return head + struct.pack("<I", self.pos) + b"".join(self.ops)


WRAP = 1 << 15 | 1 << 31


def packed(features=0, **more):
    return Ring(PACKED | features, pos=WRAP, **more)


def both(make):
    """The same story for both formats."""
    return {"split": make(Ring), "packed": make(packed)}


def bad_everywhere():
    made = {
        "loop.%s-all-slots": lambda new: new(size=4)
        .desc(0, 64, NEXT, 1).desc(1, 64, NEXT, 2).desc(2, 64, NEXT, 3).desc(3, 64, NEXT, 0),
        "range.%s-behind-the-last": lambda new: new().desc(0, 64, at=(1, 4090)),
        "range.%s-in-a-hole": lambda new: new(regions=((S4K, BEHIND), (S4K, HOLE)))
        .desc(0, 64, at=(0, 4090)),
        "zero.%s-second": lambda new: new().desc(0, 64, NEXT, 1).desc(1, 0),
        "direction.%s-write-in-transmit": lambda new: new().desc(0, 64, WRITE),
        "direction.%s-read-in-receive": lambda new: new(WRITABLE).desc(0, 64),
        "indirect.%s-not-negotiated": lambda new: new().desc(0, 64, INDIRECT_DESC),
        "indirect.%s-empty": lambda new: new(INDIRECT).desc(0, 0, INDIRECT_DESC),
        "indirect.%s-cut": lambda new: new(INDIRECT).desc(0, 24, INDIRECT_DESC),
        "indirect.%s-too-long": lambda new: new(INDIRECT).desc(0, 0x80010, INDIRECT_DESC),
        "indirect.%s-and-next": lambda new: new(INDIRECT).desc(0, 16, INDIRECT_DESC | NEXT, 1),
        "indirect.%s-nested": lambda new: new(INDIRECT).entry((1, 0), 0, 16, INDIRECT_DESC)
        .desc(0, 16, INDIRECT_DESC),
        "range.%s-table-nowhere": lambda new: new(INDIRECT)
        .desc(0, 64, INDIRECT_DESC, at=(1, 4080)),
        "short.%s-of-12": lambda new: new(VERSION_1).desc(0, 11),
        "short.%s-of-10": lambda new: new().desc(0, 9),
        "memory.%s": lambda new: new().desc(0).do(FAULT),
        "size.%s-zero": lambda new: new(size=0),
        "size.%s-too-large": lambda new: new(size=32769),
        "none.%s-good-then-bad": lambda new: new().desc(0, following=0).desc(1, 0, following=1)
        .push(0, 2).peek().put().do(PUBLISH),
    }
    inputs = {}
    for name, make in made.items():
        for kind, ring in both(make).items():
            inputs[name % kind] = ring.push(0).turn().turn()
    return inputs


def areas(ring, desc=(0, 0), driver=(0, 0x200), device=(0, 0x300)):
    ring.areas = (desc, driver, device)
    return ring


def bad_split():
    return {
        "size.split-no-power-of-two": Ring(size=6),
        "addr.split-desc-unaligned": areas(Ring(), desc=(0, 8)),
        "addr.split-host-unaligned": areas(
            Ring(regions=((S4K, GIVEN, 0x1008),)), (0, 8), (0, 0x208), (0, 0x308)
        ),
        "addr.split-avail-unaligned": areas(Ring(), driver=(0, 0x201)),
        "addr.split-used-unaligned": areas(Ring(), device=(0, 0x302)),
        "addr.split-used-over-the-border": areas(Ring(), device=(0, 4096 - 64)),
        "none.split-used-to-the-border": areas(Ring(), device=(0, 4096 - 68)),
        "addr.split-used-event-behind": areas(Ring(EVENT_IDX), device=(0, 4096 - 68)),
        "index.split-far-ahead": Ring().desc(0).push(0).avail(9).turn(),
        "index.split-backwards": Ring().desc(0).push(0).turn().avail(0).turn(),
        "head.split-head": Ring().push(8).turn(),
        "head.split-next": Ring().desc(0, 64, NEXT, 8).push(0).turn(),
        "head.split-table-next": Ring(INDIRECT).entry((1, 0), 0, 64, NEXT, 1)
        .desc(0, 16, INDIRECT_DESC).push(0).turn(),
        "loop.split-table": Ring(INDIRECT).entry((1, 0), 0, 64, NEXT, 0)
        .desc(0, 16, INDIRECT_DESC).push(0).turn(),
    }


def bad_packed():
    return {
        "addr.packed-desc-unaligned": areas(packed(), desc=(0, 8)),
        "addr.packed-driver-unaligned": areas(packed(), driver=(0, 0x202)),
        "addr.packed-device-behind": areas(packed(), device=(1, 4096)),
        "index.packed-slot-behind-the-ring": Ring(PACKED, pos=8 | 8 << 16),
        "indirect.packed-not-first": packed(INDIRECT).desc(0, 64, NEXT)
        .desc(1, 16, INDIRECT_DESC).turn(),
    }


def direct(new, features):
    """Chains of one and three, with all kinds of wishes for interrupts."""
    write = WRITE if features & WRITABLE else 0
    ring = new(features).do(ARM)
    ring.desc(0, 64, write, 0)
    ring.desc(1, 12, NEXT | write, 2).desc(2, 100, NEXT | write, 3).desc(3, 1000, write, 7)
    ring.event(0, 2).push(0, 2).peek(0).put(1).do(PUBLISH).turn().do(ARM)
    for slot in range(4, 12):
        ring.desc(slot % 8, 60, write, slot % 8).push(slot % 8).event(slot % 8, slot % 3).turn()
    return ring.do(DISARM).do(RESTART).desc(0, 64, write).push(0).turn()


def crossing(new, features):
    """Buffers and indirect tables over the borders of regions."""
    write = WRITE if features & WRITABLE else 0
    ring = new(features | INDIRECT, regions=((S4K, BEHIND), (S256, BEHIND), (S64, BEHIND)))
    ring.desc(0, 300, write, at=(0, 4090)).push(0).turn()
    for i in range(4):
        chained = NEXT if i < 3 and not ring.packed else 0
        ring.entry((1, 232), i, 60, chained | write, i + 1, at=(0, 3800))
    return ring.desc(1, 64, INDIRECT_DESC, 1, at=(1, 232)).push(1).turn()


def large(new, features):
    ring = new(features, size=32768, regions=((S1M, BEHIND), (S1M, BEHIND), (S1M, END)))
    ring.areas = ((0, 0), (1, 0), (2, 0))
    ring.desc(0, 1 << 20, at=(1, 0)).desc(1, 5000, at=(2, 60000), following=1)
    return ring.push(0, 2).turn()


def table_unaligned(new, features):
    """Nothing asks a driver to align its indirect tables."""
    ring = new(features | INDIRECT)
    return ring.entry((1, 4), 0, 64).desc(0, 16, INDIRECT_DESC, at=(1, 4)).push(0).turn()


def many(new, features):
    """More chains than a peek asks for, and more than the ring holds at a time."""
    ring = new(features, size=16)
    for slot in range(16):
        ring.desc(slot, 20 + slot, following=slot)
    ring.push(0, 16).peek(3).peek(3).put(2).do(RESET).peek().put(5).do(PUBLISH)
    return ring.put().do(PUBLISH).do(ARM)


def good():
    stories = {
        "direct": (direct, (0, EVENT_IDX, WRITABLE | VERSION_1, EVENT_IDX | WRITABLE)),
        "crossing": (crossing, (0, WRITABLE)),
        "large": (large, (0,)),
        "table-unaligned": (table_unaligned, (0,)),
        "many": (many, (0,)),
        "many-pages": (many_pages, (0, EVENT_IDX, WRITABLE, WRITABLE | EVENT_IDX | BURSTS)),
        "rings-apart": (rings_apart, (0, BURSTS, EVENT_IDX | WRITABLE | BURSTS)),
    }
    inputs = {}
    for name, (make, rows) in stories.items():
        for features in rows:
            for kind, new in (("split", Ring), ("packed", packed)):
                inputs["none.%s-%s-%d" % (kind, name, features)] = make(new, features)
    return inputs


def many_pages(new, features):
    """Chains over several pages, given back in bursts and partly, marks taken in between."""
    write = WRITE if features & WRITABLE else 0
    ring = new(features | LOGGED, size=16, regions=((S4K, BEHIND), (S64K, BEHIND), (S1K, BEHIND)))
    ring.do(ARM)
    for slot in range(0, 16, 2):
        link = NEXT | write
        ring.desc(slot, 4096, link, slot + 1, (1, 3000 + slot * 3000))
        ring.desc(slot + 1, 40, write, slot, (2, slot * 60)).push(slot)
    ring.peek(3).put(1, 12).do(LOG, TAKE).put(2).do(PUBLISH).do(RESET)
    ring.peek().put(2, 0).do(LOG, SWAP).do(PUBLISH).put(1, 200).do(DISARM).do(LOG, TAKE).do(ARM)
    ring.put().do(LOG, SWITCH).do(PUBLISH).do(RESTART).do(LOG, SWITCH)
    for slot in range(8):
        ring.desc(slot, 5000, write, slot, (1, slot * 5000)).push(slot)
    return ring.turn().do(LOG, SWAP).do(DISARM).do(RESTART).do(ARM).turn()


def rings_apart(new, features):
    """Rings and buffers whose last bytes have a page for themselves, far up in the log."""
    far = (S8K, GIVEN, 1 << 24)
    ring = new(features | LOGGED, size=4, regions=(far, (S4K, BEHIND), (S8K, BEHIND), (S8K, BEHIND)))
    ring.areas = ((0, 4096 - 32), (1, 0), (2, 4096 - 4))
    write = WRITE if features & WRITABLE else 0
    for lap in range(3):
        ring.do(ARM).do(LOG, TAKE)
        for slot in range(4):
            slot = (slot + lap * 3) % 4
            ring.desc(slot, 97, write, slot, (3, 4000)).push(slot)
        ring.peek(2).put(2).do(LOG, TAKE).do(PUBLISH).do(LOG, TAKE).do(RESET)
        ring.peek().put().do(LOG, TAKE).do(PUBLISH).do(DISARM).do(RESET)
        ring.desc(lap, 97, write, lap, (3, 4000)).push(lap).turn()
    return ring


def over_the_end():
    """A burst whose used elements begin on the last page of their ring and end on the first."""
    ring = Ring(LOGGED | BURSTS, size=1024, regions=((S64K, BEHIND), (S4K, BEHIND), (S64K, BEHIND)))
    ring.areas = ((0, 0), (1, 0), (2, 4092))
    ring.poke((2, 4094), struct.pack("<H", 1020)).avail(1020).do(RESTART)
    for slot in range(8):
        ring.desc(slot, 64, 0, slot, (0, 0x5000))
    return ring.push(0, 8).peek().do(LOG, TAKE).put().do(LOG, TAKE).do(PUBLISH)


def log_lost():
    """The log is cut off before, between and after what is to be marked."""
    made = {
        "first": lambda ring: ring.do(LOG, TRUNCATE).turn(),
        "between": lambda ring: ring.peek().put(1).do(LOG, TRUNCATE).put(1).do(PUBLISH),
        "armed": lambda ring: ring.do(LOG, TRUNCATE).do(ARM).turn(),
        "replaced-too-late": lambda ring: ring.do(LOG, TRUNCATE).turn().do(LOG, SWAP).turn(),
        "restarted": lambda ring: ring.do(LOG, TRUNCATE).turn().do(RESTART).turn(),
    }
    inputs = {}
    for name, go in made.items():
        for kind, new in (("split", Ring), ("packed", packed)):
            ring = new(LOGGED)
            for slot in range(8):
                ring.desc(slot, 64, 0, slot).push(slot)
            inputs["log.%s-%s" % (kind, name)] = go(ring)
    lost = Ring(LOGGED).desc(0).push(0).do(LOG, TRUNCATE).do(LOG, SWAP).turn()
    inputs["none.split-log-replaced-in-time"] = lost
    lost = Ring(LOGGED).desc(0, 64).push(0).peek().do(LOG, TRUNCATE).do(FAULT).put()
    inputs["memory.split-and-log"] = lost
    far = Ring(LOGGED, regions=((S4K, GIVEN, 1 << 40), (S4K, BEHIND)))
    inputs["none.split-log-too-short"] = far.desc(0).push(0).turn()
    return inputs


def inputs():
    rings = {"none.split-over-the-end": over_the_end(), **log_lost(), **bad_everywhere(), **bad_split(), **bad_packed(), **good()}
    return {name: ring.data() for name, ring in rings.items()}
