/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VMM_GATHER_H
#define VMM_GATHER_H

/**
 * @file
 * The offload oracle: what may arrive of a frame of TCP whose checksum and segmentation the sender
 * left to its device, and the frame put together again from its segments.
 *
 * A receiver gets the frame in one piece only when it has negotiated that, and else segments that
 * any host would accept: headers right, checksums right, nothing missing, nothing twice.
 *
 * Life     one per flow and direction.
 * Threads  one.
 * Units    bytes.
 * Source   virtio 1.2 clauses 5.1.6.2 and 5.1.6.4; RFC 791, RFC 9293.
 */

#include "vmm.h"

/** Payload of a segment, as the senders here ask for. */
#define GATHER_MSS 1448

/** A frame that is being put together. */
struct gather {
	uint8_t *bytes;         /* VMM_FRAME_MAX of them; NULL before the first segment */
	uint32_t len;           /* so far; 0: none under way */
	uint32_t total;
	uint16_t ip_id;         /* of the first segment */
	uint16_t n;             /* segments so far */
	uint64_t segments;      /* in all */
};

/** True for the frames that this is about. */
bool gather_wants(const uint8_t *bytes, uint32_t len);

/**
 * Takes a frame of TCP as it was received.
 *
 * @param to   the guest that received it
 * @param out  the whole frame, valid until the next call
 * @return     its length; 0: segments are missing yet; -EPROTO; -ENOMEM
 */
int gather_add(struct gather *g, const struct vmm_guest *to, const uint8_t *bytes, uint32_t len,
	       const vmm_net_hdr *hdr, const uint8_t **out);

/**
 * For a receiver that may lose segments: forgets a frame that cannot be completed any more.
 *
 * @return true: this segment belongs to such a frame
 */
bool gather_broken(struct gather *g, const uint8_t *bytes);

void gather_fini(struct gather *g);

#endif
