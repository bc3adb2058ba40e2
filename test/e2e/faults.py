#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Every fault that can be seeded into the logging is caught, by an oracle and not by a crash.

FERRYD has to be a build with -Dfaults=true.  Without a fault the same run passes.
"""

import json
import os

from ferry.process import run as execute
from ferry.story import tell
from ferry.traffic import expect

SECONDS = 60
SOUND = 60
KINDS = 20


def listed(story):
    _, out, _ = execute([story.ferryd], env={**os.environ, "FERRY_FAULT": "list"})
    rows = [line.split(" ", 1) for line in out.splitlines()]
    return [(int(number), name) for number, name in rows if int(number) > 0]


def vhost(name, path):
    """Nothing is parked: what is delivered later has its own stories."""
    return {"name": name, "type": "vhost-user", "socket": path, "park": False}


def run(story, number, count):
    paths = [str(story.path(f"{port}{number}.sock")) for port in "abp"]
    config = story.path(f"ferryd{number}.json")
    config.write_text(json.dumps({"ports": [vhost(*port) for port in zip("abp", paths)]}))
    env = {**os.environ, "FERRY_FAULT": str(number)}
    daemon = story.switch("-c", config, name=f"ferryd{number}", rpc=f"ferry{number}.rpc", env=env)
    argv = [os.environ["VMM"], "migrate", *paths, "--count", count, "--seed", number + 1]
    vmm = story.start(f"vmm{number}", argv)
    status = vmm.wait(SECONDS)
    expect(daemon.status() is None, "ferryd has ended")
    daemon.stop()
    return status, json.loads(vmm.log().splitlines()[-1])


def story(s):
    faults = listed(s)
    with s.check("without a fault nothing is found"):
        status, line = run(s, 0, SOUND)
        expect(status == 0, line["fault"])
    with s.check(f"there are at least {KINDS} kinds of faults"):
        expect(len(faults) >= KINDS, f"{len(faults)} kinds")
    for number, name in faults:
        with s.check(f"{number}: {name}"):
            status, line = run(s, number, 100000)
            expect(status == 1, "nothing was found")
            found = line["fault"]
            print(f"# after {line['ms']} ms, {line['migrations']} migrations: {found}")
            expect(found.startswith(("image:", "log:")), f"no oracle of the log: {found}")


tell(story)
