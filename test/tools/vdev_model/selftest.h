/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VDEV_MODEL_SELFTEST_H
#define VDEV_MODEL_SELFTEST_H

/**
 * @file
 * The parts of the self test: the model runs as a process of its own, drivers and wires of ours
 * talk to it, and to its control socket.
 *
 * Life     one model per story.
 * Threads  one.
 * Units    none.
 * Source   none.
 */

#include "../../unit/check.h"
#include "client.h"

/** A model that runs. */
struct rig {
	pid_t pid;
	int control;
	char sockets[3][108];
};

/**
 * Starts a model with `n` devices.
 *
 * @param options  of every device, from the comma on; may be empty
 * @param more     further arguments, up to a NULL; may be NULL
 */
int rig_start(struct rig *r, unsigned int n, const char *options, const char *const *more);

/** Ends it.  @return its exit status; -1: it was ended by a signal */
int rig_end(struct rig *r);

/** Asks the control socket.  @return the answer, valid until the next call; NULL: none */
const char *rig_ask(struct rig *r, const char *line);

/** A counter of a device; UINT64_MAX: there is none of that name. */
uint64_t rig_count(struct rig *r, unsigned int device, const char *name);

/** Two drivers, both started.  @return 0; -errno */
int pair_open(struct driver d[2], struct rig *r, const struct vmm_guest_conf *conf);
void pair_close(struct driver d[2]);

/** Sends frames both ways and checks every one.  @return 0; -EPROTO; -ETIMEDOUT */
int pair_stream(struct driver d[2], unsigned int frames, uint32_t len_most, unsigned int flows);

/**
 * Sends up to `n` frames from one driver to an address, numbered on from `flow`.
 *
 * @param src  NULL: the driver's own
 * @return     how many the ring took; -errno
 */
int driver_send(struct driver *d, const uint8_t *dst, const uint8_t *src, struct vmm_flow *flow,
		unsigned int n);

/** Receives until `n` frames of a flow have come in order, or nothing more comes for a second.
 *  @return how many; -errno */
int driver_receive(struct driver *d, struct vmm_flow *flow, unsigned int n);

/** What most stories want: split, mergeable, event index, containment. */
void conf_plain(struct vmm_guest_conf *conf);

/* Stories */
void stories_strict(void);
void stories_vendor(void);
void stories_wire(void);
void stories_fault(void);
void stories_message(void);
void stories_offload(void);

#endif
