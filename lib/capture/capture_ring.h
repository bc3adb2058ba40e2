/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_CAPTURE_RING_H
#define FERRY_CAPTURE_RING_H

/*
 * A ring of bytes from one worker to the writer.  A record lies in one piece: what is left at the
 * end of the ring is skipped when the next record does not fit there.
 */

#include <rte_common.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Pages that nobody touches are not there: an idle ring costs none of this. */
#define CAPTURE_RING_SIZE (4u << 20)

struct capture_iface;

struct capture_record {
	uint32_t size;    /* with this header, a multiple of 8 */
	uint32_t len;     /* of the frame */
	uint32_t cap_len; /* of `data` */
	uint32_t dir;     /* enum capture_dir; 0: skip this record */
	uint64_t tsc;
	struct capture_iface *iface;
	uint8_t data[];
};

struct capture_ring {
	/* Worker: store; writer: load. */
	_Atomic uint64_t head __rte_cache_aligned;
	uint64_t tail_seen;  /* worker only: a tail that was true once */
	uint64_t reserved;   /* worker only: where the record goes that is being made */

	/* Writer: store; worker: load. */
	_Atomic uint64_t tail __rte_cache_aligned;

	uint8_t bytes[CAPTURE_RING_SIZE] __rte_cache_aligned;
};

struct capture_ring *ring_create(void);
void ring_destroy(struct capture_ring *r);

/* worker: a place for a frame of so many captured bytes; NULL: the ring is full. */
struct capture_record *ring_reserve(struct capture_ring *r, uint32_t cap_len);

/* worker: hands the record over.  True: more than half of the ring is full. */
bool ring_commit(struct capture_ring *r);

/* writer: the oldest record; NULL: none. */
const struct capture_record *ring_peek(struct capture_ring *r);

/* writer: gives the oldest record's place back. */
void ring_drop(struct capture_ring *r);

#endif
