/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VDEV_MODEL_FRONT_H
#define VDEV_MODEL_FRONT_H

/**
 * @file
 * A member of the wire that is a vhost-user front-end: what it is given goes into a port of a
 * switch, what comes out of that port goes to the other members.
 *
 * A switch that has no buffers loses what it has for us, so all that comes is taken at once and
 * kept here, FRONT_KEPT_MAX frames at most, until the wire takes it.
 *
 * Life     one per --wire; connects as soon as somebody listens, and again whenever it was cut off.
 * Threads  one; messages of vhost-user are waited for.
 * Units    frames.
 * Source   the vhost-user specification, by way of ../vmm.
 */

#include "loop.h"
#include "vmm.h"
#include "wire.h"

#define FRONT_KEPT_MAX  65536
#define FRONT_PAIRS_MAX 4

/** What the command line says of one. */
struct front_conf {
	char path[108];
	uint16_t pairs;
};

/** A frame that waits for the wire. */
struct kept {
	struct kept *next;
	struct virtio_net_hdr_v1 hdr;
	uint32_t len;
	uint8_t bytes[];
};

struct front {
	struct front_conf conf;
	struct device_stats stats;
	struct member member;
	struct vmm_guest *g;
	struct vmm_fault fault;
	struct watch socket, calls[2 * FRONT_PAIRS_MAX];
	struct kept *first[FRONT_PAIRS_MAX], **last[FRONT_PAIRS_MAX];
	uint64_t n_kept;
	uint64_t taken, forwarded;      /* frames from the switch; those the wire has had */
	uint64_t sent;                  /* frames to the switch */
	uint64_t retry_at;              /* the next attempt to connect */
	bool connected;
	bool full;                      /* a frame did not fit: it is told when one does */
};

/** @return 0; -errno */
int front_init(struct front *f, const struct front_conf *conf);
void front_fini(struct front *f);

/** Connects when it is time to.  */
void front_poll(struct front *f);

#endif
