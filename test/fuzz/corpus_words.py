# SPDX-License-Identifier: BSD-3-Clause
"""Inputs of the target words: see words.c."""

OK = {
    "show": "show port",
    "named": "show port vm1",
    "by-key": "show port name=vm1",
    "integers": "fdb set vlan=0x10 static=on",
    "negative": "fdb set vlan=-1 static=false",
    "no-integer": "fdb set vlan=9223372036854775808 static=maybe",
    "array": "port add vm1 rows=[1,2] with={}",
    "no-array": "port add vm1 rows=[1 with=x",
    "path": "capture start vm1 file=a.pcap",
    "path-of-root": "capture start vm1 file=/a",
    "unknown-key": "fdb stats any=thing",
    "empty-value": "capture start file= port=",
    "no-params": "fdb none a=b",
}

USAGE = {
    "nothing": "",
    "one-word": "show",
    "no-method": "show nothing",
    "no-name": "fdb stats vm1",
    "two-names": "port add a b",
    "twice": "port add a name=b",
    "no-utf8": b"port add \xff",
    "no-key": "fdb set =1",
    "long": "x" * 100 + " " + "y" * 100,
    "many": "port add " + "a=b " * 70,
}

OTHERS = {
    "stdout.file": "capture start vm1 file=-",
}


def inputs():
    made = {f"ok.{story}": text for story, text in OK.items()}
    made.update({f"usage.{story}": text for story, text in USAGE.items()})
    made.update(OTHERS)
    return {name: t if isinstance(t, bytes) else t.encode() for name, t in made.items()}
