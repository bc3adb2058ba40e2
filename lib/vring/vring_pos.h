/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_VRING_POS_H
#define FERRY_VRING_POS_H

/**
 * @file
 * The position of a ring: all that moves when a ring changes its mover.
 *
 * Threads  a value; none
 * Source   vhost-user specification, "Vring descriptor indices for packed virtqueues" and
 *          VHOST_USER_SET_VRING_BASE
 */

#include <stdbool.h>
#include <stdint.h>

/**
 * `avail` is the next entry to take from the driver, `used` the next to give back.  Split rings:
 * free-running 16-bit indexes; the wrap bits are unused.  Packed rings: slots below the size, each
 * with its wrap counter.  On a software ring at rest both are equal; a device that was stopped
 * between the two leaves them apart, with `avail` ahead by what is in flight.  `inflight` then
 * lists the heads that were taken and not given back where they are not simply those between
 * `used` and `avail`, as on devices that complete out of order; NULL otherwise.
 */
struct vring_pos {
	uint16_t avail;
	uint16_t used;
	bool avail_wrap;
	bool used_wrap;
	const struct vring_heads *inflight;
};

struct vring_heads {
	uint16_t n;
	uint16_t heads[];
};

/**
 * Encodes a position as GET_VRING_BASE carries it.
 *
 * @return  split: bits 0..15 the avail index.  Packed: bits 0..14 avail, 15 its wrap counter,
 *          16..30 used, 31 its wrap counter
 */
static inline uint32_t
vring_pos_encode(bool packed, const struct vring_pos *pos)
{
	if (!packed)
		return pos->avail;
	return (uint32_t)pos->avail | (uint32_t)pos->avail_wrap << 15 |
	       (uint32_t)pos->used << 16 | (uint32_t)pos->used_wrap << 31;
}

/**
 * Decodes what SET_VRING_BASE carries.  librte_vhost and QEMU up to 8.1 fill only the low half
 * for packed rings, so used is taken to be where avail is: the ring was at rest.
 */
static inline struct vring_pos
vring_pos_decode(bool packed, uint32_t num)
{
	struct vring_pos pos = { .avail = (uint16_t)num, .used = (uint16_t)num };

	if (packed) {
		pos.avail = pos.used = num & 0x7fff;
		pos.avail_wrap = pos.used_wrap = (num & 0x8000) != 0;
	}
	return pos;
}

#endif
