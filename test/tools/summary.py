#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Adds up the JSON logs of several runs of meson test.

usage: summary.py NAME=LOG... | --failed LOG

--failed lists the tests of a log that failed, a line for each suite (tests of two suites may have the
same name), for a second try, whose logs have "-again-SUITE" in their names.

Prints what was skipped and why, what failed, and the closing line; exits with 1 when something
failed or nothing ran.
"""

import collections
import glob
import json
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


def failed(path):
    """Names by suite of the tests that failed, as far as the log names tests."""
    suites = collections.defaultdict(list)
    for test in results(path):
        match = re.fullmatch(r"\w+:(\w+)[^ ]* / (.*)", test["name"])
        if match and test["result"] not in PASSED | SKIPPED:
            suites[match[1]].append(match[2])
    return suites


def mended(path):
    """The tests that passed at their second try."""
    logs = glob.glob(glob.escape(path.removesuffix(".json")) + "-again-*.json")
    return {test["name"] for log in logs for test in results(log) if test["result"] in PASSED}


def main(arguments):
    if arguments[:1] == ["--failed"]:
        for suite, names in failed(arguments[1]).items():
            print(suite, *names)
        return 0
    count = collections.Counter()
    for argument in arguments:
        run, _, path = argument.partition("=")
        second = mended(path)
        for test in results(path):
            result = test["result"]
            if result in PASSED:
                count["passed"] += 1
            elif result in SKIPPED:
                count["skipped"] += 1
                print(f"skipped  {run}: {test['name']}: {reason(test)}")
            elif test["name"] in second:
                count["passed"] += 1
                print(f"unsteady {run}: {test['name']}: failed, passed at the second try")
            else:
                count["failed"] += 1
                print(f"failed   {run}: {test['name']} ({result})")
    print(f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped")
    return 0 if count["passed"] > 0 and count["failed"] == 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
