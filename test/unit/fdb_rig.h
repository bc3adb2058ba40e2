/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_FDB_RIG_H
#define FERRY_FDB_RIG_H

/**
 * @file
 * A database, and what crosses to it, looked at as workers do.
 *
 * Life     fdb_story() makes one for each story.
 * Threads  the test's own is control, and a worker where it says so.
 */

#include "event.h"
#include "fdb.h"

#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <stdint.h>

#define RIG_WORKERS 2

extern struct cross *cross;
extern struct fdb *fdb;

/** Names a story and runs it on a database of its own. */
void fdb_story(const char *name, const struct fdb_opts *opts, void (*run)(void));

/** The n-th address of the tests, untagged; n = 0 is a good one. */
fdb_key_t key_of(uint32_t n);

/** Port behind a key as a worker sees it.  @return -ENOENT: none */
int find(uint32_t worker, fdb_key_t key);

/** A frame of `key` comes in on `port`.  @return what control heard of it, events */
uint32_t see(uint32_t worker, uint16_t port, fdb_key_t key);

/** Lets seconds pass. */
void tick(uint32_t n);

struct fdb_stats stats(void);
struct fdb_port_stats port_stats(uint16_t port);

/* Stories, by file. */

void fdb_age_stories(void);
void fdb_quota_stories(void);
void fdb_race_stories(void);

#endif
