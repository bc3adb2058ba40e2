#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The command line, the console, the configuration and their errors; no guest is needed."""

import json
import os
import pathlib
import re
import signal
import socket
import stat

from ferry.daemon import refused
from ferry.process import Failure, run, wait_until
from ferry.rpc import Rpc, RpcError
from ferry.story import tell
from ferry.terminal import Terminal
from ferry.traffic import expect

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"

CAP_NET_ADMIN, CAP_SYS_ADMIN = 12, 21  # linux/capability.h

# A configuration, and the words that the error has to hold: the member, the value, what is expected.
BAD_CONFIGURATIONS = [
    ("{", ["line 1"]),
    ("[]", ["object"]),
    ('{"portz": []}', ["portz"]),
    ('{"ports": {}}', ["ports", "array"]),
    ('{"ports": [{"type": "vhost-user", "socket": "/tmp/x"}]}', ["ports[0]", "name"]),
    ('{"ports": [{"name": "vm1", "socket": "/tmp/x"}]}', ["ports[0]", "type"]),
    ('{"ports": [{"name": "vm1", "type": "vhost-usr", "socket": "/tmp/x"}]}', ["type", "vhost-usr", "vhost-user"]),
    ('{"ports": [{"name": "vm1", "type": "vhost-user"}]}', ["socket"]),
    (
        '{"ports": [{"name": "vm1", "type": "vhost-user", "socket": "/tmp/x", "role": "sever"}]}',
        ["role", "sever", "server", "client"],
    ),
    ('{"ports": [{"name": "vm1", "type": "vhost-user", "socket": "/tmp/x", "queues": 0}]}', ["queues", "0"]),
    ('{"ports": [{"name": "vm1", "type": "vhost-user", "socket": "/tmp/x", "queues": "4"}]}', ["queues", "4"]),
    ('{"ports": [{"name": "vm1", "type": "vhost-user", "socket": "/tmp/x", "mtu": -1}]}', ["mtu", "-1"]),
    ('{"ports": [{"name": "a b", "type": "vhost-user", "socket": "/tmp/x"}]}', ["name", "a b"]),
    (
        '{"ports": [{"name": "v", "type": "vhost-user", "socket": "/tmp/x"},'
        ' {"name": "v", "type": "vhost-user", "socket": "/tmp/y"}]}',
        ["v"],
    ),
    ('{"ports": [{"name": "up0", "type": "ethdev"}]}', ["devargs"]),
    ('{"workers": {"cpus": "one"}}', ["cpus", "one"]),
    ('{"workers": {"cpus": "4095"}}', ["cpus", "4095"]),
    ('{"rpc": {"socket": 7}}', ["socket", "7"]),
]


def vhost(story, name):
    return {"name": name, "type": "vhost-user", "socket": str(story.path(f"{name}.sock"))}


def good_configuration(story, **sections):
    path = story.path("good.json")
    ports = [vhost(story, "vm1"), {**vhost(story, "vm2"), "role": "client", "queues": 2}]
    rpc = {"socket": str(story.path("good.rpc"))}
    path.write_text(json.dumps({"rpc": rpc, "ports": ports, **sections}))
    return path


def complaints(story, args, words, lines=1):
    """Starts ferryd, which has to fail with one line that holds the words; what is wrong with that."""
    try:
        status, out, err = run([story.ferryd, *args], 5)
    except Failure:
        return ["it has started"]
    said = (out + err).strip()
    own = [line for line in said.splitlines() if not re.search("^EAL:|^TELEMETRY:|hugepages", line)]
    missing = [word for word in words if word.lower() not in said.lower()]
    if status > 0 and len(own) <= lines and not missing:
        return []
    return [f"exit status {status}, {len(own)} lines, {missing} missing in: {said}"]


def bad_configurations(story):
    path, wrong = story.path("bad.json"), []
    for text, words in BAD_CONFIGURATIONS:
        path.write_text(text)
        for extra in (["--check"], []):
            args = [*extra, "-c", path, "--rpc", story.path("bad.rpc")]
            wrong += [f"{text} {extra}: {why}" for why in complaints(story, args, words)]
    expect(not wrong, "\n".join(wrong))


