# SPDX-License-Identifier: BSD-3-Clause
"""JSON-RPC 2.0 over a UNIX socket, one JSON text per line each way."""

import json
import socket

from ferry.process import Failure


class RpcError(Exception):
    """ferryd answered with an error."""

    def __init__(self, error):
        super().__init__(error.get("message", str(error)))
        self.code = error.get("code")
        self.data = error.get("data")


class Rpc:
    """One connection; requests may be pipelined with send() and receive()."""

    def __init__(self, path, seconds=5.0):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(seconds)
        try:
            self.socket.connect(str(path))
        except OSError:
            self.socket.close()
            raise
        self.file = self.socket.makefile("rw", encoding="utf-8", newline="\n")
        self.next_id = 1

    def send(self, method, **params):
        """Sends a request and returns its id."""
        number = self.next_id
        self.next_id += 1
        request = {"jsonrpc": "2.0", "id": number, "method": method}
        if params:
            request["params"] = params
        self.send_line(json.dumps(request))
        return number

    def send_line(self, line):
        """Sends any text, well-formed or not."""
        self.file.write(line + "\n")
        self.file.flush()

    def receive(self):
        """Returns the next answer, whole."""
        try:
            line = self.file.readline()
        except TimeoutError:
            raise Failure("no answer on the RPC socket") from None
        if line == "":
            raise ConnectionError("ferryd closed the RPC connection")
        return json.loads(line)

    def call(self, method, **params):
        """Calls a method and returns its result; raises RpcError for an error."""
        number = self.send(method, **params)
        answer = self.receive()
        if answer.get("id") != number:
            raise Failure(f"{method}: answer to {answer.get('id')}, not to {number}")
        if "error" in answer:
            raise RpcError(answer["error"])
        return answer["result"]

    def close(self):
        self.file.close()
        self.socket.close()
