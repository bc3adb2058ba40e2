/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_VRING_RIG_H
#define FERRY_VRING_RIG_H

/**
 * @file
 * A guest's memory and one ring in it, written by hand.
 */

#include "vring.h"

#include "check.h"

/* Flags of virtio 1.2, 2.7.5 and 2.8.1, and feature bits. */
#define NEXT     1
#define WRITE    2
#define INDIRECT 4
#define F_INDIRECT (1ULL << 28)
#define F_EVENT    (1ULL << 29)
#define F_V1       (1ULL << 32)
#define F_PACKED   (1ULL << 34)

/*
 * What the guest has: two regions that meet at SEAM, a huge one that nobody touches, and two that
 * meet where addresses wrap around.
 */
#define LOW    0x100000ULL
#define SEAM   0x200000ULL
#define END    0x300000ULL
#define HUGE   0x1000000000ULL
#define HUGE_SIZE (8ULL << 30)
#define TOP    (UINT64_MAX - 0xfff)

#define DESC   LOW
#define DRIVER (LOW + 0x80000)
#define DEVICE (LOW + 0xa0000)
#define BUF    (LOW + 0xf0000)
#define TABLE  (LOW + 0xe0000)
#define NOWHERE 0xdead00000000ULL

#define GOOD VRING_BAD_NONE

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

extern struct vring ring;
extern struct vring_batch *batch;

/** Makes the memory and an empty batch; and their end. */
void rig_init(void);
void rig_fini(void);

/** The guest's memory at an address. */
void *at(uint64_t gpa, uint64_t len);

/** Starts `ring` at a position, in memory of zeros, with an empty batch. */
enum vring_bad ring_make(uint64_t features, uint16_t size, bool writable, uint16_t idx, bool wrap);

void split_write(uint64_t gpa, const struct desc *d);

/** @param avail  its flags of availability */
void packed_write(uint64_t gpa, const struct desc *d, uint16_t id, uint16_t avail);

/** Makes `n` chains of one descriptor available in a split ring. */
void split_offer(uint16_t n, uint32_t len, uint16_t flags);

/* Stories, by file. */

void vring_notify_stories(void);

#endif
