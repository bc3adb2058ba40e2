#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A guest's rings start anew while its memory is copied: no write goes unlogged, the migration succeeds.

usage: migrate_restart.py split|packed

Once because ferryd is killed and another one takes its place, once because the guest reboots.  QEMU
then announces the log only after it has started the rings.
"""

import sys

from ferry.story import tell
from ferry.travel import ADDRESSES, Travel

FORMAT = sys.argv[1]


def arrives(travel, migration):
    """Lets the migration end and compares the memory."""
    travel.peer_sends()
    migration.hurry()
    travel.equal_memory(migration)


def ferryd_dies(travel):
    traffic = travel.traffic()
    migration = travel.migration("there", paused=True).linger()
    travel.peer_sends()
    travel.daemon.kill()
    travel.daemon = travel.switch("ferryd-2")
    for port in ("here", "peer"):
        travel.daemon.wait_running(port)
    arrives(travel, migration)
    travel.settled("there")
    traffic.daemons = []
    traffic.finish()


def guest_reboots(travel):
    travel.traffic()
    migration = travel.migration("here", paused=True).linger()
    travel.peer_sends()
    travel.vm.reboot()
    travel.vm.configure(f"{ADDRESSES['vm']}/24")
    travel.peer.run("killall guestio")
    traffic = travel.traffic()
    arrives(travel, migration)
    travel.settled("here")
    traffic.finish()


def story(s):
    travel = Travel(s, FORMAT)
    with s.check("ferryd is killed in the middle; the next one logs before it writes"):
        ferryd_dies(travel)
        travel.works()
    with s.check("the guest reboots in the middle"):
        guest_reboots(travel)
        travel.works()


tell(story)
