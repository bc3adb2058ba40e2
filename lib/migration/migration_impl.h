/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_MIGRATION_IMPL_H
#define FERRY_MIGRATION_IMPL_H

/*
 * Inside of lib/migration.
 *
 *   migration.c         life, and the looking while a port logs
 *   migration_record.c  which record a moment belongs to
 *   migration_sample.c  samples of the dirty log, rounds
 *   migration_span.c    what lasted: from which moment to which
 *   migration_story.c   what a record says: state, blackout, verdict
 */

#include "migration.h"

/* One port's records. */
struct history {
	uint32_t n;                   /* records so far */
	struct migration *kept[MIGRATION_KEEP]; /* number N at (N - 1) % MIGRATION_KEEP */
	struct migration *due;        /* record that news are to be told of at the next look; NULL */
	struct migration *starting;   /* record of the last start of the rings; NULL: it has none */
	bool started;                 /* the front-end of now has started rings before */
	struct migration_moment announced; /* not yet of a record; its time is 0: none */
	uint64_t n_lost;              /* event_lost() when the last record began */
	uint32_t stride;              /* sample at every so many looks */
	uint32_t skipped;
	struct migration_look last;
};

struct migrations {
	struct migration_opts opts;
	struct loop_watch *timer;     /* NULL: nobody is looked at */
	struct history *ports[PORT_MAX];
};

static inline struct migration *
history_newest(const struct history *h)
{
	return h->n == 0 ? NULL : h->kept[(h->n - 1) % MIGRATION_KEEP];
}

/* record */

/* Takes a moment into the record that it belongs to, or a new one.  Returns that; NULL: none. */
struct migration *history_take(struct migrations *ms, struct history *h,
			       const struct migration_moment *mo);
/* Adds a moment in the order of time. */
void record_add(struct migration *m, const struct migration_moment *mo);

/* Whether it has such a moment since then. */
bool record_has(const struct migration *m, enum moment moment, uint64_t since);
/* The last one of a guest that has left or wants to; NULL: there is none. */
struct migration *history_outgoing(const struct history *h);

/* sample */

/* Takes what a look has found; `always` even when it is no sample's turn. */
void history_sample(struct history *h, uint64_t tsc, bool always);

#endif
