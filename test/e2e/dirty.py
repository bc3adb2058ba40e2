#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Mini-migrations over the whole matrix: no write goes unlogged, no position is wrong.

usage: dirty.py [MIGRATIONS]

Two runs at once.  In one the guest goes to and fro between two ports of one ferryd, in the other both
guests go to and fro between two ferryds.  Each run can be told again by its seed.  Nothing is parked
there, so that what is lost is lost where it was sent; a third run, between two ports, has parks on and
two workers.
"""

import json
import os
import sys

from ferry.story import tell
from ferry.traffic import expect

MIGRATIONS = int(sys.argv[1]) if len(sys.argv) > 1 else 700
SECONDS = 60 + MIGRATIONS
FULL_MATRIX = 256
KEPT = max(60, MIGRATIONS // 10)


def start(story, name, park=False, **config):
    ports = [vhost(port, story.path(f"{name}-{port}.sock"), park) for port in "abp"]
    path = story.path(f"{name}.json")
    path.write_text(json.dumps({"ports": ports, **config}))
    daemon = story.switch("-c", path, name=name, rpc=f"{name}.rpc")
    return daemon, [port["socket"] for port in ports]


def vhost(name, path, park):
    return {"name": name, "type": "vhost-user", "socket": str(path), "park": park}


def migrate(story, name, sockets, seed, first, count=MIGRATIONS // 2):
    argv = [os.environ["VMM"], "migrate", *sockets]
    options = ["--count", count, "--seed", seed, "--first", first]
    return story.start(name, [*argv, *options])


def result(process):
    status = process.wait(SECONDS)
    line = json.loads(process.log().splitlines()[-1])
    print(f"# {json.dumps(line)}")
    expect(status == 0 and line["ok"], f"seed {line['seed']}, shape {line['shape']}: {line['fault']}")
    return line


def kept(s, seed):
    """Frames wait for a guest that is on its way, in a buffer of each worker, and none is doubled by it."""
    daemon, (a, b, p) = start(s, "kept", park=True, workers={"cpus": "0,1"})
    line = result(migrate(s, "parks", [a, b, p], seed, 0, KEPT))
    expect(line["migrations"] >= KEPT, f"{line['migrations']} migrations")
    expect(any(port["parked"] for port in daemon.call("port.show")), "nothing was ever parked")


def story(s):
    one, (a, b, p) = start(s, "one")
    two, (a2, _, p2) = start(s, "two")
    three, (a3, _, p3) = start(s, "three")
    seed = int.from_bytes(os.urandom(3), "little") if MIGRATIONS > 2000 else 1
    runs = [
        migrate(s, "ports", [a, b, p], seed, 0),
        migrate(s, "switches", [a2, a3, p2, p3], seed + 1, FULL_MATRIX // 2),
    ]
    for run, what in zip(runs, ("two ports", "two ferryds")):
        with s.check(f"{MIGRATIONS // 2} mini-migrations between {what}: images equal, ledgers balance"):
            line = result(run)
            expect(line["migrations"] >= MIGRATIONS // 2, f"{line['migrations']} migrations")
            expect(line["completed"] and line["resumed"] and line["cancelled"], "a road is missing")
    with s.check(f"{KEPT} mini-migrations with parks and two workers: ledgers balance"):
        kept(s, seed + 2)
    with s.check("every ferryd lives"):
        for daemon in (one, two, three):
            expect(daemon.status() is None, f"{daemon.name} has ended")
            for port in daemon.call("port.show"):
                drops = {name: count for name, count in port["drops"].items() if count}
                print(f"# {daemon.name}, port {port['name']}: dropped {drops}")


tell(story)
