#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes the hand-made inputs of the corpus, or checks that they are what this would write.

Their names say what they reach, before the first dot (see fuzz.h), and how.  The inputs without a
dot in their names were found by libFuzzer.
"""

import sys
from pathlib import Path

import corpus_chain
import corpus_frame
import corpus_json
import corpus_message
import corpus_peer
import corpus_shadow
import corpus_words

TARGETS = {
    "chain": corpus_chain.inputs,
    "frame": corpus_frame.inputs,
    "json": corpus_json.inputs,
    "message": corpus_message.inputs,
    "peer": corpus_peer.inputs,
    "shadow": corpus_shadow.inputs,
    "words": corpus_words.inputs,
}


def main():
    check = sys.argv[1:] == ["--check"]
    stale = []
    for target, inputs in TARGETS.items():
        folder = Path(__file__).parent / "corpus" / target
        folder.mkdir(parents=True, exist_ok=True)
        made = inputs()
        for path in folder.glob("*.*"):
            if path.name not in made:
                stale.append(path)
                check or path.unlink()
        for name, data in made.items():
            path = folder / name
            if path.is_file() and path.read_bytes() == data:
                continue
            stale.append(path)
            check or path.write_bytes(data)
    for path in stale:
        print(("not what corpus.py writes: " if check else "written: ") + str(path))
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
