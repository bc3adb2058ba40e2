/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_PEER_MOVE_IMPL_H
#define FERRY_PEER_MOVE_IMPL_H

/* Inside of lib/peer: guests that come (peer_in.c) and go (peer_out.c).  All of it is control's. */

#include "peer_impl.h"
#include "peer_move.h"

#define PEER_ASKED_MAX 128

/* A guest that has come. */
struct peer_in {
	struct peer_in *next;
	uint16_t port;
	uint32_t generation;
	uint64_t began_us, progress_us;
	bool admitted;
	uint16_t n_keys;                  /* addresses that peers were told */
	fdb_key_t keys[PEER_ADDRESSES_MAX];
	uint16_t n_asked;
	struct {
		struct peer *peer;
		uint32_t owes;            /* answers */
	} asked[PEER_ASKED_MAX];
	uint64_t frames;
};

/* A guest that has gone. */
struct peer_out {
	struct peer_out *next;
	struct peer_moves *moves;
	uint16_t port;
	uint16_t heir;                    /* uplink on which its address was seen, or PARK_NOWHERE */
	uint64_t seen_us;                 /* there */
	struct peer *peer;                /* who has it; NULL: nobody has said so yet */
	uint32_t generation;
	uint32_t owed;                    /* answers */
	uint64_t asked_us;                /* when it said so, or the wait for it began */
	uint64_t born;                    /* cycle counter: its rings started there */
	bool late;                        /* what was kept has been sent */
	uint64_t late_us;
	uint64_t frames;
};

struct peer_moves {
	struct peer_moves_opts opts;
	struct peer_set *set;
	struct loop_watch *watch;         /* while there is a guest on its way */
	uint32_t generation;
	struct peer_in *ins;
	struct peer_out *outs;
};

/* Has peer_move.c call the ticks until they say that nothing is left. */
void peer_moves_watch(struct peer_moves *pm);

/* peer_in.c */

bool peer_in_frame(void *arg, struct peer *p, const struct peer_frame *f);
void peer_in_done(void *arg, struct peer *p, const struct peer_done *d);
void peer_in_gone(struct peer_moves *pm, const struct peer *p);
void peer_in_tick(struct peer_moves *pm, uint64_t now_us);
void peer_in_forget(struct peer_moves *pm, uint16_t port);

/* peer_out.c */

void peer_out_arrived(void *arg, struct peer *p, const struct peer_arrived *a);
void peer_out_room(void *arg, struct peer *p);
void peer_out_gone(struct peer_moves *pm, const struct peer *p);
void peer_out_tick(struct peer_moves *pm, uint64_t now_us);
void peer_out_forget(struct peer_moves *pm, uint16_t port);

#endif
