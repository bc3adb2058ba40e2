/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_PEER_IMPL_H
#define FERRY_PEER_IMPL_H

/* Inside of lib/peer: connections.  All of it is control's, but for `n_up`. */

#include "peer.h"

#include <openssl/ssl.h>

#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define PEER_PSK_LEN 32

struct bufferevent;
struct evconnlistener;

struct peer_address {
	struct sockaddr_storage sa;
	socklen_t len;
};

/* Both ends of TLS; `psk` is the digest of the key that was given. */
struct peer_tls {
	SSL_CTX *ctx;
	uint8_t psk[PEER_PSK_LEN];
};

struct peer {
	struct peer_set *set;
	struct peer *next;
	bool called;
	char text[PEER_TEXT_MAX];
	struct peer_address addr;       /* called */

	struct bufferevent *bev;        /* NULL: waiting */
	bool secure;                    /* TLS has shown that the other side has the key */
	bool blocked;                   /* its frames wait until there is room */
	enum peer_state state;
	char reason[160];
	uint64_t deadline_us;           /* waiting: calls again; connecting: gives up */
	uint64_t pause_us;              /* before the next call */

	uint64_t instance;
	char host[PEER_HOST_MAX + 1];
	uint64_t seen_us;               /* 0: never */
	uint64_t told_us;
	uint64_t frames_in, frames_out;
};

struct peer_set {
	struct loop *loop;
	struct peer_ops ops;
	void *arg;
	uint64_t instance;
	char host[PEER_HOST_MAX + 1];
	struct peer_tls tls;
	struct evconnlistener *listener;
	struct peer_socket {
		char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* empty: none to remove */
		dev_t dev;
		ino_t ino;
	} socket;
	bool deaf;                      /* no descriptor was left for a caller: listens again soon */
	struct peer *called;
	struct peer *callers;           /* newest first */
	uint32_t n_callers;
	struct loop_watch *watch;       /* while there is a configuration */
	_Atomic uint32_t n_up;
};

uint64_t peer_now_us(void);

/* peer_address.c */

int peer_address_parse(const char *text, struct peer_address *out);
void peer_address_format(const struct sockaddr *sa, char *out, size_t size);
/* Frees a path for a new socket: removes the file of one that nobody answers on. */
int peer_address_clear(const struct peer_address *a);

/* peer_tls.c */

int peer_tls_init(struct peer_tls *t, const uint8_t *key, size_t len);
void peer_tls_fini(struct peer_tls *t);
/* @return NULL: no memory */
SSL *peer_tls_session(struct peer_tls *t, bool calling);
/* Whether the handshake that is over was one with the key. */
bool peer_tls_proven(SSL *ssl);

/* peer_conn.c */

/* Calls; what goes wrong at once is told as what goes wrong later is. */
void peer_call(struct peer *p);
/* Takes a connection over; -ENOMEM: the descriptor is still the caller's. */
int peer_answer(struct peer *p, int fd);
/* Ends the connection, if there is one; the peer stays, waiting. */
void peer_hang_up(struct peer *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* What time brings: deadlines, pings, silence. */
void peer_tick(struct peer *p, uint64_t now_us);
/* Handles messages that had to wait. */
void peer_read_on(struct peer *p);
/* Bytes that are to be sent. */
uint64_t peer_waiting(const struct peer *p);

/* peer.c */

/* A caller's connection is over: it is freed. */
void peer_ended(struct peer *p);
#endif
