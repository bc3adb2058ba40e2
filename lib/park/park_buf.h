/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_PARK_BUF_H
#define FERRY_PARK_BUF_H

/**
 * @file
 * A queue of parked frames: bytes in order, memory set aside before the first of them.
 *
 * Life     with its park
 * Threads  one producer; one consumer, which may be the same; any may ask whether it is empty
 * Units    bytes
 */

#include <linux/virtio_net.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** A frame as it is kept: its bytes follow, up to a multiple of eight. */
struct park_frame {
	uint32_t len;         /**< of the frame; PARK_SKIP: the next one stands at the beginning */
	uint16_t src;         /**< number of the port that it came from */
	uint16_t home;        /**< worker that served the source first: it chooses the ring */
	uint64_t version;     /**< of the view of the rings when it was parked */
	uint64_t when;        /**< cycle counter, likewise */
	struct virtio_net_hdr vnet;
	uint8_t needs;        /**< offloads, as forwarding has them */
	bool flooded;         /**< a copy: all ports were given one */
	uint8_t bytes[];
};

#define PARK_SKIP UINT32_MAX

struct park_buf {
	uint8_t *mem;
	uint64_t size;
	_Atomic uint64_t head;  /**< producer: store; only grows */
	_Atomic uint64_t first; /**< producer: cycle counter at the first frame; 0: none */
	_Atomic uint64_t last;  /**< producer: likewise at the last */
	_Alignas(64)
	_Atomic uint64_t tail;  /**< consumer: store; only grows */
};

/** In so much there is always room for a frame of 64 KB when it is empty, wherever it begins. */
#define PARK_BUF_MIN (256U << 10)

/** Sets memory aside, touched, so that a producer never waits for a page.  @return 0; -ENOMEM */
int park_buf_create(uint64_t size, struct park_buf **out);

/** NULL is allowed. */
void park_buf_destroy(struct park_buf *b);

static inline bool
park_buf_empty(const struct park_buf *b)
{
	return atomic_load_explicit(&b->head, memory_order_acquire) ==
	       atomic_load_explicit(&b->tail, memory_order_acquire);
}

/** Forgets when the first frame came.  @role who sees it empty and nobody produce */
static inline void
park_buf_begin(struct park_buf *b)
{
	atomic_store_explicit(&b->first, 0, memory_order_relaxed);
	atomic_store_explicit(&b->last, 0, memory_order_relaxed);
}

/**
 * Finds room for a frame; the producer fills it and says so with park_buf_put().
 *
 * @return  NULL: full
 */
struct park_frame *park_buf_room(struct park_buf *b, uint32_t len);
void park_buf_put(struct park_buf *b, struct park_frame *pf, uint32_t len);

/**
 * Looks at frames in order and takes none.
 *
 * @param at  0 for the first; then as it was left
 * @return    NULL: no more
 */
const struct park_frame *park_buf_next(const struct park_buf *b, uint64_t *at);

/** Takes all frames before the place that park_buf_next() has left. */
void park_buf_take(struct park_buf *b, uint64_t at);

#endif
