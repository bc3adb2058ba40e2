/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_HANDOVER_H
#define FERRY_HANDOVER_H

/**
 * @file
 * The network follows a guest whose rings go from software to a device and back, on one port.
 *
 * While a device moves the rings, frames of the guest do not pass the switch: who talks to it does so
 * through the port's uplink, which stands for the device's own wire.  So a handover has frames for
 * the guest kept, wherever they would have gone, until the rings run elsewhere, and sends them there
 * before anything newer; then the guest's addresses in the FDB follow.
 *
 * Life     one per process, after ports, FDB and parks; forget a port before its number is reused.
 * Threads  handover_begin(), _end(): any but a worker, the port's mutex held; the rest: control.
 */

#include "fdb.h"
#include "park.h"
#include "port.h"

struct handovers;

struct handovers_opts {
	struct fdb *fdb;
	struct park_set *parks;
	/** Announces an address of a guest whose rings are in software again.  Control. */
	void (*announce)(void *arg, struct port *p, const struct rte_ether_addr *mac);
	void *arg;
};

/** @return 0; -ENOMEM */
int handovers_create(const struct handovers_opts *opts, struct handovers **out);

/** NULL is allowed. */
void handovers_destroy(struct handovers *hs);

/** Frames for the port's guest are kept from the return on; see struct port_ops. */
void handover_begin(struct handovers *hs, struct port *p, const struct port_handover *h);

/** They may go where the rings are now. */
void handover_end(struct handovers *hs, struct port *p, const struct port_handover *h);

/** Has the FDB follow to where the rings are, unless frames wait in a park: then it does when that
 *  closes.  By EVENT_PROVIDER, and once in a while. */
void handover_follow(struct handovers *hs, struct port *p);

/** The park of the port closes: the addresses follow now. */
void handover_closed(struct handovers *hs, struct port *p);

/** The port goes. */
void handover_forget(struct handovers *hs, uint16_t port);

#endif
