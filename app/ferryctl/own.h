/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRYCTL_OWN_H
#define FERRYCTL_OWN_H

/**
 * @file
 * Commands that look like ferryd's methods and are ferryctl's own: what they make of an answer
 * concerns nobody but who sits here.
 */

#include "command.h"

#include <stdio.h>

struct own {
	const char *row;     /**< as in rpc.show */
	const char *method;
	const char *needs;   /**< method of ferryd; without it there is no such command */
	enum status (*run)(struct shell *s, json_t *params, FILE *out);
};

/** Adds the rows of own commands to what rpc.show answered. */
void own_add(json_t *methods);

/** NULL: it is ferryd's. */
const struct own *own_find(const char *method);

/** `watch [SECONDS] migration [PORT]`.  follow.c  @param port  NULL: all */
enum status follow_run(struct shell *s, const char *port, double seconds);

#endif
