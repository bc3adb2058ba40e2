# SPDX-License-Identifier: BSD-3-Clause
"""QEMU's control protocol."""

import json

from ferry.process import Failure


class Qmp:
    """One connection; events between the answers are kept in `events`."""

    def __init__(self, connection, seconds=20.0):
        connection.settimeout(seconds)
        self.file = connection.makefile("rw", encoding="utf-8", newline="\n")
        self.events = []
        self.receive()
        self.call("qmp_capabilities")

    def receive(self):
        try:
            line = self.file.readline()
        except TimeoutError:
            raise Failure("no answer from QEMU") from None
        if line == "":
            raise Failure("QEMU closed its control socket")
        return json.loads(line)

    def call(self, command, **arguments):
        request = {"execute": command}
        if arguments:
            request["arguments"] = arguments
        self.file.write(json.dumps(request) + "\n")
        self.file.flush()
        while True:
            answer = self.receive()
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise Failure(f"QEMU: {command}: {answer['error']['desc']}")
            self.events.append(answer)
