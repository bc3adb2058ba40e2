/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_VDPA_SHADOW_RIG_H
#define FERRY_VDPA_SHADOW_RIG_H

/**
 * @file
 * A guest that is written by hand: a small ring, and a memory with a border in it.
 *
 * Life     one at a time, laid anew for each row
 * Threads  the test's
 */

#include "vdpa_shadow_dev.h"

#define RIG_SIZE   16
#define RIG_DESC   0x1000u
#define RIG_DRIVER 0x2000u
#define RIG_DEVICE 0x3000u
#define RIG_TABLE  0x20000u
#define RIG_BUF    0x10000u
#define RIG_BORDER 0x100000u             /* two regions meet */
#define RIG_END    0x110000u             /* nothing from here on */
#define RIG_LAST   (UINT64_MAX - 4095)   /* the last page that there is */

#define RIG_NEXT     1u
#define RIG_WRITE    2u
#define RIG_INDIRECT 4u

#define F_INDIRECT (1ULL << 28)
#define F_EVENT    (1ULL << 29)
#define F_VERSION  (1ULL << 32)
#define F_PACKED   (1ULL << 34)

/** A descriptor, of either format. */
struct ent {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

struct rig {
	struct mem mem;
	struct shadow_opts opts;
	struct shadow *s;
	struct dev d;
	uint16_t slot;         /* the driver's */
	bool wrap;
	uint32_t posted;
};

extern struct rig rig;

/** Lays out a guest's memory and a ring in it; `opts` may be changed before the start. */
void rig_lay(uint64_t features, bool tx, uint16_t dev_size, uint64_t dev_features);
/** Creates the shadow ring, at `opts.pos`. */
void rig_start(void);
void rig_end(void);

void *rig_at(uint64_t gpa);

/** Writes descriptor `i` of the ring, of a packed one without making it available. */
void rig_desc(uint16_t i, const struct ent *e);
/** Writes an entry of an indirect table. */
void rig_entry(uint64_t table, uint16_t i, const struct ent *e);
/** Makes a chain available that begins at descriptor `head`; packed: `n` slots from there. */
void rig_push(uint16_t head, uint16_t n);
/** Posts a chain of one buffer, or of some. */
void rig_post(uint16_t n);

/** The used index, or the slot and wrap counter, that the guest sees. */
uint16_t rig_used(void);
/** Length in the used element (descriptor) of the chain that was given back as the `i`th. */
uint32_t rig_used_len(uint16_t i);

#endif
