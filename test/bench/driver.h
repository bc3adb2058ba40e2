/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BENCH_DRIVER_H
#define BENCH_DRIVER_H

/**
 * @file
 * The guests' side of the rings, as short as it can be: one sender, several receivers.
 *
 * Life     takes the rings of attached guests over for good; the guests stay the caller's
 * Threads  one
 * Units    frames
 */

#include "vmm_guest.h"

struct driver;

/**
 * Makes guests[0] the sender of `bytes`, virtio-net header and frame, and all others receivers.
 *
 * @return  0; -ENOMEM; -EMSGSIZE; -EINVAL: receive buffers in pieces
 */
int driver_create(struct vmm_guest *const *guests, uint32_t n, const void *bytes, uint32_t len,
		  struct driver **out);

/** NULL and half-built are allowed. */
void driver_destroy(struct driver *d);

/** Takes back what was sent. */
void driver_take(struct driver *d);

/** Has the next `n` frames that are to be sent rewritten from their first byte on. */
void driver_rewrite(struct driver *d, uint32_t n, void (*fn)(void *arg, uint8_t *frame), void *arg);

/** Sends `n` of what was taken back. */
void driver_send(struct driver *d, uint32_t n);

/** Takes what was received and offers its buffers again.  @return buffers */
uint32_t driver_receive(struct driver *d);

#endif
