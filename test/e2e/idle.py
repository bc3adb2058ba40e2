#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""64 connected guests that have nothing to say cost nothing, and the first frame after that gets through."""

import os
import time

from ferry.process import wait_until
from ferry.story import tell
from ferry.traffic import expect

PORTS = 64
SECONDS = 30
CPU_SHARE = 0.005


def up(daemon):
    return sum(port["state"] == "up" for port in daemon.call("port.show"))


def story(s):
    vmm = os.environ["VMM"]
    sockets = [str(s.path(f"p{i}.sock")) for i in range(PORTS)]
    ports = [word for i, path in enumerate(sockets) for word in ("--vhost", f"p{i}={path}")]
    ends = [str(s.path(f"{name}.sock")) for name in ("a", "b")]
    daemon = s.switch(*ports, "--vhost", f"a={ends[0]}", "--vhost", f"b={ends[1]}")
    s.start("vmm", [vmm, "idle", *sockets])
    wait_until("all guests are up", lambda: up(daemon) == PORTS, 60, [daemon])

    with s.check(f"{PORTS} idle ports cost less than {CPU_SHARE:.1%} of a core over {SECONDS} s"):
        time.sleep(2)
        before, worker = daemon.cpu_seconds(), daemon.call("worker.show")[0]
        time.sleep(SECONDS)
        spent = daemon.cpu_seconds() - before
        after = daemon.call("worker.show")[0]
        print(f"# {spent:.2f} s of CPU in {SECONDS} s, {after['sleeps'] - worker['sleeps']} sleeps")
        expect(spent <= CPU_SHARE * SECONDS, f"{spent:.2f} s of CPU")
        expect(after["sleeps"] - worker["sleeps"] < 10, "the worker wakes for nothing")
        expect(after["frames"] == worker["frames"], "frames came from nowhere")

    with s.check("every first frame after an idle second is forwarded"):
        latency = s.start("latency", [vmm, "latency", *ends, "--count", "5", "--ms", "1000"])
        expect(latency.wait(60) == 0, latency.log())
        print(f"# {latency.log().strip()}")


tell(story)
