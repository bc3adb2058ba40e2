/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRYCTL_CLIENT_H
#define FERRYCTL_CLIENT_H

/**
 * @file
 * The connection to ferryd: one request, one answer.
 *
 * Life     opened once; what ferryd says about itself (rpc.show) is asked once and kept.
 */

#include <jansson.h>

#include <stdbool.h>

/** Exit statuses of ferryctl, and what a command returns. */
enum status {
	STATUS_OK = 0,
	STATUS_FAILED = 1,     /**< ferryd answered an error */
	STATUS_USAGE = 2,
	STATUS_NO_FERRYD = 3,  /**< no ferryd answered */
};

struct client;

/** @return STATUS_OK; STATUS_NO_FERRYD, told on stderr */
enum status client_open(const char *path, struct client **out);
void client_close(struct client *c);

/**
 * Calls a method.
 *
 * @param params  taken over; NULL: none
 * @param result  new reference on success
 * @return        STATUS_OK; STATUS_FAILED or STATUS_NO_FERRYD, told on stderr
 */
enum status client_call(struct client *c, const char *method, json_t *params, json_t **result);

/** Calls a method without parameters of the ferryd behind another socket.  @return as client_call() */
enum status client_call_at(const char *path, const char *method, json_t **result);

/** Like client_call(), in silence: for completion.  @return new reference; NULL */
json_t *client_ask(struct client *c, const char *method, json_t *params);

/** Whether ferryd runs as another user. */
bool client_foreign(const struct client *c);

/** The rows of rpc.show; NULL: told on stderr. */
json_t *client_methods(struct client *c);

/** The row of a method; NULL: there is none. */
json_t *client_method(struct client *c, const char *method);

/** Puts a text before messages about errors ("line 3: "); "" or what a script says. */
extern char client_where[64];

#endif
