/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_FWD_RIG_H
#define FERRY_FWD_RIG_H

/**
 * @file
 * The switch with a guest on each port, turned by hand: what was sent has been forwarded when
 * rig_turn() returns.
 *
 * Life     rig_create() to rig_destroy(), one at a time.
 * Threads  the test's own.
 */

#include "../conform/side.h"
#include "../conform/testbed.h"

#include "check.h"

#define RIG_FRAME 70000

struct rig {
	struct testbed bed;
	uint16_t n_ports;
	struct side sides[TESTBED_PORTS];
	struct vmm_fault fault;
	uint8_t frame[RIG_FRAME];       /* what rig_recv() took */
	struct virtio_net_hdr_v1 hdr;
};

/** Guests are of `confs`, one a port. */
void rig_create(struct rig *r, const struct testbed_opts *opts, const struct vmm_guest_conf *confs);

/** Stops all and runs the guests' oracles. */
void rig_destroy(struct rig *r);

void rig_send(struct rig *r, uint16_t port, const void *frame, uint32_t len,
	      const struct virtio_net_hdr_v1 *hdr);

/** Turns all workers until none moves a frame. */
void rig_turn(struct rig *r);

/** Next frame that came to a port, on any ring.  @return length; 0: none */
uint32_t rig_recv(struct rig *r, uint16_t port, uint16_t *pair);

/** The address of a port's guest. */
static inline const uint8_t *
rig_mac(const struct rig *r, uint16_t port)
{
	return r->sides[port].g->mac;
}

/* Stories, by file. */

void fwd_offload_stories(void);
void fwd_flow_stories(void);
void fwd_busy_stories(void);

#endif
