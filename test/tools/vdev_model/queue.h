/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VDEV_MODEL_QUEUE_H
#define VDEV_MODEL_QUEUE_H

/**
 * @file
 * The device's side of a virtqueue, split or packed, written from the specification.
 *
 * Chains are taken in the ring's order and put back in any.  What a driver may not do makes the
 * queue bad, with a name; it is of no use until it is started again.
 *
 * Life     embedded; queue_start() to the device's reset.
 * Threads  one.
 * Units    positions: split: the free running index; packed: slot | wrap counter << 15.
 * Source   virtio 1.2 clauses 2.7 and 2.8.
 */

#include <linux/virtio_ring.h>

#include "dma.h"

#define QUEUE_SIZE_MAX 32768
#define CHAIN_SEGS_MAX 1024

/** A virtqueue. */
struct queue {
	struct dma *dma;
	uint64_t desc, driver, device;  /* the three areas, by the specification's names */
	uint16_t size;
	bool packed, event_idx, indirect;

	uint16_t avail, used;   /* split: index; packed: slot */
	bool avail_wrap, used_wrap;
	bool armed;             /* the driver was told to notify */
	const char *bad;        /* why it is of no use, or NULL */
};

/** One piece of a chain. */
struct seg {
	uint64_t iova;
	uint32_t len;
};

/** A chain that was taken: first what is to be read, then what may be written. */
struct chain {
	uint16_t id;            /* split: index of its head */
	uint16_t n_slots;       /* packed: descriptors it takes in the ring */
	uint16_t n_segs, n_read;
	uint32_t readable, writable;    /* bytes */
	struct seg segs[CHAIN_SEGS_MAX];
};

/** How a chain goes back. */
struct given {
	uint16_t id, n_slots;
	uint32_t len;           /* bytes written */
};

/** Sets formats and areas are as the members say; the ring starts where avail and used say. */
void queue_start(struct queue *q, uint16_t avail, uint16_t used);

/** Where it stands. */
uint16_t queue_avail(const struct queue *q);
uint16_t queue_used(const struct queue *q);

/** Takes the next chain.  @return 1; 0: none; -EBADMSG: bad says why */
int queue_take(struct queue *q, struct chain *c);

/** Puts the reading position back to what queue_avail() was. */
void queue_back(struct queue *q, uint16_t avail);

/**
 * Gives chains back, visible together.
 *
 * @return 1: the driver wants an interrupt; 0; -EBADMSG: bad says why
 */
int queue_put(struct queue *q, const struct given *g, unsigned int n);

/** Asks for notifications.  @return 1: chains are there already; 0; -EBADMSG */
int queue_arm(struct queue *q);

/** Tells the driver that none are needed.  @return 0; -EBADMSG */
int queue_disarm(struct queue *q);

/** Copies out of what is readable, or into what is writable.  @return bytes; -EBADMSG */
int chain_read(struct queue *q, const struct chain *c, uint32_t offset, void *to, uint32_t len);
int chain_write(struct queue *q, const struct chain *c, uint32_t offset, const void *from,
		uint32_t len);

#endif
