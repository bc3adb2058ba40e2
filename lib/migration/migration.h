/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_MIGRATION_H
#define FERRY_MIGRATION_H

/**
 * @file
 * The flight recorder: what happened to a port in its last migrations, and when.
 *
 * It makes records of the moments (moment.h) that session and parking tell.  A record begins when
 * logging does, or when a guest arrives from elsewhere, and is never closed: what comes late still
 * goes to where it belongs, and its state is computed from its moments whenever somebody asks.
 *
 * While a port logs, it is looked at ten times a second; while none does, never.
 *
 * Life     one per process, created before the first port; a port's records go with the port.
 * Threads  control
 * Units    cycles of the time stamp counter; migration_us() gives microseconds
 */

#include "loop.h"
#include "moment.h"
#include "port.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MIGRATION_KEEP    16  /* records of a port */
#define MIGRATION_MOMENTS 48  /* of a record */
#define MIGRATION_SAMPLES 128 /* of a record */

/** States: name in JSON, text for people. */
#define MIGRATION_STATES(X) \
	X(LOGGING,   "logging",   "the guest runs here and its memory is copied") \
	X(STOPPED,   "stopped",   "the guest is on its way") \
	X(COMPLETED, "completed", "the guest has left") \
	X(CANCELLED, "cancelled", "the guest never stopped") \
	X(RESUMED,   "resumed",   "the guest stopped and went on here") \
	X(KILLED,    "killed",    "the front-end vanished while the guest ran") \
	X(EXPIRED,   "expired",   "the guest left and was not heard of in time") \
	X(ARRIVED,   "arrived",   "the guest came from elsewhere")

enum migration_state {
#define X(id, name, text) MIGRATION_##id,
	MIGRATION_STATES(X)
#undef X
	MIGRATION_STATE_N
};

extern const char *const migration_state_names[MIGRATION_STATE_N];

/** What a port's counters say at some time; all but the first two times only grow. */
struct migration_look {
	uint64_t first_receive;  /**< when the guest got its first frame since its rings were started; 0 */
	uint64_t first_transmit; /**< likewise, gave its first one */
	uint64_t pages;          /**< pages newly marked in the dirty log */
	uint64_t rounds;         /**< times that the front-end was seen to have harvested the log */
	uint64_t parked;         /**< frames */
	uint64_t delivered;      /**< parked frames that went out */
	uint64_t dropped;        /**< parked frames that were dropped */
};

struct migration_moment {
	enum moment moment;
	uint64_t tsc;
	uint64_t value;
};

/** Of the dirty log, since the record began. */
struct migration_sample {
	uint64_t tsc;
	uint64_t pages;
	uint64_t rounds;
};

/** One migration of a port's guest. */
struct migration {
	uint32_t number;         /**< of the port's, from 1 */
	bool incoming;
	uint64_t hz;
	uint64_t wall_ns;        /**< since 1970, of the moment at `wall_tsc` */
	uint64_t wall_tsc;
	uint64_t n_lost;         /**< events of all kinds that were lost meanwhile */
	uint32_t n_cut;          /**< moments left out because there were too many */
	uint32_t n_moments;
	struct migration_moment moments[MIGRATION_MOMENTS]; /**< in the order of time, not empty */
	uint32_t n_samples;
	struct migration_sample samples[MIGRATION_SAMPLES];
	struct migration_look before; /**< as it began */
	struct migration_look now;    /**< as it was looked at last */
	uint64_t looked;
	uint32_t told;           /**< enum migration_state that `news` was told last */
};

/** What the moments say together; a time is 0 where there is none. */
struct migration_story {
	enum migration_state state;
	bool logging;
	bool stopped;      /**< rings are stopped, whatever else is known */
	uint64_t stop;     /**< rings stopped for the last time */
	uint64_t started;  /**< arrived, or resumed */
	uint64_t ready;
	uint64_t elsewhere; /**< rings started on another port of this ferryd */
	uint64_t released; /**< guest heard of elsewhere */
	uint64_t end;      /**< state became what it is and will stay */
	bool gone;         /**< the front-end has hung up */
};

