/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_DIRTY_FAULT_H
#define FERRY_DIRTY_FAULT_H

/**
 * @file
 * Faults that can be seeded into the logging, so that the tests of it are tested themselves: each
 * must be caught.  They exist only in a build with -Dfaults=true; FERRY_FAULT=N chooses one,
 * FERRY_FAULT=list lists them.
 *
 * Threads  chosen before any thread is started
 */

#define DIRTY_FAULTS(X) \
	X(NONE,            "none") \
	X(EARLY_PAYLOAD,   "payload is marked before it is written") \
	X(EARLY_USED,      "used elements or descriptors are marked before they are written") \
	X(EARLY_INDEX,     "used index or first flags are marked before they are written") \
	X(NO_PAYLOAD,      "payload is not marked") \
	X(HEADER_ONLY,     "only the virtio-net header is marked") \
	X(LAST_BYTE,       "last byte of a chain is not marked") \
	X(LAST_PAGE,       "last page of a piece is not marked") \
	X(LAST_PIECE,      "last piece of a chain is not marked") \
	X(FIRST_CHAIN,     "only the first chain of a burst is marked") \
	X(SOME_CHAINS,     "every 16th chain is not marked") \
	X(NO_USED,         "used elements or descriptors are not marked") \
	X(USED_WRAP,       "what stands behind the end of a ring is not marked") \
	X(NO_INDEX,        "used index or first flags are not marked when they are published") \
	X(NO_EVENT,        "event index or flags are not marked when notifications are armed") \
	X(NO_DISARM,       "flags are not marked when notifications are disarmed") \
	X(WRONG_AREA,      "descriptors are marked where the event area is, used elements likewise") \
	X(TRANSMIT,        "nothing is marked for transmit rings") \
	X(RECEIVE_1,       "nothing is marked for receive rings but the first") \
	X(NON_ATOMIC,      "bits are set by load and store") \
	X(FIRST_WORDS,     "only 32 words of the log are used") \
	X(REGION_BASE,     "the place in its region is taken for an address") \
	X(REGION_FIRST,    "only the first region is marked") \
	X(REMEMBERED,      "a word that was just marked is taken to be marked still") \
	X(SECOND_LOG,      "a log that replaces another is ignored") \
	X(SECOND_ON,       "logging is not switched on a second time") \
	X(RESTARTED,       "logging is forgotten when rings start again") \
	X(RING_SET,        "logging ends when a descriptor or the enabled bit changes")

enum dirty_fault {
#define X(id, text) DIRTY_FAULT_##id,
	DIRTY_FAULTS(X)
#undef X
	DIRTY_FAULT_N
};

#ifdef FERRY_FAULTS

extern enum dirty_fault dirty_fault;

/** Reads FERRY_FAULT; lists the faults and ends the process when it says "list". */
void dirty_fault_init(void);

#define FAULTS_SEEDED 1
#define FAULT(id)     __builtin_expect(dirty_fault == DIRTY_FAULT_##id, 0)

#else

#define FAULTS_SEEDED 0
#define FAULT(id)     0

static inline void
dirty_fault_init(void)
{
}

#endif

#endif
