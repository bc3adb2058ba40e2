#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Two front-ends of ours do at random what front-ends may do, under traffic: nothing is lost or leaks.

usage: walk.py split|packed [WALKS]

Few walks are the same ones each time; many begin at a seed of chance. A walk is told again by the
command line that a failing one prints.
"""

import json
import os
import random
import sys

from ferry.process import run
from ferry.story import tell
from ferry.traffic import expect

FORMAT = sys.argv[1]
WALKS = int(sys.argv[2]) if len(sys.argv) > 2 else 8
MANY = 100
STEPS = 100

# One pair of queues: with more a flow that changes its ring may overtake itself (README, Limits).
SHAPES = (
    [],
    ["--no-indirect", "--segs", "9"],
    ["--no-mergeable", "--rx-buf", "2048"],
    ["--in-order", "--regions", "6"],
    ["--no-event-idx", "--ring", "1024"],
)


def walk(daemon, sockets, seed):
    shape = SHAPES[seed % len(SHAPES)] + (["--packed"] if FORMAT == "packed" else [])
    options = ["--seed", seed, "--steps", STEPS, "--pids", daemon.pid, *shape]
    argv = [os.environ["VMM"], "walk", *sockets, *options]
    status, out, err = run(argv, 120)
    expect(daemon.status() is None, f"seed {seed}: ferryd ended with {daemon.status()}")
    expect(status == 0, f"{' '.join(map(str, argv[1:]))}: {out}{err}")
    result = json.loads(out.splitlines()[-1])
    expect(result["received"] > 0, f"seed {seed}: no frame arrived: {out}")


def story(s):
    sockets = [s.path(f"{name}.sock") for name in ("a", "b")]
    daemon = s.switch(*(word for p in sockets for word in ("--vhost", f"{p.stem}={p}")))
    first = random.SystemRandom().randrange(1 << 24) if WALKS >= MANY else 1
    with s.check(f"{WALKS} walks of {STEPS} steps, seeds from {first}"):
        for seed in range(first, first + WALKS):
            walk(daemon, sockets, seed)


tell(story)
