# SPDX-License-Identifier: BSD-3-Clause
"""Inputs of the target shadow: see shadow.c."""

import struct

import corpus_chain as chain
from corpus_chain import INDIRECT_DESC, NEXT, S4K, BEHIND, HOLE, WRITE, op

PACKED, EVENT_IDX, INDIRECT, WRITABLE, DEV_EVENT_IDX, DEV_INDIRECT, LOGGED = 1, 2, 4, 8, 16, 32, 64

# shadow.c: ops[], behind those of the guest.
SUBMIT, COMPLETE, DISCARD, NOTIFY, RESTART, LOG, FINISH, SCRIBBLE = range(7, 15)
ALL = 15
ARM, DISARM = 3, 7


class Ring(chain.Ring):
    """A guest's ring, and the device's queue of `dev` descriptors behind it."""

    def __init__(self, features=0, dev=3, pos=0, **more):
        super().__init__(features, pos=pos, **more)
        self.dev = dev

    def submit(self, count=ALL):
        return self.do(SUBMIT, count)

    def complete(self, count=ALL):
        return self.do(COMPLETE, count)

    def finish(self, which=0, length=0):
        """The device completes a chain, counted from the oldest; 255 stands for all of its bytes."""
        self.ops.append(op(FINISH, which, bytes([length])))
        return self

    def scribble(self, offset, data, anywhere=False):
        """The device writes behind the start of its used ring, or of all of its queue."""
        self.ops.append(op(SCRIBBLE, int(anywhere), struct.pack("<HB", offset, len(data)) + data))
        return self

    def chains(self, count, **more):
        for i in range(count):
            self.desc(i, following=i, **more)
        return self.push(0, count)

    def data(self):
        head = bytes([self.features, len(self.regions) - 1])
        for size, place, *address in self.regions:
            head += bytes([size | place << 3])
            head += b"".join(struct.pack("<Q", a) for a in address)
        head += struct.pack("<H", self.size)
        head += b"".join(chain.ref(*area) for area in self.areas)
        return head + struct.pack("<HB", self.pos, self.dev) + b"".join(self.ops)


def packed(features=0, **more):
    return Ring(PACKED | features, pos=1 << 15, **more)


BAD = {
    "range.%s-behind-the-last": lambda new: new().desc(0, 64, at=(1, 4090)),
    "range.%s-in-a-hole": lambda new: new(regions=((S4K, BEHIND), (S4K, HOLE)))
    .desc(0, 64, at=(0, 4090)),
    "zero.%s": lambda new: new().desc(0, 0),
    "direction.%s-write-in-transmit": lambda new: new().desc(0, 64, WRITE),
    "direction.%s-read-in-receive": lambda new: new(WRITABLE).desc(0, 64),
    "indirect.%s-not-negotiated": lambda new: new().desc(0, 64, INDIRECT_DESC),
    "indirect.%s-cut": lambda new: new(INDIRECT).desc(0, 24, INDIRECT_DESC),
    "indirect.%s-nested": lambda new: new(INDIRECT).entry((1, 0), 0, 16, INDIRECT_DESC)
    .desc(0, 16, INDIRECT_DESC),
    "range.%s-table-nowhere": lambda new: new(INDIRECT).desc(0, 64, INDIRECT_DESC, at=(1, 4080)),
    "short.%s": lambda new: new().desc(0, 11),
    "size.%s-zero": lambda new: new(size=0),
    "loop.%s-all-slots": lambda new: new(size=4)
    .desc(0, 64, NEXT, 1).desc(1, 64, NEXT, 2).desc(2, 64, NEXT, 3).desc(3, 64, NEXT, 0),
}

DEVICE = {
    "fault_id.%s-outside": lambda new: new().chains(2).submit()
    .scribble(4, struct.pack("<II", 64, 0)).scribble(2, b"\1\0").complete(),
    "fault_id.%s-twice": lambda new: new().chains(3).submit().finish().finish().complete(),
    "fault_index.%s": lambda new: new().chains(2).submit().scribble(2, b"\3\0").complete(),
    "fault_length.%s": lambda new: new(WRITABLE).chains(2, flags=WRITE).submit()
    .finish(0, 65).complete(),
    "fault_none.%s-length-of-a-sent-chain": lambda new: new().chains(2).submit()
    .finish(0, 65).complete(),
    "dropped.%s": lambda new: new(dev=0).desc(0, 64, NEXT, 1).desc(1, 64).push(0).submit()
    .complete(),
    "blocked.%s": lambda new: new(dev=1).desc(0).desc(1, 64, NEXT, 2).desc(2, 64, following=1)
    .push(0).push(1).submit().do(NOTIFY, ARM).finish().complete().submit(),
    "settled.%s": lambda new: new(WRITABLE | LOGGED).chains(4, flags=WRITE).submit()
    .finish(2, 255).do(RESTART, 2).submit().finish(0, 255).complete(),
    "none.%s-turns": lambda new: new(EVENT_IDX | DEV_EVENT_IDX | LOGGED).do(NOTIFY, DISARM)
    .chains(6).submit(2).do(NOTIFY, ARM).submit().finish(1).finish(0).complete(0).complete()
    .do(LOG, 0).do(RESTART, 3).do(DISCARD, 1).submit().finish(2).complete().event(3)
    .finish(3).complete(),
    "none.%s-tables": lambda new: new(INDIRECT | DEV_INDIRECT)
    .entry((1, 0), 0, 64, NEXT, 1).entry((1, 0), 1, 64).desc(0, 32, INDIRECT_DESC).push(0)
    .submit().finish().complete(),
    "none.%s-rewritten": lambda new: new(WRITABLE | LOGGED).chains(3, flags=WRITE).submit()
    .scribble(0, b"\xff" * 100, True).finish(0, 64).complete(),
}


def inputs():
    made = {}
    for name, make in BAD.items():
        for kind, new in (("split", Ring), ("packed", packed)):
            made[name % kind] = make(new).push(0).submit().finish().complete().submit()
    for name, make in DEVICE.items():
        for kind, new in (("split", Ring), ("packed", packed)):
            made[name % kind] = make(new)
    made["index.split-jumps"] = Ring().chains(2).submit().avail(200).submit()
    made["index.split-goes-back"] = Ring().chains(2).submit().avail(1).submit()
    made["loop.packed-into-what-is-in-flight"] = packed(size=4).chains(2).submit() \
        .desc(2, 64, NEXT).desc(3, 64, NEXT).submit()
    lap = packed(size=2).chains(2).submit()
    for slot in (0, 1):
        lap.ops.append(op(chain.DESC, 2, chain.fields(slot, (1, 0), 64, 0, slot)))
    made["none.packed-a-lap-too-early"] = lap.submit().do(NOTIFY, ARM).finish().complete().submit()
    made["index.packed-outside"] = Ring(PACKED, pos=8)
    made["head.split"] = Ring().push(8).submit()
    made["addr.split"] = Ring()
    made["addr.split"].areas = ((0, 8), (0, 0x200), (0, 0x300))
    made["addr.packed"] = packed()
    made["addr.packed"].areas = ((0, 0), (0, 0x202), (0, 0x300))
    return {name: ring.data() for name, ring in made.items()}
