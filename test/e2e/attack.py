#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A malicious front-end and guest, case by case: its own port breaks by name, two others talk on.

usage: attack.py [ROUNDS]
"""

import json
import os
import sys

from ferry.process import run
from ferry.story import tell
from ferry.traffic import expect

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 1

FORMATS = {"split": [], "packed": ["--packed"]}
CASES_MIN = 100


def attack(s, daemon, options, seed):
    victim, *others = (s.path(f"{name}.sock") for name in ("bad", "c", "d"))
    witness = ":".join(map(str, others))
    argv = [os.environ["VMM"], "attack", victim, "all", "--witness", witness, "--seed", seed, *options]
    status, out, err = run(argv, 300)
    expect(daemon.status() is None, f"ferryd ended with {daemon.status()}: {out}{err}")
    expect(status == 0, f"seed {seed}: {out}{err}")
    result = json.loads(out.splitlines()[-1])
    expect(result["cases"] >= CASES_MIN and result["failed"] == 0, f"{result}")


def story(s):
    names = ("bad", "c", "d")
    daemon = s.switch(*(word for n in names for word in ("--vhost", f"{n}={s.path(n)}.sock")))
    for name, options in FORMATS.items():
        with s.check(f"{name}: every case {ROUNDS} times, and the witnesses lose nothing"):
            for seed in range(1, ROUNDS + 1):
                attack(s, daemon, options, seed)
    with s.check("the attacked port comes back with the next good guest"):
        good = [os.environ["VMM"], "pair", s.path("bad.sock"), s.path("c.sock"), "--frames", "500"]
        status, out, err = run(good, 60)
        expect(status == 0, f"{out}{err}")


tell(story)
