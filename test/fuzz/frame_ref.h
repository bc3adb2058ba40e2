/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_FUZZ_FRAME_REF_H
#define FERRY_FUZZ_FRAME_REF_H

/**
 * @file
 * A second opinion on frames: what has to come out of a switch for what went in, worked out with
 * whole frames in plain memory.
 *
 * Threads  one
 * Source   virtio 1.2, 5.1.6; RFC 791, 793, 1071, 3168, 8200
 */

#include "fuzz.h"

#include "stats.h"

#include <linux/virtio_net.h>

#include <stdbool.h>

#define REF_LEN_MAX (65535 + 14 + 8)

/* What a frame needs of its receiver, and what one takes. */
#define REF_CSUM 1u
#define REF_TSO4 2u
#define REF_TSO6 4u
#define REF_ECN  8u

struct ref_frame {
	struct virtio_net_hdr vnet; /* in: as sent; out: as checked */
	const uint8_t *data;
	uint32_t len;
	uint32_t needs;
	enum drop drop;             /* why nobody may get it; DROP_NONE */
};

/** Checks a frame on its own: header, addresses, length. */
void ref_frame_check(struct ref_frame *fr, uint32_t max);

/** Whether a port with this limit (Ethernet header counted, tag not) refuses it. */
bool ref_too_long(const struct ref_frame *fr, uint32_t max);

/** 802.1Q tag of a frame; -1: none. */
int ref_tag(const struct ref_frame *fr);

typedef bool ref_part_fn(void *arg, const struct virtio_net_hdr *vnet, const uint8_t *data,
			 uint32_t len);

/**
 * Makes what a receiver gets of a frame: itself, or with its checksum, or segments.
 *
 * @param fn  is handed each; false: no more
 * @return    false: it cannot be made, the headers do not fit
 */
bool ref_parts(const struct ref_frame *fr, uint32_t takes, ref_part_fn *fn, void *arg);

#endif
