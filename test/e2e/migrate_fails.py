#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Migrations that do not take place: the guest goes on where it was, and nobody has lost a frame.

usage: migrate_fails.py split|packed QUEUES
"""

import sys

from ferry.process import wait_until
from ferry.story import tell
from ferry.travel import ADDRESSES, Travel

FORMAT, QUEUES = sys.argv[1], int(sys.argv[2])


def cancelled_while_copying(travel):
    """Memory is sent so slowly that it never ends."""
    migration = travel.migration("there").linger()
    travel.peer_sends()
    migration.cancel()


def cancelled_while_stopped(travel):
    """The rings stand already; they start again where they were."""
    migration = travel.migration("there").go(halt=True)
    migration.wait("pre-switchover")
    travel.peer_sends()
    migration.cancel()


def destination_dies_while_copying(travel):
    migration = travel.migration("there").linger()
    travel.peer_sends()
    migration.target.kill()
    migration.wait("failed")
    migration.stay()


def destination_dies_while_stopped(travel):
    migration = travel.migration("there").go(halt=True)
    migration.wait("pre-switchover")
    travel.peer_sends()
    migration.target.kill()
    migration.go_on()
    migration.wait("failed")
    migration.stay()


ROADS = (
    ("a migration is cancelled while memory is copied", cancelled_while_copying),
    ("a migration is cancelled while the guest stands", cancelled_while_stopped),
    ("the destination is killed while memory is copied", destination_dies_while_copying),
    ("the destination is killed while the guest stands", destination_dies_while_stopped),
)


def source_dies(travel):
    """Whoever boots next on the port of a guest that died on its way finds nothing left over."""
    travel.traffic()
    migration = travel.migration("there").linger()
    travel.peer_sends()
    migration.source.kill()
    travel.peer.run("killall guestio")
    travel.daemon.wait_state("here", "waiting")
    wait_until("the destination gives up", lambda: migration.target.qemu.status() is not None, 30)
    travel.daemon.wait_state("there", "waiting")


def three_and_back(travel):
    for road in (cancelled_while_copying, cancelled_while_stopped, cancelled_while_copying):
        road(travel)
    for port in ("there", "here"):
        travel.migration(port).go().finish()
        travel.settled(port)


def fails(travel, road):
    road(travel)
    travel.settled("here")


def story(s):
    travel = Travel(s, FORMAT, QUEUES)
    for what, road in ROADS:
        with s.check(f"{what}: the guest goes on, nothing is lost"):
            travel.nothing_lost(lambda: fails(travel, road))  # pylint: disable=cell-var-from-loop
    with s.check("three are cancelled, one after the other; the next one succeeds, and one back"):
        travel.nothing_lost(lambda: three_and_back(travel))
        travel.works()
    with s.check("the source is killed while memory is copied"):
        source_dies(travel)
        vm = travel.vm = s.guest("vm-again", travel.nic("here"), smp=QUEUES)
        vm.ready()
        vm.configure(f"{ADDRESSES['vm']}/24")
        vm.ping(ADDRESSES["peer"])
        travel.works()


tell(story)
