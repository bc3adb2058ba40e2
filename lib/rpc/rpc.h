/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_RPC_H
#define FERRY_RPC_H

/**
 * @file
 * JSON-RPC 2.0 over a UNIX stream socket: one JSON text per line each way, parameters by name,
 * several clients, requests pipelined.
 *
 * Methods are rows of tables.  The server checks names, types, ranges and required members of the
 * parameters against the row before a handler runs, so that a handler holds meaning only; an
 * error names the member, its value and what was expected.  The same rows are what clients read
 * with `rpc.show` to build help and completion.
 *
 * Life     one per process.
 * Threads  control
 * Source   jsonrpc.org/specification
 */

#include "loop.h"

#include <jansson.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum rpc_type { RPC_STRING, RPC_INT, RPC_BOOL, RPC_OBJECT, RPC_ARRAY };

struct rpc_param {
	const char *name;
	enum rpc_type type;
	bool required;
	int64_t min, max;       /**< RPC_INT: range; RPC_STRING: length; both 0: any */
	const char *choices;    /**< RPC_STRING: "rx|tx|both"; NULL: free */
	const char *completes;  /**< noun whose names complete the value ("port"); "file": a path of
				     the client's, made absolute by it; NULL: none */
	const char *help;       /**< one line */
	const char *asks;       /**< RPC_OBJECT: what this method of another ferryd answers; clients
				     take the path of its socket; NULL: none */
};

#define RPC_ERROR_PARSE    (-32700)
#define RPC_ERROR_REQUEST  (-32600)
#define RPC_ERROR_METHOD   (-32601)
#define RPC_ERROR_PARAMS   (-32602)
#define RPC_ERROR_INTERNAL (-32603)
#define RPC_ERROR_FAILED   (-32000) /**< the method ran and could not do it */

struct rpc_error {
	int code;
	char message[256];      /**< one line that says what to do */
	char member[64];        /**< what is wrong, "ports[2].socket" for nested ones; or empty */
};

/**
 * Carries a method out.
 *
 * @param params  object, already checked against the row
 * @param result  new reference on success; left NULL: {}
 * @return        0; -errno with `err` filled (code RPC_ERROR_FAILED where it was left 0)
 */
typedef int rpc_fn(void *arg, json_t *params, json_t **result, struct rpc_error *err);

struct rpc_method {
	const char *name;                /**< "port.add" */
	rpc_fn *fn;
	const struct rpc_param *params;  /**< ends with a row without name */
	const char *positional;          /**< parameter that is [NAME] on the console; NULL */
	const char *help;                /**< one line */
};

struct rpc;

struct rpc_opts {
	const char *path;
	mode_t mode;   /**< of the socket file; 0: 0600 */
	gid_t group;   /**< (gid_t)-1: unchanged */
	uint32_t unread_ms; /**< a client that reads nothing of its answers for so long is dropped;
				 0: 10 seconds */
};

/**
 * Creates the socket and answers on it.  A socket file that nobody answers on is replaced; missing
 * folders of the path are made.  SIGPIPE is ignored by the process from then on.
 *
 * @param opts  NULL: no socket, only rpc_call(), rpc_check() and rpc_handle_line()
 * @return      0; -EADDRINUSE: a live process answers there; -EEXIST: the path is no socket;
 *              -ENAMETOOLONG; -errno of the socket calls
 */
int rpc_create(struct loop *l, const struct rpc_opts *opts, struct rpc **out);

/** Closes clients after what is queued for them, removes the socket file; NULL is allowed. */
void rpc_destroy(struct rpc *r);

/** Adds a table that ends with a row without name; both tables and `arg` outlive the server. */
void rpc_add(struct rpc *r, const struct rpc_method *methods, void *arg);

/**
 * Carries a method out in the process, with the same checks: what the configuration file and the
 * command line use.
 *
 * @return  0; -errno with `err` filled
 */
int rpc_call(struct rpc *r, const char *method, json_t *params, json_t **result,
	     struct rpc_error *err);

/**
 * Checks a method's parameters without carrying it out.
 *
 * @return  0; -EINVAL with `err` filled
 */
int rpc_check(struct rpc *r, const char *method, json_t *params, struct rpc_error *err);

/**
 * Handles what one line of a client holds: a request, a notification or a batch.
 *
 * @param line  without the newline; anything at all
 * @return      the answer without a newline, for free(); NULL: nothing is to be answered
 */
char *rpc_handle_line(struct rpc *r, const char *line, size_t len);

/**
 * Fills an error; a handler's last line.  The message gets the member's name in front.  The code
 * is RPC_ERROR_PARAMS when a member is named and rc is -EINVAL, else RPC_ERROR_FAILED.
 *
 * @return  rc
 */
int rpc_fail(struct rpc_error *err, int rc, const char *member, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#endif
