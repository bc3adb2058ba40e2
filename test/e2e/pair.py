#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Two front-ends of ours stream to each other in every shape of ring: all arrives, once, in order.

usage: pair.py [FRAMES]

Each run has all oracles of `vmm pair` on: descriptors, frames and what is outside the buffers.
"""

import itertools
import json
import os
import sys

from ferry.process import run
from ferry.story import tell
from ferry.traffic import expect

FRAMES = int(sys.argv[1]) if len(sys.argv) > 1 else 300
SECONDS = 60 + FRAMES // 100

# Options of both guests, and what the second one's socket has besides.
FORMATS = {
    "split": ([], "", ("2", "256", "32768")),
    "packed": (["--packed"], "", ("7", "256", "32768")),
    "split and packed": ([], ",packed", ("64", "256", "1024")),
}
AXES = (
    ([], ["--no-mergeable", "--rx-buf", "2048"]),
    ([], ["--no-indirect"]),
    ([], ["--no-event-idx"]),
    ([], ["--queues", "4"]),
    ([], ["--regions", "8", "--contain", "--in-order"]),
)


def shapes(sizes):
    """Options of all runs of a format."""
    for size, *options in itertools.product(sizes, *AXES):
        yield ["--ring", size, "--bufs", str(min(int(size), 256)), *itertools.chain(*options)]


def pair(sockets, options, seed):
    argv = [os.environ["VMM"], "pair", *sockets, "--frames", FRAMES, "--seed", seed, *options]
    status, out, err = run(argv, SECONDS)
    expect(status == 0, f"{' '.join(map(str, argv[1:]))}: {out}{err}")
    result = json.loads(out.splitlines()[-1])
    for way in ("a_to_b", "b_to_a"):
        expect(result[way]["received"] == FRAMES, f"{' '.join(map(str, argv[1:]))}: {out}")


def story(s):
    a, b = s.path("a.sock"), s.path("b.sock")
    daemon = s.switch("--vhost", f"a={a},queues=4", "--vhost", f"b={b},queues=4")
    for name, (options, other, sizes) in FORMATS.items():
        rows = list(shapes(sizes))
        with s.check(f"{name}: {len(rows)} shapes, {FRAMES} frames each way"):
            for seed, row in enumerate(rows, 1):
                pair((a, f"{b}{other}"), options + row, seed)
    with s.check("ferryd lives, and no ring of these was bad"):
        expect(daemon.status() is None, "ferryd has ended")
        broken = [port["name"] for port in daemon.call("port.show") if port["state"] == "broken"]
        expect(not broken, f"broken: {broken}")


tell(story)
