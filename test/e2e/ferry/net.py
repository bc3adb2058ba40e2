# SPDX-License-Identifier: BSD-3-Clause
"""The host's network, in namespaces of the story's own, and a station in one of them."""

import json
import os
import signal

from ferry.process import Failure, need, run
from ferry.story import Skip


class Namespace:
    """A network namespace that ends with the story."""

    def __init__(self, story, name="host"):
        self.name = f"ferry-{os.getpid()}-{name}"
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


class Station:
    """A namespace as one end of a flow: it is asked as a guest is."""

    def __init__(self, story, network, name="host"):
        self.name = name
        self.story = story
        self.network = network

    def need(self, command, seconds=20):
        return self.network.need("sh", "-c", command.replace("usleep 20000", "sleep 0.02"), seconds=seconds)

    def spawn(self, command):
        argv = [*self.network.prefix, "sh", "-c", f"exec {command.replace('guestio', self.story.guestio, 1)}"]
        return StationJob(self.story.start(self.story.number(self.name), argv))


class StationJob:
    """A program that runs in the background of a station."""

    def __init__(self, process):
        self.process = process

    def signal(self, name):
        self.process.signal(signal.Signals[f"SIG{name}"])

    def result(self, seconds=60):
        self.process.wait(seconds)
        lines = [line for line in self.process.log().splitlines() if line.startswith("{")]
        if not lines:
            raise Failure(f"{self.process.name}: {self.process.log()}")
        return json.loads(lines[-1])