def bad_starts(story):
    rpc = ("--rpc", story.path("bad.rpc"))
    taken, plain = story.path("taken.sock"), story.path("plain")
    plain.write_text("something else")
    holder = socket.socket(socket.AF_UNIX)
    holder.bind(str(taken))
    holder.listen()
    rows = [
        ([*rpc, "--vhost", f"vm1={taken}"], ["taken.sock"]),
        (["--rpc", taken], ["taken.sock"]),
        ([*rpc, "--vhost", f"vm1={plain}"], ["plain"]),
        ([*rpc, "--vhost", f"vm1={story.path('no/such/folder/vm1.sock')}"], ["no/such/folder"]),
        ([*rpc, "--port", "up0=net_nosuch0"], ["net_nosuch0"]),
        ([*rpc, "--port", "up0=0000:99:00.0"], ["0000:99:00.0"]),
        (["-c", story.path("absent.json")], ["absent.json"]),
        ([*rpc, "--vhost", "vm1"], ["vm1"]),
        ([*rpc, "--cpus", "zero"], ["cpus", "zero"]),
    ]
    wrong = [f"{args}: {why}" for args, words in rows for why in complaints(story, args, words)]
    wrong += complaints(story, ["--bogus"], ["bogus"], lines=40)
    holder.close()
    expect(not wrong, "\n".join(wrong))
    expect(stat.S_ISSOCK(os.stat(taken).st_mode), "the live socket was removed")
    expect(plain.read_text() == "something else", "a file that is no socket was removed")
    expect(not story.path("bad.rpc").exists(), "the RPC socket was left behind")


def command_line(daemon):
    """What ferryctl prints and how it exits."""
    one, all_ports = daemon.ctl_json("show", "port", "vm1"), daemon.ctl_json("show", "port")
    expect(isinstance(one, dict) and one["name"] == "vm1", f"show port vm1: {one}")
    expect([port["name"] for port in all_ports] == ["vm1", "vm2"], f"show port: {all_ports}")
    expect(one["state"] == "waiting" and one["rx"] == {"frames": 0, "bytes": 0}, f"vm1: {one}")
    rows = [
        (("show", "port"), 0, "vm1"),
        (("show", "worker"), 0, ""),
        (("show", "fdb"), 0, ""),
        (("ferryd", "version"), 0, ""),
        (("port", "del", "nobody"), 1, "nobody"),
        (("show", "port", "nobody"), 1, "nobody"),
        (("port", "add", "vm9", "type=vhost-usr"), 1, "vhost-usr"),
        (("frobnicate",), 2, "frobnicate"),
        (("--bogus",), 2, "bogus"),
    ]
    for words, status, text in rows:
        got, out, err = daemon.ctl(*words)
        expect(got == status, f"ferryctl {words}: exit status {got}: {out}{err}")
        expect(text in out + err, f"ferryctl {words}: {text!r} is not in: {out}{err}")
    expect("vm9" not in daemon.ctl("show", "port")[1], "a refused port was added")
    status, _, err = run([daemon.story.ferryctl, "--rpc", daemon.story.path("nobody.sock"), "show", "port"])
    expect(status == 3 and "nobody.sock" in err, f"without ferryd: {status} {err}")


def rpc_manners(daemon):
    """Several clients, pipelined requests, and nonsense between them."""
    first, second = Rpc(daemon.rpc_path), Rpc(daemon.rpc_path)
    numbers = [first.send("ferryd.version") for _ in range(20)]
    expect(second.call("ferryd.version") == daemon.call("ferryd.version"), "two clients differ")
    expect([first.receive()["id"] for _ in numbers] == numbers, "answers are out of order")
    first.send_line('{"jsonrpc": "2.0", "id": 7, "method": ')
    expect(first.receive()["error"]["code"] == -32700, "half a text is no parse error")
    expect(first.call("ferryd.version"), "the connection is dead after a parse error")
    rows = [("no.such", {}, -32601, "no.such"), ("port.show", {"nmae": "vm1"}, -32602, "nmae")]
    for method, params, code, word in rows:
        error = refused(daemon, method, **params)
        expect(error.code == code and word in str(error), f"{method} {params}: {error.code} {error}")
    second.file.write('{"jsonrpc": "2.0", "id"')
    second.file.flush()
    second.close()
    expect(first.call("ferryd.version"), "one client's half message has stopped another")
    first.close()


