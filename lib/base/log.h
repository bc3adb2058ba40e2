/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_LOG_H
#define FERRY_LOG_H

/**
 * @file
 * Log lines, on DPDK's log with one type per library ("ferry.fdb").
 *
 * Life     a type is registered before main(); the stream is opened by log_open().
 * Threads  any but a worker: the datapath counts and does not log.
 * Source   rte_log.h
 */

#include <rte_log.h>

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"

/** Registers the log type of a library, once, in one of its source files. */
#define LOG_REGISTER(word) RTE_LOG_REGISTER(log_type_##word, ferry.word, INFO)

/** Names the log type that LOG() uses in a source file. */
#define LOG_USE(word) \
	extern int log_type_##word; \
	static inline int log_type(void) { return log_type_##word; } \
	struct log_use_##word

/** One line, with its context; `level` is ERR, WARNING, NOTICE, INFO or DEBUG. */
#define LOG(level, fmt, ...) \
	rte_log(RTE_LOG_##level, log_type(), "ferry: " fmt "\n", ##__VA_ARGS__)

/** How many lines a second one place may write when a peer can trigger it. */
#define LOG_RL_PER_S 5

struct log_rl {
	_Atomic uint64_t second;
	_Atomic uint32_t lines;
};

/**
 * Decides whether a rate-limited place may write now.
 *
 * @param rl  the state of this place
 * @return    false: this second is used up
 */
bool log_rl_pass(struct log_rl *rl);

/** Like LOG(), for what a stranger can trigger as often as it likes. */
#define LOG_RL(level, fmt, ...) do { \
	static struct log_rl log_rl_here; \
	if (log_rl_pass(&log_rl_here)) \
		LOG(level, fmt, ##__VA_ARGS__); \
} while (0)

/**
 * Sends all lines to a file from now on, in place of stderr.  Called again with the same path
 * it reopens, which is what a log rotation wants.
 *
 * @param path  file to append to; NULL: back to stderr
 * @return      0; -errno of open(), the stream stays what it was
 */
int log_open(const char *path);

/**
 * Sets the level of all types that match a glob.
 *
 * @param pattern  "ferry.*", "lib.vhost.config"
 * @param level    "emerg" .. "debug", as rte_log spells them
 * @return         0; -EINVAL: no such level; -ENOENT: nothing matches
 */
int log_set(const char *pattern, const char *level);

#endif
