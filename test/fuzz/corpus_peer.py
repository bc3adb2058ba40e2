# SPDX-License-Identifier: BSD-3-Clause
"""Inputs of the target peer: see peer.c."""

import struct

HELLO, ARRIVED, FRAME, DONE, PING = range(1, 6)
VNET = struct.pack(">BBHHHH", 1, 1, 54, 1448, 34, 16)


def message(kind, body, length=None):
    return struct.pack(">IB", len(body) if length is None else length, kind) + body


def hello(host, version=1, length=None):
    n = len(host) if length is None else length
    return message(HELLO, struct.pack(">HQB", version, 0x0123456789ABCDEF, n) + host)


def arrived(*keys, n=None):
    head = struct.pack(">IQH", 7, 1000, len(keys) if n is None else n)
    return message(ARRIVED, head + b"".join(struct.pack(">Q", k) for k in keys))


def frame(data, generation=7):
    return message(FRAME, struct.pack(">I", generation) + VNET + data)


def done(frames):
    return message(DONE, struct.pack(">IQ", 7, frames))


HOST = hello(b"host-1.example")
MAC = 0x525400000001

INPUTS = {
    "hello.first": HOST,
    "hello.longest": hello(b"h" * 64),
    "other.version": hello(b"host", version=2),
    "other.version-alone": message(HELLO, b"\0\7"),
    "arrived.one": HOST + arrived(MAC),
    "arrived.most": HOST + arrived(*(MAC + i for i in range(64))),
    "frame.short": HOST + frame(bytes(14)),
    "frame.long": HOST + frame(bytes(range(256)) * 6),
    "frame.longest": HOST + frame(bytes(65557)),
    "done.frames": HOST + frame(bytes(60)) + done(1),
    "ping.three": HOST + message(PING, b"") * 3,
    "kind.none": message(0, b""),
    "kind.unknown": HOST + message(6, b""),
    "long.before-hello": message(FRAME, bytes(100)),
    "long.huge": HOST + message(FRAME, b"", length=0xFFFFFFFF),
    "long.frame": HOST + message(FRAME, b"", length=65574),
    "wrong.hello-empty": message(HELLO, b""),
    "wrong.hello-short": hello(b"host", length=5),
    "wrong.hello-long": hello(b"host", length=3),
    "wrong.hello-host-too-long": hello(b"h" * 65),
    "wrong.hello-escape": hello(b"\x1b[2J"),
    "wrong.hello-space": hello(b"a b"),
    "wrong.arrived-none": HOST + arrived(),
    "wrong.arrived-more": HOST + arrived(MAC, n=2),
    "wrong.arrived-fewer": HOST + arrived(MAC, MAC, n=1),
    "wrong.arrived-too-many": HOST + arrived(*([MAC] * 65)),
    "wrong.frame-runt": HOST + frame(bytes(13)),
    "wrong.frame-head": HOST + message(FRAME, bytes(3)),
    "wrong.done-short": HOST + message(DONE, bytes(11)),
    "wrong.ping-body": HOST + message(PING, b"x"),
    "half.head": HOST[:3],
    "half.body": HOST[:-1],
}


def inputs():
    return INPUTS
