/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VMM_GUEST_INNER_H
#define VMM_GUEST_INNER_H

/**
 * @file
 * What the guest's life and its frames share.
 *
 * Life     as vmm_guest.
 * Threads  as vmm_guest.
 * Units    as vmm_guest.
 * Source   as vmm_guest.
 */

#include "vmm_guest.h"

/** True when the feature was negotiated. */
static inline bool
guest_has(const struct vmm_guest *g, unsigned int bit)
{
	return (g->front->features >> bit & 1) != 0;
}

/** SET_FEATURES, SET_LOG_BASE as the guest's state has it.  @return as vmm_front_send() */
int guest_features_send(struct vmm_guest *g);
int guest_log_send(struct vmm_guest *g, const struct vmm_log *log);

/** Reserves the buffers of a queue.  @return 0; -ENOMEM */
int queue_fill(struct vmm_guest *g, struct vmm_queue *q, uint32_t buf_len, uint32_t edge);

/** Posts every free buffer of a receive queue.  @return 0; -EPROTO */
int queue_refill(struct vmm_guest *g, struct vmm_queue *q);

/** Marks all buffers of a queue free. */
void queue_forget(struct vmm_queue *q);

#endif