struct migrations;

struct migration_opts {
	struct cross *cross;
	struct loop *loop;
	uint64_t hz;             /**< of the cycle counter */
	/** Looks at a port's counters. */
	void (*look)(void *arg, uint16_t port, struct migration_look *out);
	/** A record's state has changed, or its parked frames are out; NULL is allowed. */
	void (*news)(void *arg, uint16_t port, const struct migration *m);
	void *arg;
};

/** Handles EVENT_MOMENT from now on.  @return 0; -ENOMEM */
int migrations_create(const struct migration_opts *opts, struct migrations **out);

/** NULL is allowed. */
void migrations_destroy(struct migrations *ms);

/** Forgets what happened to a port: call it when the port goes. */
void migrations_port_del(struct migrations *ms, uint16_t port);

/**
 * An address that stood on a port was seen on another one: tells so of the guest that has left it,
 * where nobody parks its frames and says it better.
 */
void migrations_heard(struct migrations *ms, uint16_t port, uint16_t there);

/** Looks at a port now, so that its last record is up to date. */
void migrations_look(struct migrations *ms, uint16_t port);

/**
 * Walks a port's records, oldest first.
 *
 * @param iter  starts at 0
 * @return      valid until events are handled again; NULL: no more
 */
const struct migration *migrations_next(const struct migrations *ms, uint16_t port,
					uint32_t *iter);

/** Whether ports are being looked at: idle stays idle where none is. */
bool migrations_busy(const struct migrations *ms);

/* record: pure functions, any thread */

void migration_story(const struct migration *m, struct migration_story *out);

/** Microseconds from the record's first moment. */
uint64_t migration_us(const struct migration *m, uint64_t tsc);

/** Nanoseconds since 1970 of its first moment. */
uint64_t migration_wall_ns(const struct migration *m);

/**
 * Microseconds for which the guest was nowhere: from its stop to its start here or on another port
 * of this ferryd, else until it was heard of elsewhere.
 *
 * @return  -1: there was no such time, or its end is not known
 */
int64_t migration_blackout_us(const struct migration *m);

/** Steps of its kind of migration that it has gone, of how many. */
void migration_progress(const struct migration *m, uint32_t *done, uint32_t *of);

/** One line that says how it went. */
void migration_verdict(const struct migration *m, char *out, size_t size);

/** What lasts for a while: name in JSON, text for people. */
#define MIGRATION_LANES(X) \
	X(LOGGING, "logging", "guest writes are logged") \
	X(STOPPED, "stopped", "rings are stopped and nobody has heard of the guest") \
	X(PARKED,  "parked",  "frames are parked") \
	X(RUNNING, "running", "the guest has come, or gone on")

enum migration_lane {
#define X(id, name, text) MIGRATION_LANE_##id,
	MIGRATION_LANES(X)
#undef X
	MIGRATION_LANE_N
};

extern const char *const migration_lane_names[MIGRATION_LANE_N];

struct migration_span {
	enum migration_lane lane;
	uint64_t from, to;  /**< what has not ended goes to the last thing that is known */
};

/** No record has more spans. */
#define MIGRATION_SPANS_MAX (2 * MIGRATION_MOMENTS)

/** Fills spans in the order of their ends.  @return how many */
uint32_t migration_spans(const struct migration *m, struct migration_span *out, uint32_t max);

/** A round of dirtying: between two harvests of the log, as far as samples tell them apart. */
struct migration_round {
	uint64_t tsc;       /**< of its begin */
	uint64_t cycles;    /**< how long it took */
	uint64_t pages;
	uint64_t rounds;    /**< harvests that it ends with: 0, it has not ended; more than 1: shorter
				 than the time between two samples */
};

/**
 * Walks the rounds.
 *
 * @param iter  starts at 0
 * @return      false: no more
 */
bool migration_round_next(const struct migration *m, uint32_t *iter,
			  struct migration_round *out);

/** Pages per second; 0 where no time has passed. */
double migration_rate(const struct migration *m, uint64_t pages, uint64_t cycles);

#endif
