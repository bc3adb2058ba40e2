/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_LOG_H
#define FERRY_LOG_H

/**
 * @file
 * Log lines, on DPDK's log with one type per library ("ferry.fdb").  Lines of DPDK's own libraries
 * go the same way; what they say again and again is told as a number
 * ("N similar lines were suppressed").
 *
 * Life     a type is registered before main(); log_open() once, and again to go elsewhere.
 * Threads  any but a worker: the datapath counts and does not log.  Nobody waits for whoever reads
 *          the lines: those that are not taken at once are lost, and counted.
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

/** Like LOG(), for what a stranger can trigger as often as it likes. */
#define LOG_RL(level, fmt, ...) \
	log_rl(RTE_LOG_##level, log_type(), "ferry: " fmt "\n", ##__VA_ARGS__)

/** What LOG_RL() calls: a line of which log_limit.h decides. */
__attribute__((format(printf, 3, 4)))
void log_rl(uint32_t level, int type, const char *fmt, ...);

/**
 * Sends all lines to a file or to stderr from now on.  Called again with the same path it reopens,
 * which is what a log rotation wants.
 *
 * @param path  file to append to; NULL: stderr
 * @return      0; -errno of open(), lines go where they went
 * @role        control
 */
int log_open(const char *path);

/** Tells of lines that were suppressed or lost; about once a second.  @role control */
void log_tick(void);

/**
 * Sets the level of all types that match a glob; that none does is no error.
 *
 * @param pattern  "ferry.*", "lib.vhost.config"
 * @param level    "emerg" .. "debug", as rte_log spells them
 * @return         0; -EINVAL: no such level
 */
int log_set(const char *pattern, const char *level);

#endif
