# SPDX-License-Identifier: BSD-3-Clause
"""What is measured: ferryd and testpmd, each between guests of the generator, and what they count."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from ferry.daemon import Ferryd
from ferry.process import Failure, Process

HUGEPAGES = pathlib.Path("/sys/kernel/mm/hugepages/hugepages-2048kB")
HUGEPAGES_WANTED = 320

# Before everything else that runs on the machine; refused without the right, and then without it.
NICE = -15
URGENT = ("nice", "-n", str(NICE))

# Niceness counts among the processes of a session only, where sessions are scheduled as groups.
GROUP = pathlib.Path("/proc/self/autogroup")


class Bench:
    """A folder for sockets and logs, the programs, and everything that was started."""

    def __init__(self, build):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ferry-bench-"))
        self.ferryd = build / "app" / "ferryd"
        self.vmm = build / "test" / "tools" / "vmm" / "vmm"
        self.children = []
        self.borrowed = 0
        self.group = "0"

    def path(self, name):
        return self.folder / name

    def log_path(self, name):
        return self.folder / f"{name}.log"

    def start(self, name, argv, **options):
        return self.keep(Process(name, argv, self.log_path(name), **options))

    def keep(self, process):
        self.children.append(process)
        return process

    def end(self, process):
        process.stop()
        self.children.remove(process)

    def hugepages_borrow(self):
        """Reserves what testpmd wants; it does without when there are none to be had."""
        before = int((HUGEPAGES / "nr_hugepages").read_text())
        missing = HUGEPAGES_WANTED - int((HUGEPAGES / "free_hugepages").read_text())
        if missing > 0 and os.access(HUGEPAGES / "nr_hugepages", os.W_OK):
            (HUGEPAGES / "nr_hugepages").write_text(str(before + missing))
            self.borrowed = int((HUGEPAGES / "nr_hugepages").read_text()) - before

    def group_hurry(self):
        """Puts all that is started here before the other sessions of the machine."""
        with contextlib.suppress(OSError):
            self.group = GROUP.read_text().split()[-1]
            GROUP.write_text(str(NICE))

    def close(self):
        for process in reversed(self.children):
            process.stop()
        with contextlib.suppress(OSError):
            GROUP.write_text(self.group)
        if self.borrowed > 0:
            now = int((HUGEPAGES / "nr_hugepages").read_text())
            (HUGEPAGES / "nr_hugepages").write_text(str(now - self.borrowed))
        shutil.rmtree(self.folder, ignore_errors=True)


class FerrydUnderTest:
    """ferryd; the guests that forward are a and b, the others have other names."""

    def __init__(self, bench, name, cpus="1", n_ports=2, queues=1, args=()):
        self.name = name
        self.sockets = [bench.path(f"{name}-{i}.sock") for i in range(n_ports)]
        config = bench.path(f"{name}.json")
        config.write_text(
            json.dumps(
                {
                    "workers": {"cpus": cpus} if cpus else {},
                    "ports": [
                        {"name": f"p{i}", "type": "vhost-user", "socket": str(path), "queues": queues}
                        for i, path in enumerate(self.sockets)
                    ],
                }
            )
        )
        self.process = Ferryd(bench, ["-c", config, *args], name, prefix=URGENT, rpc=f"{name}.rpc")
        bench.keep(self.process)

    def pid(self):
        return self.process.call("ferryd.version")["pid"]

    def counted(self):
        """Busy cycles and frames so far, all workers together."""
        workers = self.process.call("worker.show")
        return sum(w["busy_cycles"] for w in workers), sum(w["frames"] for w in workers)

    def addresses_add(self, macs, port):
        """Static entries behind a port, a thousand requests at a time."""
        rpc = self.process.rpc
        for at in range(0, len(macs), 1000):
            part = macs[at : at + 1000]
            for mac in part:
                rpc.send("fdb.add", mac=mac, port=port)
            for _ in part:
                answer = rpc.receive()
                if "error" in answer:
                    raise Failure(f"fdb.add: {answer['error']}")


class TestpmdUnderTest:
    """testpmd between two vhost ports, every frame from one straight to the other."""

    def __init__(self, bench, name, lcores="0@0,1@1", n_forward=1, offload=False):
        self.name = name
        self.sockets = [bench.path(f"{name}-{i}.sock") for i in range(2)]
        options = ",tso=1,legacy-ol-flags=1" if offload else ""
        vdevs = [f"net_vhost{i},iface={path},queues=1{options}" for i, path in enumerate(self.sockets)]
        reader, self.stdin = os.pipe()
        argv = [
            *URGENT,
            *("stdbuf", "-oL", "dpdk-testpmd", *self.memory(name), "--no-pci", "--no-telemetry"),
            *("--lcores", lcores, "--vdev", vdevs[0], "--vdev", vdevs[1]),
            *("--", "-i", "--auto-start", "--forward-mode=io", "--record-core-cycles"),
            *(f"--nb-cores={n_forward}", "--total-num-mbufs=32768", "--no-mlockall"),
        ]
        self.process = bench.start(name, argv, stdin=reader)
        os.close(reader)
        self.process.wait_line(r"testpmd> *", 60)

    @staticmethod
    def memory(name):
        free = int((HUGEPAGES / "free_hugepages").read_text())
        if free >= HUGEPAGES_WANTED // 2:
            return ["--in-memory"]
        return ["--no-huge", "-m", "512", "--no-shconf", f"--file-prefix={name}-{os.getpid()}"]

    def pid(self):
        return self.process.pid

    def counted(self):
        """Cycles in bursts that were not empty, and frames, so far."""
        seen = len(self.process.log())
        os.write(self.stdin, b"show fwd stats all\n")
        expression = re.compile(r"total cycles=(\d+) / total io packets=(\d+)")
        while True:
            match = expression.search(self.process.log(), seen)
            if match:
                return int(match[1]), int(match[2])
            if self.process.status() is not None:
                raise Failure("testpmd has ended")


class Generator:
    """`vmm gen`: guests a and b of each switch, and the slices."""

    def __init__(self, bench, systems, options):
        sockets = [path for system in systems for path in system.sockets[:2]]
        pids = ",".join(str(system.pid()) for system in systems)
        argv = [*URGENT, "taskset", "-c", "0", bench.vmm, "gen", *sockets, *options]
        argv += ["--stdin", "--pids", pids]
        with open(bench.log_path("gen"), "ab") as log:
            self.popen = subprocess.Popen(
                [str(arg) for arg in argv],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.answer()

    def answer(self):
        line = self.popen.stdout.readline()
        if line == "":
            raise Failure("the generator has ended; its log says why")
        return json.loads(line)

    def slice(self, pair, ms, addresses=0):
        """Runs one slice; the switch of this pair goes on running after it, the others stand."""
        self.popen.stdin.write(f"run {pair} {ms} {addresses}\n")
        self.popen.stdin.flush()
        return self.answer()

    def log(self, pair, on):
        """Has the writes into this pair's guests logged, or no longer."""
        self.popen.stdin.write(f"log {pair} {int(on)}\n")
        self.popen.stdin.flush()
        return self.answer()

    def close(self):
        if self.popen.poll() is None:
            self.popen.stdin.write("quit\n")
            self.popen.stdin.close()
        self.popen.wait(10)


class LoggingGenerator(Generator):
    """One pair of guests that is two: 0 with its writes logged, 1 without."""

    def slice(self, pair, ms, addresses=0):
        self.log(0, pair == 0)
        return super().slice(0, ms, addresses)
