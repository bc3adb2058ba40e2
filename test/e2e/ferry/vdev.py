# SPDX-License-Identifier: BSD-3-Clause
"""vdev_model: network devices that are not there, for ferryd to drive through the plugin."""

import json
import os
import socket

from ferry.process import Failure, Process
from ferry.story import program

# What the model's devices can be: with its own positions and log, or plain as most devices are.
ABLE = ("positions", "logging", "packed", "event_idx", "indirect")
PLAIN = ("packed", "event_idx", "indirect")


def plugin():
    """The vendor driver, as ferryd -d wants it."""
    path = os.environ.get("VDPA_PLUGIN")
    if not path or not os.path.exists(path):
        raise Failure("VDPA_PLUGIN has to name librte_vdpa_virtio.so; run the stories with meson test")
    return path


class Model(Process):
    """Some devices on one wire; `wire` is the socket of a ferryd port that the wire leads to."""

    def __init__(self, story, *options, wire=None, name="model"):
        self.sockets = [story.path(f"{name}{number}.vfio") for number in range(len(options))]
        self.control_path = story.path(f"{name}.control")
        self.control = None
        argv = [program("VDEV_MODEL"), "--control", self.control_path]
        for path, words in zip(self.sockets, options):
            argv += ["--device", ",".join((str(path), *words))]
        if wire is not None:
            argv += ["--wire", wire]
        super().__init__(name, argv, story.log_path(name))
        story.keep(self)
        self.wait_line(r"^ready$", 20)

    def devargs(self, number, **more):
        """What a port's "vdpa" says to have a device of the model."""
        words = [f"vdpa_virtio{number}", f"socket={self.sockets[number]}"]
        return ",".join(words + [f"{key}={value}" for key, value in more.items()])

    def ask(self, line):
        """One line for the model's control socket; returns the line that it answers."""
        if self.control is None:
            self.control = socket.socket(socket.AF_UNIX)
            self.control.settimeout(20)
            self.control.connect(str(self.control_path))
        self.control.sendall(f"{line}\n".encode())
        answer = b""
        while not answer.endswith(b"\n"):
            more = self.control.recv(65536)
            if not more:
                raise Failure(f"{self.name} hung up at: {line}")
            answer += more
        text = answer.decode().strip()
        if text.startswith("error"):
            raise Failure(f"{self.name}: {line}: {text}")
        return text

    def fault(self, number, name, argument=""):
        """Has a device do what no device may."""
        self.ask(f"fault {number} {name} {argument}".rstrip())

    def stats(self, number):
        """What a device has counted, the driver's violations of the specification among it."""
        return json.loads(self.ask("stats"))["devices"][number]