def telemetry(daemon, command):
    """Asks DPDK's telemetry socket of this ferryd; any number of DPDK processes may have theirs."""
    folders = ["/var/run/dpdk", os.environ.get("XDG_RUNTIME_DIR", "/tmp") + "/dpdk"]
    for path in (path for folder in folders for path in pathlib.Path(folder).glob("*/dpdk_telemetry.v2*")):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asked:
            asked.settimeout(5)
            try:
                asked.connect(str(path))
            except OSError:
                continue
            if json.loads(asked.recv(1024))["pid"] == daemon.pid:
                asked.send(command.encode())
                return json.loads(asked.recv(65536))[command.partition(",")[0]]
    raise Failure(f"no telemetry socket of process {daemon.pid}")


def telemetry_agrees(daemon):
    names = telemetry(daemon, "/ferry/port/list")
    expect(names == ["vm1", "vm2"], f"/ferry/port/list: {names}")
    port = telemetry(daemon, "/ferry/port/info,vm2")
    expect((port["name"], port["state"]) == ("vm2", "waiting"), f"/ferry/port/info,vm2: {port}")


def typed(story, daemon):
    """A person at the console: completion, help, history."""
    terminal = Terminal(story, "terminal", [story.ferryctl, "--rpc", daemon.rpc_path])
    terminal.type("", "ferry[^>]*> ")
    terminal.type("sho\tpor\tvm\t", r"show port vm[12]?")
    terminal.type("1\r", r"waiting")
    terminal.type("", "ferry[^>]*> ")
    before, _ = terminal.type("help\r", r"ferry[^>]*> ")
    for word in ("show", "port add", "fdb", "capture start"):
        expect(word in before, f"help lacks {word!r}: {before}")
    terminal.type("port del nobody\r", "nobody[^\n]*\n")
    terminal.type("", "nobody")
    terminal.type("", "ferry[^>]*> ")
    terminal.type("\x1b[A\x1b[A", "help")
    terminal.type("\r", "capture start")
    terminal.type("", "ferry[^>]*> ")
    terminal.type("\x04", "")
    wait_until("the console ends at the end of its input", lambda: terminal.status() is not None, 5)
    expect(terminal.status() == 0, f"exit status {terminal.status()}")


def interactive(story):
    """ferryd -i: the same console on its own terminal; quit ends both."""
    argv = [story.ferryd, "-i", "--rpc", story.path("i.sock"), "--vhost", f"vm1={story.path('i1.sock')}"]
    terminal = Terminal(story, "interactive", argv)
    terminal.type("", "ferry[^>]*> ", 20)
    terminal.type("show port\r", "vm1.*waiting")
    terminal.type("", "ferry[^>]*> ")
    terminal.type("ferryd quit\r", "")
    wait_until("ferryd has quit", lambda: terminal.status() is not None, 5)
    expect(terminal.status() == 0, f"exit status {terminal.status()}")
    expect(not story.path("i1.sock").exists(), "its socket was left behind")


def service(story):
    """What a service manager and an operator's kill see."""
    path = story.path("notify.sock")
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(path))
    manager.settimeout(5)
    env = {**os.environ, "NOTIFY_SOCKET": str(path)}
    log, rotated = story.log_path("file"), story.log_path("rotated")
    configuration = good_configuration(story, log={"file": str(log)})
    daemon = story.switch("-c", configuration, rpc="good.rpc", env=env)
    try:
        expect("READY=1" in manager.recv(4096).decode().splitlines(), "not ready")
        expect("ready" in log.read_text(), f"the log file holds {log.read_text()}")
        log.rename(rotated)
        daemon.signal(signal.SIGHUP)
        wait_until("the log file is opened again", log.exists, 5, alive=[daemon])
    finally:
        status = daemon.stop()
    expect(status == 0, f"exit status {status}")
    expect("STOPPING=1" in manager.recv(4096).decode(), "did not say that it stops")


def privileges(story):
    """As root it gives its sockets away and drops what a switch does not need."""
    path, rpc, vm1 = story.path("root.json"), story.path("root.rpc"), story.path("root1.sock")
    port = {**vhost(story, "root1"), "socket_mode": "0620", "socket_group": "65534"}
    sections = {"rpc": {"socket": str(rpc), "mode": "0660", "group": "65534"}, "ports": [port]}
    path.write_text(json.dumps(sections))
    daemon = story.switch("-c", path, name="ferryd-root", rpc="root.rpc")
    for file, mode in ((rpc, 0o660), (vm1, 0o620)):
        got = os.stat(file)
        expect((stat.S_IMODE(got.st_mode), got.st_gid) == (mode, 65534), f"{file.name}: {got}")
    status = pathlib.Path(f"/proc/{daemon.pid}/status").read_text()
    for name in ("CapEff", "CapPrm", "CapBnd"):
        held = int(re.search(rf"{name}:\s*(\w+)", status)[1], 16)
        expect(held >> CAP_NET_ADMIN & 1, f"{name} lacks what a tap needs: {held:x}")
        expect(not held >> CAP_SYS_ADMIN & 1, f"{name} has what a switch does not need: {held:x}")
    expect(daemon.stop() == 0, "exit status")


