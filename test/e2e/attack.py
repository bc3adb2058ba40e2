#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A malicious front-end and guest, case by case: its own port breaks by name, two others talk on.

usage: attack.py [ROUNDS]
"""

import json
import os
import socket
import sys

from ferry.process import run, wait_until
from ferry.story import tell
from ferry.traffic import expect

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 1

FORMATS = {"split": [], "packed": ["--packed"]}
CASES_MIN = 100
RETRIES = 5000
LOG_LINES = 20
LOG_PERIOD = 10
TOLD = "similar lines were suppressed: ferry: bad: a second front-end was refused"


def attack(s, daemon, options, seed):
    victim, *others = (s.path(f"{name}.sock") for name in ("bad", "c", "d"))
    witness = ":".join(map(str, others))
    argv = [os.environ["VMM"], "attack", victim, "all", "--witness", witness, "--seed", seed, *options]
    status, out, err = run(argv, 300)
    expect(daemon.status() is None, f"ferryd ended with {daemon.status()}: {out}{err}")
    expect(status == 0, f"seed {seed}: {out}{err}")
    result = json.loads(out.splitlines()[-1])
    expect(result["cases"] >= CASES_MIN and result["failed"] == 0, f"{result}")


def connected(path):
    front = socket.socket(socket.AF_UNIX)
    front.settimeout(5)
    front.connect(str(path))
    return front


def retry(s, daemon):
    """One front-end holds a socket; another one tries it again and again, as libvirt might."""
    lines = len(daemon.log().splitlines())
    with connected(s.path("bad.sock")) as holder:
        wait_until("the first is connected", lambda: daemon.port("bad")["connected"], 5)
        connections = daemon.port("bad")["connections"]
        for _ in range(RETRIES):
            with connected(s.path("bad.sock")) as stranger:
                expect(stranger.recv(1) == b"", "a second front-end was let in")
        port = daemon.port("bad")
        same = port["connected"] and port["connections"] == connections
        expect(same, "the first one was sent away")
    wait_until("the log tells of the other tries", lambda: TOLD in daemon.log(), LOG_PERIOD + 5)
    added = daemon.log().splitlines()[lines:]
    expect(len(added) < LOG_LINES, f"{len(added)} lines of log")
    expect(not any("VHOST_CONFIG" in line for line in added), "librte_vhost was shown strangers")


def story(s):
    names = ("bad", "c", "d")
    daemon = s.switch(*(word for n in names for word in ("--vhost", f"{n}={s.path(n)}.sock")))
    for name, options in FORMATS.items():
        with s.check(f"{name}: every case {ROUNDS} times, and the witnesses lose nothing"):
            for seed in range(1, ROUNDS + 1):
                attack(s, daemon, options, seed)
    with s.check("who tries an occupied socket again and again costs few lines of log"):
        retry(s, daemon)
    with s.check("the attacked port comes back with the next good guest"):
        good = [os.environ["VMM"], "pair", s.path("bad.sock"), s.path("c.sock"), "--frames", "500"]
        status, out, err = run(good, 60)
        expect(status == 0, f"{out}{err}")


tell(story)
