/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_FWD_H
#define FERRY_FWD_H

/**
 * @file
 * The forwarding pass: from one receive side to the others, one copy, in bursts.
 *
 * A burst of chains is read from a guest's transmit ring (or of mbufs from a device), one snapshot
 * of each frame's headers decides where it goes, and its bytes are copied straight into the
 * receiver's posted buffers.  The header bytes delivered are the snapshot that was decided on.
 *
 * Life     one per worker
 * Threads  its worker
 * Units    frames, bytes without FCS
 */

#include "capture.h"
#include "fdb.h"
#include "park.h"
#include "port.h"
#include "swdev.h"

struct fwd;

struct fwd_opts {
	uint32_t worker;
	struct cross *cross;
	struct swdev_pool *pool;
	struct ports *ports;
	struct fdb *fdb;
	struct capture *capture;
	struct park_set *parks;  /**< NULL: nothing is ever parked */
};

/** @return 0; -ENOMEM */
int fwd_create(const struct fwd_opts *opts, struct fwd **out);

/** NULL is allowed. */
void fwd_destroy(struct fwd *f);

/** What a turn did. */
struct fwd_turn {
	uint32_t frames;   /**< taken from rings and devices */
	bool left;         /**< something was left behind for the next turn: do not sleep */
};

/**
 * Serves every ring and queue of this worker once, a bounded burst each.
 *
 * @role  worker, online; passes no quiescent point itself
 */
void fwd_turn(struct fwd *f, struct fwd_turn *out);

/**
 * Asks for kicks and receive interrupts on everything that this worker polls.
 *
 * @param bounded  out: something polled cannot wake the worker (a device without interrupts, a
 *                 ring without a kick descriptor), so it may sleep only so long
 * @return         true: something is there already, do not sleep
 * @role           worker, online
 */
bool fwd_arm(struct fwd *f, bool *bounded);

/** Takes fwd_arm() back. @role worker, online */
void fwd_disarm(struct fwd *f);

/**
 * Sends a frame of ours out of a port as if its guest had sent it: an announcement, which the network
 * learns by.  We do not: who has it announced knows where the guest is, and late ones would undo it.
 *
 * @param id    port_id() of the port that is meant: one that has its number now sends nothing
 * @param data  frame without virtio-net header; at most 128 bytes
 * @role        worker, online
 */
void fwd_inject(struct fwd *f, uint16_t port, uint32_t id, const uint8_t *data, uint32_t len);

/**
 * Counts what this worker polls at the moment.
 *
 * @role  control: views it reads are retired by control or under its ports' mutexes
 */
void fwd_polled(const struct fwd *f, uint32_t *n_rings, uint32_t *n_queues);

#endif
