#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Adds up the JSON logs of several runs of meson test.

usage: summary.py NAME=LOG... | --failed LOG

--failed lists the tests of a log that failed, for a second try, whose log has "-again" in its name.

Prints what was skipped and why, what failed, and the closing line; exits with 1 when something
failed or nothing ran.
"""

import collections
import json
import os
import re
import sys

PASSED = {"OK", "EXPECTEDFAIL"}
SKIPPED = {"SKIP"}


def results(path):
    """One test after the other; a log that is missing or cut off counts as a failure."""
    try:
        with open(path) as file:
            for line in file:
                yield json.loads(line)
    except (OSError, ValueError) as error:
        yield {"name": f"log of the run ({error})", "result": "ERROR", "stdout": ""}


def reason(test):
    """The one line in which a test says why it was skipped."""
    output = (test.get("stdout") or "") + (test.get("stderr") or "")
    match = re.search(r"^.*\bskip(?:ped)?:? *(.*)$", output, re.IGNORECASE | re.MULTILINE)
    lines = output.strip().splitlines()
    return (match[1] if match else lines[-1] if lines else "").strip() or "no reason given"


def bare(test):
    """A test's name as `meson test` takes it."""
    return test["name"].rpartition(" / ")[2]


def failed(path):
    """Names of the tests that failed, as far as the log names tests."""
    good = PASSED | SKIPPED
    return [bare(t) for t in results(path) if t["result"] not in good and " / " in t["name"]]


def mended(path):
    """Names of the tests that passed at their second try."""
    if not os.path.exists(path):
        return set()
    return {bare(test) for test in results(path) if test["result"] in PASSED}


def main(arguments):
    if arguments[:1] == ["--failed"]:
        print("\n".join(failed(arguments[1])))
        return 0
    count = collections.Counter()
    for argument in arguments:
        run, _, path = argument.partition("=")
        second = mended(path.replace(".json", "-again.json"))
        for test in results(path):
            result = test["result"]
            if result in PASSED:
                count["passed"] += 1
            elif result in SKIPPED:
                count["skipped"] += 1
                print(f"skipped  {run}: {test['name']}: {reason(test)}")
            elif bare(test) in second:
                count["passed"] += 1
                print(f"unsteady {run}: {test['name']}: failed, passed at the second try")
            else:
                count["failed"] += 1
                print(f"failed   {run}: {test['name']} ({result})")
    print(f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped")
    return 0 if count["passed"] > 0 and count["failed"] == 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
