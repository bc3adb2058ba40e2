#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Tells a story several times, and goes on when it has failed: how often it does is what is asked.

usage: again.py TIMES STORY [ARGUMENT]...
"""

import subprocess
import sys
import time

SKIPPED = 77


def main():
    times, story = int(sys.argv[1]), sys.argv[2:]
    count = {}
    for number in range(1, times + 1):
        start = time.monotonic()
        done = subprocess.run([sys.executable, *story], capture_output=True, text=True, check=False)
        count[done.returncode] = count.get(done.returncode, 0) + 1
        print(f"# {number}: exit status {done.returncode}, {time.monotonic() - start:.1f} s", flush=True)
        if done.returncode == SKIPPED:
            print(done.stdout.strip())
            return SKIPPED
        if done.returncode != 0:
            print(done.stdout + done.stderr, flush=True)
    print(f"{count.get(0, 0)} of {times} ok")
    return 0 if count == {0: times} else 1


sys.exit(main())