def descriptors(story):
    """The soft limit of descriptors is raised; where the hard one is too low for its ports it says so."""
    ports = [arg for i in range(8) for arg in ("--vhost", f"p{i}={story.path(f'p{i}.sock')},queues=8")]
    daemon = story.switch(*ports, name="ferryd-few", rpc="few.rpc", prefix=["prlimit", "--nofile=300:600"])
    limits = pathlib.Path(f"/proc/{daemon.pid}/limits").read_text()
    got = re.search(r"Max open files\s+(\d+)\s+(\d+)", limits).groups()
    expect(got == ("600", "600"), f"limits {got}")
    expect(daemon.stop() == 0, "exit status")
    expect("may need 656 file descriptors" in daemon.log(), "ports for which there is no room")
    expect("may need 590" not in daemon.log(), "a warning without need")


def saved(story, daemon):
    """config.save writes a file from which the same ports come again."""
    path = story.path("saved.json")
    daemon.call("port.add", **vhost(story, "vm3"), queues=3, mtu=9000)
    daemon.call("port.add", name="nul0", type="ethdev", devargs="net_null0,no-rx=1")
    daemon.call("config.save", file=str(path))
    before = daemon.call("config.show")
    expect(daemon.stop() == 0, "exit status")
    status, out, err = run([story.ferryd, "--check", "-c", path])
    expect(status == 0, f"--check refuses what was saved: {out}{err}")
    again = story.switch("-c", path, name="ferryd-again", rpc="good.rpc")
    expect(again.call("config.show") == before, f"{before} became {again.call('config.show')}")
    names = [port["name"] for port in again.call("port.show")]
    expect(names == ["vm1", "vm2", "vm3", "nul0"], f"ports are {names}")
    return again


def story(s):
    with s.check("--version and --check"):
        status, out, _ = run([s.ferryd, "--version"])
        expect(status == 0 and out.startswith("ferryd "), f"{status} {out}")
        status, out, err = run([s.ferryd, "--check", "-c", good_configuration(s)])
        expect(status == 0 and not s.path("good.rpc").exists(), f"{status} {out}{err}")
        for example in EXAMPLES.glob("*.json"):
            status, out, err = run([s.ferryd, "--check", "-c", example])
            expect(status == 0, f"{example.name}: {out}{err}")
    with s.check("a wrong member or value names itself and what was expected"):
        bad_configurations(s)
    with s.check("what cannot start says so in a line and exits"):
        bad_starts(s)

    with s.check("it tells its service manager that it is ready, and opens its log again on SIGHUP"):
        service(s)

    daemon = s.switch("-c", good_configuration(s), name="ferryd-2", rpc="good.rpc")
    with s.check("ferryctl as a command: output, JSON and exit status"):
        command_line(daemon)
    with s.check("JSON-RPC: several clients, pipelined, with nonsense between"):
        rpc_manners(daemon)
    with s.check("DPDK's telemetry tells the same"):
        telemetry_agrees(daemon)
    with s.check("ferryctl as a console: completion, help, history"):
        typed(s, daemon)
    with s.check("a configuration that is saved is the one that comes again"):
        daemon = saved(s, daemon)
    with s.check("ferryd.quit ends it cleanly"):
        try:
            daemon.call("ferryd.quit")
        except (ConnectionError, RpcError):
            pass
        expect(daemon.wait(2) == 0, "exit status")
        expect(not s.path("vm1.sock").exists(), "vm1.sock was left behind")
    if os.getuid() == 0:
        with s.check("root's ferryd gives its sockets a mode and a group and drops what it can"):
            privileges(s)
    with s.check("it takes as many descriptors as it may have, and says when its ports may need more"):
        descriptors(s)
    with s.check("ferryd -i opens the console on its own terminal"):
        interactive(s)


tell(story)
