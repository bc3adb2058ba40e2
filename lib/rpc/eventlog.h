/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_EVENTLOG_H
#define FERRY_EVENTLOG_H

/**
 * @file
 * The last things that happened to the switch, for event.show: ports that come, go and change,
 * rings that break, addresses that move or are refused.
 *
 * Life     one per process, created before the ports.
 * Threads  eventlog_add() and eventlog_changed(): any but a worker, with any lock held; the rest:
 *          control.
 * Units    nanoseconds since 1970
 */

#include "fdb.h"
#include "port.h"

#include <stdint.h>

#define EVENTLOG_LEN 256

struct eventlog;

struct eventlog_entry {
	uint64_t number;               /**< from 1, without gaps */
	uint64_t time_ns;
	char port[PORT_NAME_MAX];      /**< "": of the switch */
	char text[192];
};

/** @return 0; -ENOMEM; -errno of eventfd() */
int eventlog_create(struct eventlog **out);

/** NULL is allowed. */
void eventlog_destroy(struct eventlog *l);

/** Adds a line; the oldest one goes.  @param port  name; NULL: of the switch */
void eventlog_add(struct eventlog *l, const char *port, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * Notes that a port's state or reason may have changed; control looks at it in a moment
 * (eventlog_look()), since the port's mutex may be held now.
 */
void eventlog_changed(struct eventlog *l, uint16_t port);

/** Forgets what a number's last state was: call it when a port comes and when it goes, there after
 *  fdb_port_del(). */
void eventlog_forget(struct eventlog *l, uint16_t port);

/** Adds which ports' addresses have moved or were refused since the last call; once a second. */
void eventlog_fdb(struct eventlog *l, const struct fdb *fdb, const struct ports *ports);

/** Becomes readable when eventlog_look() has something to do. */
int eventlog_fd(const struct eventlog *l);

/** Looks at the ports that have changed.  @param info  memory to look with */
void eventlog_look(struct eventlog *l, struct ports *ports, struct port_info *info);

/**
 * Walks the entries, oldest first.
 *
 * @param iter  starts at 0
 * @return      0; -ENOENT: no more
 */
int eventlog_next(struct eventlog *l, uint64_t *iter, struct eventlog_entry *out);

#endif
