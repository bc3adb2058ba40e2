#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A guest migrates to another port of its ferryd and back, under traffic that is counted.

usage: migrate.py split|packed QUEUES TRIPS
"""

import sys

from ferry.story import tell
from ferry.travel import Travel

FORMAT, QUEUES, TRIPS = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


def to_and_fro(travel):
    for number in range(TRIPS):
        port = "here" if number % 2 else "there"
        travel.migration(port).go().finish()
        travel.settled(port)


def same_memory(travel, port):
    traffic = travel.traffic()
    travel.equal_memory(travel.migration(port, paused=True).go())
    travel.settled(port)
    traffic.finish()


def unseen_frames(travel, port):
    """The guest touches none of the buffers that are filled: nobody but ferryd can mark them."""
    traffic = travel.traffic()
    migration = travel.migration(port, paused=True).linger()
    travel.vm.need("ip link set eth0 down")
    travel.peer_sends(2000)
    migration.hurry()
    travel.equal_memory(migration)
    travel.vm.need("ip link set eth0 up")
    travel.settled(port)
    traffic.finish()


def story(s):
    travel = Travel(s, FORMAT, QUEUES)
    with s.check(f"{TRIPS} migrations there and back lose, double and reorder nothing"):
        travel.nothing_lost(lambda: to_and_fro(travel))
    with s.check("the memory at the destination equals that at the source in every byte"):
        same_memory(travel, "here" if TRIPS % 2 else "there")
    with s.check("so it does where the guest looked at nothing that it was given"):
        unseen_frames(travel, "there" if TRIPS % 2 else "here")
    with s.check("the guests still work as before"):
        travel.works()


tell(story)
