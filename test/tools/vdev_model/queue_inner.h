/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VDEV_MODEL_QUEUE_INNER_H
#define VDEV_MODEL_QUEUE_INNER_H

/**
 * @file
 * What the two formats of a virtqueue share.
 *
 * Life     as queue.
 * Threads  one.
 * Units    as queue.
 * Source   as queue.
 */

#include <errno.h>
#include <stddef.h>

#include "queue.h"

/** Makes the queue bad.  @return -EBADMSG, always */
static inline int
queue_bad(struct queue *q, const char *why)
{
	if (q->bad == NULL)
		q->bad = why;
	return -EBADMSG;
}

/** Adds a descriptor to a chain.  @return 0; -EBADMSG */
int chain_add(struct queue *q, struct chain *c, uint64_t iova, uint32_t len, uint16_t flags);

/** An indirect descriptor is where it may be.  @return entries; -EBADMSG */
int chain_table(struct queue *q, const struct chain *c, uint32_t len, uint16_t flags);

int split_take(struct queue *q, struct chain *c);
int split_put(struct queue *q, const struct given *g, unsigned int n);
int split_notify(struct queue *q, bool on);
int split_pending(struct queue *q);

int packed_take(struct queue *q, struct chain *c);
int packed_put(struct queue *q, const struct given *g, unsigned int n);
int packed_notify(struct queue *q, bool on);
int packed_pending(struct queue *q);

#endif
