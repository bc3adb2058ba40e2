/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_RPC_IMPL_H
#define FERRY_RPC_IMPL_H

/**
 * @file
 * What the files of the server share.
 *
 * Threads  control
 */

#include "rpc.h"

#define RPC_TABLES_MAX  32
#define RPC_LINE_MAX    (1024 * 1024)      /**< bytes of one request line */
#define RPC_BATCH_MAX   1024               /**< requests of one batch */
#define RPC_ANSWER_MAX  (32 * 1024 * 1024) /**< bytes after which a batch is cut short */
#define RPC_CLIENTS_MAX 64
#define RPC_PENDING_MAX (1024 * 1024)      /**< unread bytes at which requests have to wait */
#define RPC_UNREAD_MS   10000

struct rpc_server;

struct rpc_table {
	const struct rpc_method *methods;
	void *arg;
};

struct rpc {
	uint32_t n_tables;
	struct rpc_table tables[RPC_TABLES_MAX];
	struct rpc_server *server;
};

/* rpc_server.c */

/** @return 0; -EADDRINUSE; -errno */
int rpc_server_create(struct rpc *r, struct loop *l, const struct rpc_opts *opts,
		      struct rpc_server **out);
void rpc_server_destroy(struct rpc_server *s);

/* rpc_socket.c */

/** A listening socket and the file that leads to it. */
struct rpc_socket {
	int fd;
	char path[108];
	dev_t dev;
	ino_t ino;
};

/** @return 0; -EADDRINUSE: a live process answers; -EEXIST: not a socket; -errno */
int rpc_socket_open(const struct rpc_opts *opts, struct rpc_socket *out);

/** Closes it and removes the file unless somebody else has put another one there. */
void rpc_socket_close(struct rpc_socket *s);

#endif
