/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_OWNER_H
#define FERRY_OWNER_H

/**
 * @file
 * Mode and group of a socket file, as they stand in JSON: "0660" and a group's name or number.
 *
 * Threads  control
 */

#include "rpc.h"

/**
 * Reads the mode that a member holds; 0 where it is not there.
 *
 * @param where  prefix of the member in messages
 * @return       0; -EINVAL with `err` filled
 */
int owner_mode(json_t *o, const char *where, const char *name, mode_t *out,
	       struct rpc_error *err);

/** Likewise a group; (gid_t)-1 where it is not there. */
int owner_group(json_t *o, const char *where, const char *name, gid_t *out,
		struct rpc_error *err);

/** The reverse. */
json_t *owner_mode_json(mode_t mode);
json_t *owner_group_json(gid_t group);

#endif
