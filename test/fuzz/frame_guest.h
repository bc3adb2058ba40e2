/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_FUZZ_FRAME_GUEST_H
#define FERRY_FUZZ_FRAME_GUEST_H

/**
 * @file
 * A guest of the target frame: one well-formed ring, whose buffers lie in memory with gaps that
 * nobody may touch (ASan knows of them; without it what is written there is seen).
 *
 * Threads  one
 */

#include "fuzz.h"

#include "vdev.h"

#include <rte_common.h>

#define GUEST_BYTES  (3u << 20)
#define GUEST_SLOTS  1024
#define GUEST_PIECES 8

/** A buffer in the ring: one chain. */
struct guest_buf {
	uint32_t n;
	uint32_t len;
	struct { uint8_t *at; uint32_t len; } pieces[GUEST_PIECES];
	uint32_t used_len;
};

struct guest {
	uint8_t *base;
	uint32_t end;             /* of what was given out of it */
	struct gmem *mem;
	bool packed, writable, bad_tail;
	uint32_t n_slots, n_bufs;
	uint32_t n_offered, slots_offered; /* the driver has made them available */
	uint8_t *desc, *driver, *device;
	struct guest_buf bufs[GUEST_SLOTS];
	uint8_t sent[GUEST_BYTES]; /* writable: nothing; else the memory as it was handed over */
};

void guest_init(struct guest *g);

/** Empties its memory and begins a ring. */
void guest_begin(struct guest *g, bool packed, bool writable);

/** Adds a buffer of these pieces, not yet available.  @return NULL: no room */
struct guest_buf *guest_add(struct guest *g, const uint32_t *lens, uint32_t n);

/** Adds a chain behind all buffers that breaks the ring when it is reached. */
void guest_add_bad(struct guest *g);

/** Makes the next `n` buffers available, and behind the last one the bad chain. */
void guest_offer(struct guest *g, uint32_t n);

/** Copies into a buffer, or out of it. */
void guest_fill(const struct guest_buf *b, uint32_t off, const uint8_t *from, uint32_t len);
void guest_read(const struct guest_buf *b, uint8_t *to, uint32_t len);

/** Describes the ring; all buffers are there, though not all available. */
void guest_ring(struct guest *g, struct vdev_ring *out);

/**
 * Reads what came back: in order, each buffer once.  Fills `used_len`.
 *
 * @return  buffers that came back
 */
uint32_t guest_used(struct guest *g);

/** Whether everything is as it was outside of the first `used_len` bytes of the first buffers and
 *  the areas that are the device's. */
bool guest_untouched(struct guest *g, uint32_t n_used);

#endif
