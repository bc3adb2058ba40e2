/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_FUZZ_CHAIN_REF_H
#define FERRY_FUZZ_CHAIN_REF_H

/**
 * @file
 * A second opinion on rings: what a device has to make of guest memory, written from the
 * specification, byte by byte and slowly.
 *
 * Threads  one
 * Source   virtio 1.2, 2.7 (split) and 2.8 (packed)
 */

#include "arena.h"

#include "vring.h"

/* The kernel's header of this has a struct vring too. */
#define F_INDIRECT_DESC 28
#define F_EVENT_IDX     29

#define DESC_F_NEXT     1u
#define DESC_F_WRITE    2u
#define DESC_F_INDIRECT 4u
#define DESC_F_AVAIL    (1u << 7)
#define DESC_F_USED     (1u << 15)

/** Where the device stands, as the target follows it. */
struct ref_ring {
	struct vring_opts opts;
	bool packed, event_idx, indirect;
	uint32_t hdr_len;
	uint16_t idx;            /* next to give back */
	bool wrap;
	uint16_t next;           /* next to take */
	bool next_wrap;
	uint16_t seen;           /* split: the driver's index as it was last looked at */
	uint64_t since;          /* entries given back and not published */
	uint16_t first_slot;     /* packed: of those */
	uint16_t first_flags;
};

struct ref_piece {
	uint64_t gpa;
	uint32_t len;
};

struct ref_chain {
	uint32_t n;
	struct ref_piece pieces[VRING_SEGS_MAX];
	uint32_t n_descs;        /* pieces, before regions cut them */
	uint64_t len;
	uint16_t id;
	uint32_t n_slots;
};

void ref_init(struct ref_ring *r, const struct vring_opts *opts);

/** What is wrong with a ring before anything is read from it. */
enum vring_bad ref_start(const struct ref_ring *r);

/** Whether the driver has made the chain at `next` available. */
bool ref_available(const struct ref_ring *r);

/**
 * Looks how many chains may be taken from `next` on.
 *
 * @param max  so many are wanted: a split driver's index is looked at anew if it takes that
 * @param bad  set where the index makes no sense
 * @return     chains; packed: `max`, see ref_available()
 */
uint32_t ref_ready(struct ref_ring *r, uint32_t max, enum vring_bad *bad);

/**
 * Reads the chain at `next`.
 *
 * @param room  pieces that the device has room for
 * @return      what is wrong with it; VRING_BAD_LOOP also where there is no room
 */
enum vring_bad ref_chain(const struct ref_ring *r, uint32_t room, struct ref_chain *out);

/** Moves `next` past a chain. */
void ref_take(struct ref_ring *r, const struct ref_chain *c);

/** Models giving a chain back, publishing, and asking for kicks or for none. */
void ref_put(struct ref_ring *r, uint16_t id, uint16_t n_slots, uint32_t len);
/** @return  1: the driver wants a call, 0: it does not, -1: its wish makes no sense */
int ref_publish(struct ref_ring *r);
void ref_arm(const struct ref_ring *r);
void ref_disarm(const struct ref_ring *r);

#endif
