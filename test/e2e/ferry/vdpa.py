# SPDX-License-Identifier: BSD-3-Clause
"""The model of a network card with virtio rings, in a process of its own."""

import json
import os
import pathlib
import socket
import stat

from ferry.process import Failure, wait_until


def plugin(name="VDPA_VIRTIO"):
    """What ferryd needs to have a vendor plugin: (its "eal", its environment).

    DPDK loads nothing from below a folder that everybody may write to; a build there preloads it.
    """
    path = pathlib.Path(os.environ[name]).resolve()
    if any(folder.stat().st_mode & stat.S_IWOTH for folder in path.parents):
        return "", {"LD_PRELOAD": str(path)}
    return f"-d {path}", {}


class Model:
    """A model with one device, its wire on a port of a ferryd.

    Its address is the guest's, as that of a card's virtual function has to be: the wire knows by it where the guest
    is when it has not spoken yet.
    """

    def __init__(self, story, name, wire, options, mac="52:54:00:fe:00:01"):
        self.device = story.path(f"{name}.dev")
        self.control = story.path(f"{name}.ctl")
        device = ",".join([str(self.device), "mac=52:54:00:fe:00:01", "queues=4", *options])
        argv = [os.environ["VDEV_MODEL"], "--device", device, "--control", str(self.control)]
        self.process = story.start(name, [*argv, "--wire", str(wire)])
        wait_until(f"{name} answers", self.answers, 20, alive=[self.process])

    def answers(self):
        try:
            return self.ask("stats")
        except OSError:
            return None

    def ask(self, line):
        """Sends a line to the model's control and returns its answer."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect(str(self.control))
            s.sendall(f"{line}\n".encode())
            answer = s.makefile().readline()
        if answer.startswith("error"):
            raise Failure(f"vdev_model: {line}: {answer}")
        return answer

    def stats(self):
        """What the device has counted, a driver's violations of the specification among it."""
        return json.loads(self.ask("stats"))["devices"][0]
