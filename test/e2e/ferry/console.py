# SPDX-License-Identifier: BSD-3-Clause
"""A text stream that is drained all the time by a thread of its own, and waited on by others."""

import re
import threading
import time

from ferry.process import Failure


class Console:
    """Reads with `read`, a function that returns some bytes and none at the end; keeps a log."""

    def __init__(self, name, read, write, log):
        self.name = name
        self.read = read
        self.write = write
        self.log_path = log
        self.text = ""
        self.position = 0
        self.ended = False
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self.drain, daemon=True)
        self.thread.start()

    def drain(self):
        with open(self.log_path, "ab", buffering=0) as log:
            while True:
                try:
                    data = self.read()
                except OSError:
                    data = b""
                log.write(data)
                with self.changed:
                    self.text += data.decode(errors="replace")
                    self.ended = not data
                    self.changed.notify_all()
                if not data:
                    return

    def send(self, text):
        self.write(text.encode())

    def expect(self, pattern, seconds=10.0, panic=None):
        """Waits for a pattern behind what was expected before; returns (text before it, match)."""
        expression = re.compile(pattern)
        end = time.monotonic() + seconds
        with self.changed:
            while True:
                match = expression.search(self.text, self.position)
                if match is not None:
                    before = self.text[self.position : match.start()]
                    self.position = match.end()
                    return before, match
                self.complain(pattern, end, seconds, panic)
                self.changed.wait(max(0.0, end - time.monotonic()))

    def complain(self, pattern, end, seconds, panic):
        tail = self.text[self.position :][-300:]
        if panic is not None and re.search(panic, self.text[self.position :]):
            raise Failure(f"{self.name}: panic while waiting for /{pattern}/: {tail!r}")
        if self.ended:
            raise Failure(f"{self.name}: ended while waiting for /{pattern}/: {tail!r}")
        if time.monotonic() > end:
            raise Failure(f"{self.name}: no /{pattern}/ within {seconds:g} s: {tail!r}")
