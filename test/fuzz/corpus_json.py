# SPDX-License-Identifier: BSD-3-Clause
"""Inputs of the target json: see json.c."""

import json

CONFIG = "#config\n"


def request(method, /, **params):
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


def lines(*requests):
    return "\n".join(r if isinstance(r, str) else json.dumps(r) for r in requests)


def config(value):
    return CONFIG + (value if isinstance(value, str) else json.dumps(value))


MAC = "02:00:00:00:00:01"

RESULTS = {
    "ports": lines(request("port.show"), request("port.show", name="vm1")),
    "fdb": lines(
        request("fdb.add", mac=MAC, port="vm1", vlan=7), request("fdb.show"),
        request("fdb.show", port="vm1", vlan=7, limit=1), request("fdb.stats"),
        request("fdb.set", age=10, quota=5), request("fdb.flush"), request("fdb.flush", port="vm2"),
        request("fdb.del", mac=MAC, vlan=7),
    ),
    "show": lines(*(request(f"{noun}.show") for noun in (
        "worker", "stats", "capture", "event", "log", "config", "rpc")), request("ferryd.version")),
    "ids": lines(*(
        {"jsonrpc": "2.0", "id": i, "method": "ferryd.version"} for i in ("a", 1.5, None, -1)
    )),
    "of-one": lines(request("worker.show", index=0), request("stats.show", port="vm1"),
                    request("event.show", port="vm1", limit=3), request("rpc.show", method="port.add")),
}

PARSE = {
    "no-json": "}",
    "cut": '{"jsonrpc":"2.0","id":1,',
    "twice": '{"jsonrpc":"2.0","jsonrpc":"2.0"}',
    "zero-byte": '{"a":"\\u0000"}\n{"jsonrpc":"2.0\0"}',
    "surrogate": '{"a":"\\ud800"}',
    "deep": "[" * 2500,
    "number": '{"id":123456789012345678901234567890}',
}

REQUEST = {
    "no-object": "1\n\"a\"\nnull",
    "empty-batch": "[]",
    "id": '{"jsonrpc":"2.0","id":[],"method":"port.show"}',
    "version": '{"jsonrpc":"1.0","id":1,"method":"port.show"}',
    "method": '{"jsonrpc":"2.0","id":1,"method":1}\n{"jsonrpc":"2.0","id":1}',
}

PARAMS = {
    "no-object": '{"jsonrpc":"2.0","id":1,"method":"port.show","params":[1]}',
    "unknown-member": lines(request("port.show", nam="vm1"), request("fdb.stats", a=1)),
    "member-of-nothing": lines(request("port.show", **{"": 1}), request("port.show", **{"\n\t\u00e4": 1})),
    "missing": lines(request("fdb.add", mac=MAC), request("port.add")),
    "type": lines(request("port.show", name=1), request("fdb.set", age="1"),
                  request("fdb.set", age=1.0), request("port.add", name=["a"], type={})),
    "range": lines(request("fdb.set", age=-1), request("fdb.add", mac=MAC, port="vm1", vlan=4095),
                   request("worker.show", index=9), request("fdb.show", limit=0)),
    "choice": lines(request("port.add", name="a", type="vhost"), request("log.set", level="loud")),
    "nobody": lines(request("port.show", name="vm"), request("queue.move", port="vm3", ring=0, worker=0)),
    "mac": lines(*(request("fdb.add", port="vm1", mac=mac) for mac in (
        "", "02:00:00:00:00", "0200.0000.0001", "ff:ff:ff:ff:ff:ff", MAC + ":", "02-00-00-00-00-01"))),
    "long": lines(request("port.show", name="x" * 300), request("port.show", **{"y" * 300: 1})),
}

FAILED = {
    "fdb-del": lines(request("fdb.del", mac=MAC)),
    "reaches-out": lines(
        request("port.add", name="a", type="ethdev", devargs="net_null0"),
        request("port.add", name="b", type="vhost-user", socket="b.sock", queues=2),
        request("port.del", name="vm1"), request("config.load", file="/x"), request("ferryd.quit"),
        request("capture.start", port="vm1", dir="rx", filter="ip", file="/x", snaplen=96),
    ),
    "queue-move": lines(request("queue.move", port="vm1", ring=2, worker=1)),
}

OTHERS = {
    "method.none": lines(request("port.shwo"), request("x"), request("")),
    "batch.all": "[" + ",".join(map(json.dumps, (request("port.show"), 1, request("x")))) + "]",
    "notification.alone": '{"jsonrpc":"2.0","method":"port.show"}\n  \n'
    '[{"jsonrpc":"2.0","method":"x"}]',
}

PORTS = [
    {"name": "vm1", "type": "vhost-user", "socket": "/run/ferry/vm1.sock", "role": "server", "queues": 1},
    {"name": "vm2", "type": "vhost-user", "socket": "b", "group": "red", "mtu": 9000},
    {"name": "up0", "type": "ethdev", "devargs": "net_tap0,iface=ferry0"},
]

CONFIGS = {
    "all": config({
        "rpc": {"socket": "/run/ferry/ferry.sock", "mode": "0600", "group": "0"},
        "workers": {"cpus": "0"},
        "ports": PORTS,
        "fdb": {"age": 17, "quota": 9,
                "entries": [{"mac": MAC, "port": "vm1"}, {"mac": MAC, "vlan": 5, "port": "vm2"}]},
        "log": {"file": "/x", "levels": {"ferry.*": "debug", "*": "error"}},
        "eal": "-m 64", "privileges": "keep",
    }),
    "empty": config({}),
}

NO_CONFIGS = {
    "no-object": config([]),
    "unknown-member": config({"port": []}),
    "empty-member": config({"": []}),
    "section": config({"ports": {}}),
    "port": config({"ports": [1]}),
    "port-twice": config({"ports": [PORTS[0], PORTS[0]]}),
    "socket-twice": config({"ports": [PORTS[0], {**PORTS[0], "name": "c"}]}),
    "port-member": config({"ports": [{**PORTS[0], "queues": 0}]}),
    "port-name": config({"ports": [{**PORTS[0], "name": "a b"}]}),
    "entry-port": config({"ports": PORTS, "fdb": {"entries": [{"mac": MAC, "port": "vm9"}]}}),
    "entry-mac": config({"ports": PORTS, "fdb": {"entries": [{"mac": "1", "port": "vm1"}]}}),
    "cpus": config({"workers": {"cpus": "0-"}}),
    "cpus-order": config({"workers": {"cpus": "3-1"}}),
    "cpus-many": config({"workers": {"cpus": "0-4294967295"}}),
    "mode": config({"rpc": {"mode": "0888"}}),
    "group": config({"rpc": {"group": "-1"}}),
    "level": config({"log": {"levels": {"ferry.*": "loud"}}}),
    "level-type": config({"log": {"levels": {"ferry.*": 1}}}),
}


def inputs():
    groups = {
        "result": RESULTS, "parse": PARSE, "request": REQUEST, "params": PARAMS, "failed": FAILED,
        "config": CONFIGS, "no_config": NO_CONFIGS,
    }
    made = {f"{name}.{story}": text for name, texts in groups.items() for story, text in texts.items()}
    return {name: text.encode() for name, text in {**made, **OTHERS}.items()}
