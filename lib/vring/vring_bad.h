/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_VRING_BAD_H
#define FERRY_VRING_BAD_H

/**
 * @file
 * Why a ring was found bad: it stops there, by name, and its position stays readable.
 *
 * Threads  constants
 */

/** Name in JSON, text for people. */
#define VRING_BADS(X) \
	X(NONE,      "none",      "") \
	X(SIZE,      "size",      "ring size is zero, too large or, split, no power of two") \
	X(ADDR,      "addr",      "ring address is unaligned or outside of the memory") \
	X(INDEX,     "index",     "available index is ahead by more than the ring holds") \
	X(HEAD,      "head",      "head or next descriptor is not in the table") \
	X(LOOP,      "loop",      "descriptor chain is longer than its table") \
	X(RANGE,     "range",     "buffer is outside of the memory") \
	X(ZERO,      "zero",      "descriptor without a byte") \
	X(DIRECTION, "direction", "descriptor is writable in a transmit ring or not in a receive ring") \
	X(INDIRECT,  "indirect",  "indirect table is empty, cut, nested, chained or not negotiated") \
	X(SHORT,     "short",     "chain is shorter than the virtio-net header") \
	X(MEMORY,    "memory",    "guest memory vanished while it was in use") \
	X(LOG,       "log",       "dirty log vanished while it was in use")

enum vring_bad {
#define X(id, name, text) VRING_BAD_##id,
	VRING_BADS(X)
#undef X
	VRING_BAD_N
};

extern const char *const vring_bad_names[VRING_BAD_N];
extern const char *const vring_bad_texts[VRING_BAD_N];

#endif
