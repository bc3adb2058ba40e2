/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_PORT_PROVIDER_RIG_H
#define FERRY_PORT_PROVIDER_RIG_H

/**
 * @file
 * A switch with workers, a port "vm1" that has a device, "wire" that stands for its wire, "vm2", and
 * guests on the first and the last.
 *
 * The device is software, too, on the wire's number: what its guest sends comes in there, and what is
 * sent there reaches its guest.  It does what it is told to do wrong.
 *
 * Threads  the test's is control
 */

#include "check.h"
#include "handover.h"
#include "port.h"
#include "worker.h"

#include "stream.h"
#include "vmm.h"

struct device {
	struct vdev vdev;
	struct vdev *inner;
	const char *failed;
	int start_rc;            /* what start() answers */
	uint32_t n_starts;
	uint32_t kick_alls;
};

struct rig {
	struct cross *cross;
	struct swdev_pool *pool;
	struct fdb *fdb;
	struct capture *capture;
	struct park_set *parks;
	struct ports *ports;
	struct handovers *handovers;
	struct worker_set *workers;
	struct stats *stats;
	struct port *vm1, *wire, *vm2;
	struct device *device;   /* of now */
	uint32_t n_created;
	bool can_log;            /* devices that are created from now on */
	uint64_t features;       /* that they do not have */
	int create_rc;
	char news[512];          /* what was told, line by line */
	uint32_t n_announced;
	struct vmm_fault fault;
};

extern struct rig rig;

void rig_start(void);
void rig_stop(void);

/* Does what is control's to do, for so long. */
void rig_tend(unsigned int ms);

/* A guest on a port, connected and announced. */
struct vmm_guest *rig_guest(const char *port, uint8_t mac_id, bool packed, bool legacy);

/* What was told since the last call. */
const char *rig_news(void);

/* Who moves the rings of vm1: provider of the running ring 0. */
const char *rig_mover(void);

/* Why. */
const char *rig_why(void);

/* Adds a port by these options, and checks that it is refused with that text; NULL: it is not. */
void rig_add(const struct port_opts *opts, const char *refusal);

#endif
