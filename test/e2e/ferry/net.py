# SPDX-License-Identifier: BSD-3-Clause
"""The host's network, in a namespace of the story's own."""

import os

from ferry.process import need, run
from ferry.story import Skip


class Namespace:
    """A network namespace that ends with the story."""

    def __init__(self, story):
        self.name = f"ferry-{os.getpid()}"
        status, _, err = run(["ip", "netns", "add", self.name])
        if status != 0:
            raise Skip(f"no network namespace can be made: {err.strip()}")
        story.at_end.callback(run, ["ip", "netns", "del", self.name])
        self.need("ip", "link", "set", "lo", "up")

    @property
    def prefix(self):
        """What to put before a command that is to run inside; it needs no right to mount."""
        return ("nsenter", f"--net=/run/netns/{self.name}")

    def need(self, *argv, seconds=30.0):
        """Runs a command inside that has to succeed; returns its output."""
        return need([*self.prefix, *argv], seconds)

    def run(self, *argv, seconds=30.0):
        return run([*self.prefix, *argv], seconds)
