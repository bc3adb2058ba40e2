/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VDPA_VIRTIO_MARK_H
#define VDPA_VIRTIO_MARK_H

/**
 * @file
 * Marks in the dirty log of the application: one bit for each page that was written, set behind
 * the write.
 *
 * Life     looked up when logging begins; the application stops or tells the device before it
 *          unmaps a log.
 * Threads  marks: any
 * Units    pages of 4096 bytes
 * Source   vhost-user specification, "Migration"; rte_vhost.h
 */

#include <stdbool.h>
#include <stdint.h>

#define MARK_PAGE_SHIFT 12

struct mark {
	_Atomic uint8_t *bits;  /**< NULL: no log */
	uint64_t n_pages;
};

/** Looks up the log of a vhost device.  @return whether there is one by now */
bool mark_load(struct mark *m, int vid);

/**
 * Marks the pages of a range, written before a fence.
 *
 * @param len  may be 0
 * @return     pages that were not marked before
 */
uint32_t mark_range(const struct mark *m, uint64_t gpa, uint64_t len);

#endif
