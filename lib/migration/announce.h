/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_ANNOUNCE_H
#define FERRY_ANNOUNCE_H

/**
 * @file
 * Announcements again: a guest that has come is announced at once, by its front-end (SEND_RARP) or
 * by itself; a switch on the way that missed it hears it some more times from here.
 *
 * With nobody to announce there is no timer.
 *
 * Life     one per process
 * Threads  control
 * Units    microseconds
 * Source   RFC 903; QEMU announces five times over half a second
 */

#include "loop.h"

#include <rte_ether.h>

#include <stdbool.h>
#include <stdint.h>

/** Guests that are announced at the same time; of more, the oldest have had most of theirs. */
#define ANNOUNCE_MAX 256

struct announcer;

/** Announces an address from a port once. */
typedef void announce_fn(void *arg, uint16_t port, uint32_t id, uint32_t stay,
			 const struct rte_ether_addr *mac);

/** @return 0; -ENOMEM */
int announcer_create(struct loop *loop, announce_fn *fn, void *arg, struct announcer **out);

/** NULL is allowed. */
void announcer_destroy(struct announcer *a);

/**
 * Has an address announced again, 100, 300, 700 and 1500 ms from now; from the beginning, when it
 * was about to be already.
 *
 * @param id    port_id() of the port, for `fn`
 * @param stay  which stay of a guest on the port this is, for `fn`: it may have ended by then
 */
void announcer_add(struct announcer *a, uint16_t port, uint32_t id, uint32_t stay,
		   const struct rte_ether_addr *mac);

/** Whether it is about to. */
bool announcer_has(const struct announcer *a, uint16_t port, const struct rte_ether_addr *mac);

/** Announces nothing more from a port. */
void announcer_forget(struct announcer *a, uint16_t port);

/** How many addresses are about to be announced. */
uint32_t announcer_pending(const struct announcer *a);

#endif
