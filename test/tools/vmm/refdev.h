/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VMM_REFDEV_H
#define VMM_REFDEV_H

/**
 * @file
 * A tiny device for the self test: takes chains, fills what is writable, returns them, in any order
 * that is allowed, and on request does one thing that is not.
 *
 * Life     embedded; one per ring.
 * Threads  the driver's: it runs when it is called.
 * Units    positions as vmm_ring.
 * Source   virtio 1.2 clauses 2.7 and 2.8, the device's halves.
 */

#include "vmm_log.h"
#include "vmm_ring.h"

#define REFDEV_CHAINS_MAX 1024

/** One thing that a device may not do.  It is done once, after some chains went well. */
enum refdev_fault {
	REFDEV_SOUND,
	REFDEV_USED_TWICE,
	REFDEV_BAD_ID,
	REFDEV_FREE_ID,         /* an id of the ring that is not outstanding */
	REFDEV_LEN_TOO_LONG,
	REFDEV_OUT_OF_ORDER,    /* only a fault with IN_ORDER */
	REFDEV_INDEX_JUMP,      /* split: used index runs ahead */
	REFDEV_NO_WRITE_FLAG,   /* packed: length without the flag that makes it valid */
	REFDEV_WRITE_BEFORE,    /* one byte before a writable piece */
	REFDEV_WRITE_BEHIND,    /* one byte behind the last writable piece */
	REFDEV_WRITE_LATE,      /* into a buffer that was returned and is the driver's again */
	REFDEV_WRITE_DESC,      /* into a descriptor that is not the device's to write */
	REFDEV_WRITE_READABLE,  /* into a device-readable piece */
	REFDEV_LOSE_CHAIN,      /* taken and never returned */
	REFDEV_NO_INTERRUPT,
	REFDEV_FAULTS
};

/** One way of logging wrongly, for as long as the device runs. */
enum refdev_log_fault {
	REFDEV_LOG_SOUND,
	REFDEV_LOG_EARLY,       /* before the write, not after it */
	REFDEV_LOG_FIRST_PAGE,  /* of each piece only the first page */
	REFDEV_LOG_LAST_BYTE,   /* of each piece all but the last byte */
	REFDEV_LOG_FIRST_PIECE, /* of each chain only the first piece */
	REFDEV_LOG_NO_USED,     /* no used element (packed: descriptor) */
	REFDEV_LOG_NO_INDEX,    /* split: not the used index */
	REFDEV_LOG_NO_EVENT,    /* not the wish for notifications */
	REFDEV_LOG_NOT_ATOMIC,  /* load, or, store */
	REFDEV_LOG_BASE,        /* counts from the start of the region */
	REFDEV_LOG_WORD_0,      /* only the first word */
	REFDEV_LOG_FIRST_LOG,   /* goes on with the log that was replaced */
	REFDEV_LOG_NO_SECOND,   /* marks nothing once there is a second log */
	REFDEV_LOG_FAULTS
};

/** A chain that was taken. */
struct refdev_chain {
	struct vmm_seg segs[64];
	uint16_t n_segs;
	uint16_t id, n_slots;
	uint32_t len;           /* bytes written */
};

/** The device. */
struct refdev {
	struct vmm_mem *mem;
	struct vmm_ring_conf conf;
	struct vmm_ring_addr addr;
	int callfd;
	uint16_t avail_idx, used_idx;
	bool avail_wrap, used_wrap;
	struct refdev_chain chains[REFDEV_CHAINS_MAX];
	uint32_t n_chains;
	struct refdev_chain last;       /* the chain that was returned last */
	uint32_t rng;
	enum refdev_fault fault;
	uint32_t fault_after;   /* chains that go well before */
	uint64_t returned, interrupts;
	uint16_t n_used;        /* elements (packed: slots) returned by this run */
	uint64_t late_gpa;      /* what to write to when the driver has it back; 0: nothing */
	struct vmm_log *log;    /* NULL: nothing is logged */
	struct vmm_log *log_old;/* the one before; NULL: none */
	enum refdev_log_fault log_fault;
};

/** Attaches to a ring's memory and position. */
void refdev_init(struct refdev *d, const struct vmm_ring *r, uint32_t seed);

/** Has it log from now on, into that log. */
void refdev_log_set(struct refdev *d, struct vmm_log *log);

/** Asks for notifications of every chain that comes from here on, in guest memory. */
void refdev_arm(struct refdev *d);

/** Marks what was written as dirty. */
void refdev_mark(struct refdev *d, uint64_t gpa, uint64_t len);

/** Takes everything available, returns most of it (all with `flush`), interrupts if asked to. */
void refdev_run(struct refdev *d, bool flush);

/** Takes one chain.  @return false: none is available */
bool refdev_take(struct refdev *d, struct refdev_chain *c);

/** Returns one chain, with that length and without an interrupt. */
void refdev_return(struct refdev *d, const struct refdev_chain *c, uint32_t len);

/** As GET_VRING_BASE. */
uint32_t refdev_base(const struct refdev *d);

#endif
