/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_PEER_H
#define FERRY_PEER_H

/**
 * @file
 * Peers: the ferryds of other hosts, from which guests come and to which they go.
 *
 * Each connection is TLS 1.3 with a key that both sides were given (RFC 8446, external pre-shared
 * key): who has not got it is not heard, and nobody reads or changes what is said.  Both sides may
 * call and listen; between the same two instances one connection is used.
 *
 * Life     a set per process; connections come again by themselves, with growing pauses.
 * Threads  control, but for peer_set_active()
 * Units    microseconds, bytes
 * Source   SSL_CTX_set_psk_use_session_callback(3), libevent's bufferevent_ssl.h
 */

#include "loop.h"
#include "peer_wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PEER_CALLED_MAX 32   /**< peers in a configuration */
#define PEER_KEY_MIN    16   /**< bytes of a key */
#define PEER_KEY_MAX    1024
#define PEER_TEXT_MAX   128  /**< of an address as it is written: "10.0.0.2:4798", "unix:/run/p" */

struct peer;
struct peer_set;

/** What a set tells who created it; none of these may change the set's configuration. */
struct peer_ops {
	/** A guest runs behind a peer. */
	void (*arrived)(void *arg, struct peer *p, const struct peer_arrived *a);
	/** A frame.  @return false: no room; it comes again after peer_set_resume() */
	bool (*frame)(void *arg, struct peer *p, const struct peer_frame *f);
	/** All frames of a generation have been handed over. */
	void (*done)(void *arg, struct peer *p, const struct peer_done *d);
	/** There is room again for what did not go to a peer. */
	void (*room)(void *arg, struct peer *p);
	/** A peer that was up is not any more, and may be freed. */
	void (*gone)(void *arg, struct peer *p);
};

struct peer_opts {
	const char *listen;      /**< address; NULL: nobody can call us */
	uint32_t n_called;
	const char *called[PEER_CALLED_MAX]; /**< addresses that we call */
	const uint8_t *key;      /**< copied as what it is a digest of */
	size_t key_len;          /**< PEER_KEY_MIN to PEER_KEY_MAX */
};

/** @return 0; -ENOMEM */
int peer_set_create(struct loop *l, const struct peer_ops *ops, void *arg, struct peer_set **out);

/** Hangs up on all; NULL is allowed. */
void peer_set_destroy(struct peer_set *ps);

/**
 * Whether an address is one: an IP address and a port, or "unix:" and a path.
 *
 * @return  0; -EINVAL; -ENAMETOOLONG: longer than a path of a socket may be
 */
int peer_address_check(const char *text);

/**
 * Makes the set what is said: hangs up on all, then listens and calls.
 *
 * @param opts  NULL: no peers, nobody listens
 * @return      0; -EINVAL: an address, or the key's length; -EADDRINUSE, -EADDRNOTAVAIL, -EACCES,
 *              -EEXIST: the path is no socket; -ENOMEM; -errno.  After an error there are no peers.
 */
int peer_set_configure(struct peer_set *ps, const struct peer_opts *opts);

/** Whether any peer is up.  @role any */
bool peer_set_active(const struct peer_set *ps);

/** Reads on from who was told that there is no room. */
void peer_set_resume(struct peer_set *ps);

/* one peer */

/**
 * Walks the peers that are up, each instance once.
 *
 * @param p  NULL: the first
 */
struct peer *peer_up_next(struct peer_set *ps, const struct peer *p);

/**
 * Sends a message; of a FRAME its bytes too.
 *
 * @return  0; -EAGAIN: as much waits to be sent as may, see peer_ops.room; a message that is not
 *          a FRAME always goes; -ENOTCONN
 */
int peer_send(struct peer *p, const struct peer_message *m);

/** Name of its host. */
const char *peer_host(const struct peer *p);

/* show */

/** States: name in JSON. */
#define PEER_STATES(X) \
	X(WAITING, "waiting")       /* until it is called again */ \
	X(CONNECTING, "connecting") /* until both know that the other has the key */ \
	X(UP, "up")

enum peer_state {
#define X(id, name) PEER_STATE_##id,
	PEER_STATES(X)
#undef X
	PEER_STATE_N
};

extern const char *const peer_state_names[PEER_STATE_N];

struct peer_info {
	bool called;                    /**< by us; false: it has called */
	char address[PEER_TEXT_MAX];
	enum peer_state state;
	char reason[160];               /**< why it is not up */
	char host[PEER_HOST_MAX + 1];   /**< empty: not known yet */
	uint64_t instance;
	uint64_t frames_in, frames_out; /**< over all connections of a peer that is called */
	uint64_t bytes_waiting;         /**< to be sent */
	bool seen;
	uint64_t seen_us;               /**< since something came from it */
};

/** Walks all, those that are called first.  @param iter starts at 0  @return 0; -ENOENT */
int peer_next(const struct peer_set *ps, uint32_t *iter, struct peer_info *out);

#endif
