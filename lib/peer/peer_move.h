/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_PEER_MOVE_H
#define FERRY_PEER_MOVE_H

/**
 * @file
 * Guests that move between this host and its peers, and the frames that follow them.
 *
 * Where a guest comes to, its port keeps what is for it, all peers are told its address, and what
 * they had kept goes to it first.  Where it left, its frames go to the peer that tells of it.  A
 * frame leaves by the uplink only where it may: never where it came in, for every learning switch
 * on the way would move its sender's address.
 *
 * Life     one per process, with its set of peers
 * Threads  control, but for peer_moves_expect()
 * Units    microseconds
 */

#include "fdb.h"
#include "park.h"
#include "peer.h"
#include "port.h"

#include <stdbool.h>
#include <stdint.h>

struct peer_moves;

struct peer_moves_opts {
	struct loop *loop;
	struct cross *cross;
	struct park_set *parks;
	struct fdb *fdb;
	struct ports *ports;      /**< set before anything happens */
};

/** @return 0; -ENOMEM */
int peer_moves_create(const struct peer_moves_opts *opts, struct peer_moves **out);

/** NULL is allowed. */
void peer_moves_destroy(struct peer_moves *pm);

struct peer_set *peer_moves_set(struct peer_moves *pm);

/**
 * A guest has come that may have left frames with a peer: what is for it is kept.
 *
 * @return  false: it is not, there is no peer or the port's guest is known to be here
 * @role    vhost, port's mutex held
 */
bool peer_moves_expect(struct peer_moves *pm, uint16_t port, uint64_t features);

/** Looks for ports on which guests were expected. */
void peer_moves_look(struct peer_moves *pm);

/** An address was heard of on a port. */
void peer_moves_heard(struct peer_moves *pm, uint16_t port, fdb_key_t key);

/**
 * An address that stands on one port was seen on another.
 *
 * @return  true: a peer has its guest, or may soon say so; it does not move yet
 */
bool peer_moves_seen(struct peer_moves *pm, uint16_t from, uint16_t to);

/** The port is no more. */
void peer_moves_forget(struct peer_moves *pm, uint16_t port);

#endif
