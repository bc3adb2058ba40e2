# SPDX-License-Identifier: BSD-3-Clause
"""A story: some things that are started, checks on them, and an end that leaves nothing behind.

A file that tells one defines a function and ends with `tell(function)`.  It exits with 0, with 1
when a check failed, and with 77 (what meson calls skipped) after a line "SKIP: reason".
"""

import collections
import contextlib
import os
import pathlib
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback

from ferry.daemon import Ferryd
from ferry.guest import Guest
from ferry.process import Failure, Process, need

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"
TAIL_LINES = 30
UNPRINTABLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b.|[^\x20-\x7e\t\n]")
SKIPPED = 77


class Skip(Exception):
    """The machine lacks what the story needs."""


class Story:
    """What a story's function is given."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ferry-"))
        self.ferryd = program("FERRYD")
        self.ferryctl = program("FERRYCTL")
        self.guestio = program("GUESTIO")
        self.children = []
        self.logs = {}
        self.numbers = collections.Counter()
        self.failed = 0
        self.passed = 0
        self.at_end = contextlib.ExitStack()
        self.paths = None

    def path(self, name):
        return self.folder / name

    def log_path(self, name):
        path = self.folder / f"{name}.log"
        self.logs[name] = path
        return path

    def number(self, what):
        """A number that was not used before."""
        self.numbers[what] += 1
        return f"{what}{self.numbers[what]}"

    def image(self):
        """Kernel and initramfs; made by whichever story comes first."""
        if self.paths is None:
            cache = os.environ.get("GUEST_CACHE")
            argv = [TOOLS / "guest-image", "--add", self.guestio]
            out = need(argv + (["--cache", cache] if cache else []), 300)
            lines = dict(line.split("=", 1) for line in out.splitlines())
            self.paths = lines["KERNEL"], lines["INITRD"]
        return self.paths

    def keep(self, process):
        """Has a process ended with the story."""
        self.children.append(process)
        return process

    def start(self, name, argv, **options):
        """Starts any program."""
        return self.keep(Process(name, argv, self.log_path(name), **options))

    def switch(self, *args, **options):
        """Starts ferryd and waits until it answers."""
        return self.keep(Ferryd(self, args, **options))

    def guest(self, name, *nics, **options):
        return Guest(self, name, *nics, **options)

    @contextlib.contextmanager
    def check(self, what):
        """One thing that has to be true; the story goes on with the next when it is not."""
        start = time.monotonic()
        try:
            yield
        except (Failure, AssertionError) as failure:
            self.failed += 1
            say(f"not ok - {what} ({time.monotonic() - start:.1f} s)")
            say(indent("".join(traceback.format_exception(failure, limit=-3))))
        else:
            self.passed += 1
            say(f"ok - {what} ({time.monotonic() - start:.1f} s)")

    def tails(self):
        for name, path in self.logs.items():
            if path.exists():
                text = UNPRINTABLE.sub("", path.read_text(errors="replace"))
                tail = "\n".join(text.splitlines()[-TAIL_LINES:])
                say(f"--- {name}, its last lines:\n{indent(tail)}")

    def end(self):
        for process in reversed(self.children):
            if process.status() is None:
                process.kill()
        self.at_end.close()
        if os.environ.get("FERRY_KEEP"):
            say(f"kept: {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)


def program(variable):
    path = os.environ.get(variable)
    if not path or not os.access(path, os.X_OK):
        sys.exit(f"{variable} has to name a program; run the stories with meson test")
    return path


def indent(text):
    return "\n".join(f"    {line}" for line in text.rstrip().splitlines())


def say(text):
    print(text, flush=True)


def interrupted(number, _frame):
    raise Failure(f"ended by signal {number}")


def tell(function):
    """Runs a story and exits."""
    signal.signal(signal.SIGTERM, interrupted)
    story = Story()
    status = 1
    try:
        function(story)
        status = 0 if story.failed == 0 and story.passed > 0 else 1
    except Skip as reason:
        say(f"SKIP: {reason}")
        status = SKIPPED
    except KeyboardInterrupt:
        say("not ok - interrupted")
    except Exception:  # pylint: disable=broad-except
        say(f"not ok - the story broke off\n{indent(traceback.format_exc())}")
    finally:
        if status == 1:
            story.tails()
        story.end()
    say(f"{story.passed} ok, {story.failed} not ok")
    sys.exit(status)
