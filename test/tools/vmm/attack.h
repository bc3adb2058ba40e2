/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VMM_ATTACK_H
#define VMM_ATTACK_H

/**
 * @file
 * Malicious front-ends and guests, case by case.
 *
 * Life     one struct attack per case.
 * Threads  one.
 * Units    none.
 * Source   what the vhost-user and virtio 1.2 specifications forbid, or leave to the other side.
 */

#include "vmm.h"

/** How far the guest is when a case begins. */
enum attack_when {
	WHEN_CONNECTED,         /* nothing was said yet */
	WHEN_NEGOTIATED,        /* features and owner; no memory, no rings */
	WHEN_STARTED,           /* everything runs */
};

/** What a case may touch. */
struct attack {
	struct vmm_guest *g;
	struct vmm_fault fault; /* not the witness's */
	uint64_t spare;         /* gpa of SPARE_SIZE bytes that nobody uses */
};

#define SPARE_SIZE (256 << 10)

/** One case. */
struct attack_case {
	const char *name;
	const char *what;
	enum attack_when when;
	bool legal;             /* the backend has to serve it: its transmit chain must come back */
	bool keep;              /* the connection stays open while the backend is looked at */
	bool split_only;
	int (*run)(struct attack *a);   /* 0, or -errno: closed by the backend most often */
};

extern const struct attack_case attack_ring_cases[], attack_mem_cases[], attack_msg_cases[];
extern const unsigned int n_attack_ring_cases, n_attack_mem_cases, n_attack_msg_cases;

/** A descriptor before it is written in the ring's format. */
struct attack_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

/**
 * Posts descriptors as they are, and kicks.
 *
 * @param index  ring
 * @param n      descriptors; in a split ring they stand at its end, `next` counts from there
 */
void attack_post(struct attack *a, unsigned int index, const struct attack_desc *descs, uint16_t n);

/** A split available entry as it is, and a kick. */
void attack_avail(struct attack *a, unsigned int index, uint16_t head);

/** Kicks a ring whatever the device said. */
void attack_kick(struct attack *a, unsigned int index);

#endif
