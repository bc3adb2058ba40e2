/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_FUZZ_MESSAGE_FRONT_H
#define FERRY_FUZZ_MESSAGE_FRONT_H

/**
 * @file
 * A front-end that says what an input wants: vhost-user messages which make sense as long as the
 * input does not ask for anything else, so that mutations reach beyond the first message.
 *
 * Threads  one
 * Source   vhost-user specification
 */

#include "fuzz.h"

#include <stdbool.h>

#define FRONT_REGIONS 8

#define FRONT_DEADLINE_MS 10000

struct front {
	const char *path;
	int fd;                       /* of the connection; -1: none */
	bool deaf;                    /* a question was not answered */
	uint32_t n_asked;             /* GET_FEATURES without an answer yet */
	int memfds[FRONT_REGIONS];    /* of the last table; -1: none */
	uint64_t uvas[FRONT_REGIONS];
	uint32_t n_regions;
};

void front_init(struct front *f, const char *path);

/** @return false: nobody answers */
bool front_connect(struct front *f);

/**
 * Ends what is said, so that the other side hangs up when it has heard all of it.
 *
 * @return  false: it has not within some seconds
 */
bool front_end(struct front *f);

/**
 * Asks for the features and waits.
 *
 * @return  false: no answer in time, or the connection has ended
 */
bool front_sync(struct front *f, int timeout_ms);

/** Says one thing of the input. */
void front_say(struct front *f, struct fuzz_in *in);

/** Closes what a front-end keeps of its memory. */
void front_forget(struct front *f);

#endif
