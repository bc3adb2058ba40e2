/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_LOG_LIMIT_H
#define FERRY_LOG_LIMIT_H

/**
 * @file
 * Which lines are too many: similar ones, the same text of the same log type once numbers are left
 * out.  Numbers of the first two words count, they name who it is about ("ferry: vm1:",
 * "VHOST_CONFIG: (vm1.sock)").  Whoever can make a library complain can make it do so for ever.
 *
 * Life     all zero is the start; it holds no memory of its own.
 * Threads  its owner's lock
 * Units    nanoseconds of any clock that does not go back
 */

#include <stdbool.h>
#include <stdint.h>

#define LOG_LIMIT_PERIOD_NS 10000000000ULL
/** Similar lines that are written in a period. */
#define LOG_LIMIT_LINES     5
/** Kinds of lines that are told apart at a time; those beyond count as one. */
#define LOG_LIMIT_KINDS     256
#define LOG_LIMIT_SAMPLE    120

struct log_kind {
	uint64_t hash;
	uint64_t until_ns;   /* end of its period */
	uint64_t suppressed; /* not told yet */
	uint32_t lines;
	char sample[LOG_LIMIT_SAMPLE];
};

struct log_limit {
	struct log_kind kinds[LOG_LIMIT_KINDS]; /* the first one is of those beyond */
};

/**
 * Decides about a line, and counts it.
 *
 * @param type  log type, as rte_log numbers them
 * @param line  text, with or without its end of line
 * @return      true: write it; false: it is one of those that log_limit_next() will tell of
 */
bool log_limit_pass(struct log_limit *l, uint32_t type, const char *line, uint64_t now_ns);

/**
 * Finds lines that were suppressed in a period that is over, and forgets them.
 *
 * @param sample  the first of its kind, without an end of line
 * @return        how many; 0: none, or no more
 */
uint64_t log_limit_next(struct log_limit *l, uint64_t now_ns, char sample[LOG_LIMIT_SAMPLE]);

#endif
