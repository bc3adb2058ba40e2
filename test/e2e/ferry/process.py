# SPDX-License-Identifier: BSD-3-Clause
"""Child processes that never outlive a story, and waiting that never lasts for ever."""

import ctypes
import os
import re
import signal
import subprocess
import time

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


class Failure(Exception):
    """What was expected did not happen; the text says what that was."""


def wait_until(what, condition, seconds=10.0, alive=()):
    """Calls condition until it gives something true, and returns that.

    Fails with `what` after the time given, and at once when a process of `alive` has ended.
    """
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        for process in alive:
            if process.status() is not None:
                raise Failure(f"{process.name} ended with {process.status()} while: {what}")
        if time.monotonic() > end:
            raise Failure(f"not within {seconds:g} s: {what}")
        time.sleep(0.02)


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class Process:
    """A program whose output goes to a log file."""

    def __init__(self, name, argv, log, stdin=subprocess.DEVNULL, pass_fds=(), env=None):
        self.name = name
        self.argv = [str(arg) for arg in argv]
        self.log_path = log
        with open(log, "ab") as out:
            out.write(f"$ {' '.join(self.argv)}\n".encode())
            out.flush()
            self.popen = subprocess.Popen(
                self.argv,
                stdin=stdin,
                stdout=out,
                stderr=subprocess.STDOUT,
                pass_fds=pass_fds,
                env=env,
                preexec_fn=die_with_parent,
            )

    @property
    def pid(self):
        return self.popen.pid

    def status(self):
        """Exit status, negative for a signal; None while it runs."""
        return self.popen.poll()

    def log(self):
        with open(self.log_path, errors="replace") as file:
            return file.read()

    def wait_line(self, pattern, seconds=10.0):
        """Waits for a line of output and returns the match."""
        expression = re.compile(pattern, re.MULTILINE)
        return wait_until(
            f"{self.name} prints /{pattern}/",
            lambda: expression.search(self.log()),
            seconds,
            alive=[self],
        )

    def wait(self, seconds=10.0):
        """Waits for the end and returns the exit status."""
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} has not ended within {seconds:g} s") from None

    def signal(self, number):
        self.popen.send_signal(number)

    def kill(self):
        """Ends it without a chance to clean up."""
        self.popen.kill()
        self.popen.wait()

    def stop(self, seconds=5.0):
        """Ends it the polite way first; returns the exit status."""
        if self.status() is None:
            self.signal(signal.SIGTERM)
            try:
                return self.popen.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.status()

    def cpu_seconds(self):
        """Processor time used so far, all threads added up."""
        with open(f"/proc/{self.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(argv, seconds=30.0, stdin=None, env=None):
    """Runs a command to its end; returns (exit status, stdout, stderr)."""
    try:
        done = subprocess.run(
            [str(arg) for arg in argv],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=seconds,
            env=env,
            preexec_fn=die_with_parent,
        )
    except subprocess.TimeoutExpired:
        raise Failure(f"{argv[0]} has not ended within {seconds:g} s: {argv}") from None
    return done.returncode, done.stdout, done.stderr


def need(argv, seconds=30.0):
    """Runs a command that has to succeed; returns its output."""
    status, out, err = run(argv, seconds)
    if status != 0:
        raise Failure(f"{' '.join(map(str, argv))}: exit status {status}: {err.strip() or out.strip()}")
    return out
