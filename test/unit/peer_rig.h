/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_PEER_RIG_H
#define FERRY_PEER_RIG_H

/**
 * @file
 * Two ferryds' ends of a line in one process, and a stranger who may have the key and says what it
 * likes.
 */

#include "../../lib/peer/peer_impl.h"

#include <event2/bufferevent.h>
#include <event2/event.h>

#include <stdbool.h>
#include <stdint.h>

#define RIG_KEY "a key that both of them have been given"

/** One end, and what it was told. */
struct end {
	struct peer_set *set;
	const char *listen, *call;      /**< as it was configured last */
	const char *key;

	uint32_t n_arrived, n_done, n_gone, n_room;
	uint64_t n_frames;
	uint64_t n_wrong;               /**< frames out of order, or with other bytes */
	uint32_t n_refused;             /**< frames that were to come again */
	uint32_t refuse_every;          /**< 0: takes all */
	bool refused;
	struct peer_arrived arrived;
	struct peer_done done;
	struct peer *from;
};

extern struct loop *rig_loop;

void rig_begin(void);
void rig_end(void);

void end_open(struct end *e, const char *key, const char *listen, const char *call);
void end_close(struct end *e);

/** The first of an end's peers, or one of a state. */
struct peer_info end_info(const struct end *e);
bool end_up(const struct end *e);
uint32_t end_count(const struct end *e);

/** Runs the loop until `cond` or too many milliseconds have passed. */
#define RIG_WAIT(cond, ms) ({ \
	uint64_t until_ = peer_now_us() + (uint64_t)(ms) * 1000; \
	while (!(cond) && peer_now_us() < until_) \
		rig_step(); \
	(cond); })

void rig_step(void);

/** A frame whose bytes tell its number; of 14 to 1514 bytes. */
void rig_frame(uint64_t number, uint8_t *bytes, struct peer_frame *out);

/** A stranger's connection. */
struct stranger {
	struct peer_tls tls;
	struct bufferevent *bev;
	int fd;                         /**< without TLS */
	bool secure, ended;
};

/** @param key  NULL: no TLS, only a socket */
void stranger_call(struct stranger *s, const char *key, const char *address);
void stranger_say(struct stranger *s, const void *bytes, size_t len);
/** Whether the other side has hung up. */
bool stranger_ended(struct stranger *s);
void stranger_close(struct stranger *s);

#endif
