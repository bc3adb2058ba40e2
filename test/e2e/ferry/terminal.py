# SPDX-License-Identifier: BSD-3-Clause
"""A program on a terminal that we type into."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios

from ferry.console import Console
from ferry.process import die_with_parent

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]")


class Terminal:
    """Ends with the story; what appears on the screen is in `console`."""

    def __init__(self, story, name, argv):
        self.name = name
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
        self.popen = subprocess.Popen(
            [str(arg) for arg in argv],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env={**os.environ, "TERM": "vt100", "HOME": str(story.folder)},
            preexec_fn=die_with_parent,
        )
        os.close(slave)
        story.keep(self)
        self.console = Console(
            name,
            lambda: os.read(master, 65536),
            lambda data: os.write(master, data),
            story.log_path(name),
        )

    def status(self):
        return self.popen.poll()

    def kill(self):
        self.popen.kill()
        self.popen.wait()

    def type(self, text, pattern, seconds=10):
        """Types something and waits for a pattern; returns what appeared before it, and the match."""
        self.console.send(text)
        before, match = self.console.expect(pattern, seconds)
        return ESCAPES.sub("", before), match
