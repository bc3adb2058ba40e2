/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_FUZZ_CHAIN_LOG_H
#define FERRY_FUZZ_CHAIN_LOG_H

/**
 * @file
 * Dirty logs of the target chain, two of them, and what has to stand in them: a page that the
 * device has written, or was told to take for written, is marked in the log that was in use then.
 * Marks that it may set although it has not written are told beforehand; there may be no others.
 *
 * Threads  one
 */

#include "arena.h"

#include "vring.h"

void log_init(void);

/** Opens both logs where they cover the memory, empty, and puts the first to use. */
void log_open(const struct gmem *mem);
void log_close(void);

/** The log in use; NULL: none. */
const struct dirty *log_now(void);

/** Whether the log in use has lost what stood behind it. */
bool log_gone(void);

/** Whether any has. */
bool log_lost(void);

/** Changes to the other log, empty; to none and back; what the front-end does is next. */
void log_swap(void);
void log_switch(void);

/** The front-end takes all marks. */
void log_take(void);

/** The front-end cuts the file of the log in use. */
void log_truncate(void);

/** Pages of a range have to be marked, or may be. */
void log_must(gpa_t gpa, uint64_t len);
void log_may(gpa_t gpa, uint64_t len);

/** Whether the page of an address is marked in the log in use. */
bool log_marked(gpa_t gpa);

/** Compares both logs, and how many pages were marked with what the ring has counted. */
void log_check(const struct vring *r);

/** The ring counts anew. */
void log_recount(void);

#endif
