# SPDX-License-Identifier: BSD-3-Clause
"""ferryd and ferryctl."""

import json

from ferry.process import Failure, Process, run, wait_until
from ferry.rpc import Rpc, RpcError


class Ferryd(Process):
    """A running ferryd with an open RPC connection."""

    def __init__(
        self, story, args, name="ferryd", prefix=(), rpc="ferry.sock", env=None, seconds=20
    ):
        self.story = story
        self.rpc_path = story.path(rpc)
        argv = [*prefix, story.ferryd, "--rpc", self.rpc_path, *args]
        super().__init__(name, argv, story.log_path(name), env=env)
        self.rpc = wait_until(f"{name} answers", self.connect, seconds, alive=[self])

    def connect(self):
        try:
            rpc = Rpc(self.rpc_path)
        except OSError:
            return None
        if rpc.call("ferryd.version")["pid"] != self.pid:
            raise Failure(f"another ferryd answers on {self.rpc_path}")
        return rpc

    def call(self, method, **params):
        return self.rpc.call(method, **params)

    def port(self, name):
        return self.call("port.show", name=name)

    def wait_state(self, name, state="up", seconds=20.0):
        """Waits until a port is in a state and returns the port."""

        def in_state():
            port = self.port(name)
            return port if port["state"] == state else None

        return wait_until(f"port {name} is {state}", in_state, seconds, alive=[self])

    def wait_running(self, name, queues=1, seconds=20.0):
        """Waits until a guest's driver has started and enabled so many queue pairs."""

        def running():
            port = self.port(name)
            rings = [ring for ring in port["rings"] if ring["started"] and ring["enabled"]]
            return port if port["state"] == "up" and len(rings) >= 2 * queues else None

        return wait_until(f"port {name} runs {queues} queue pairs", running, seconds, alive=[self])

    def ctl(self, *words, seconds=10.0):
        """Runs ferryctl on this daemon; returns (exit status, stdout, stderr)."""
        argv = [self.story.ferryctl, "--rpc", self.rpc_path, *words]
        return run(argv, seconds)

    def ctl_json(self, *words):
        """Runs ferryctl --json and returns what it printed."""
        status, out, err = self.ctl("--json", *words)
        if status != 0:
            raise Failure(f"ferryctl {' '.join(words)}: exit status {status}: {err.strip()}")
        return json.loads(out)


def refused(daemon, method, **params):
    """Calls a method that has to be answered with an error; returns the error."""
    try:
        result = daemon.call(method, **params)
    except RpcError as error:
        return error
    raise Failure(f"{method} {params} was accepted: {result}")


def dropped(port):
    """All frames that a port has lost, whatever their names."""
    return sum(port["drops"].values())
