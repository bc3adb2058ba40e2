/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_RPC_PARAM_H
#define FERRY_RPC_PARAM_H

/**
 * @file
 * Checks of JSON objects against rows: the parameters of methods and the sections of the
 * configuration file.  A message names the member, its value and what was expected.
 *
 * Threads  any
 */

#include "rpc.h"

/** Names of enum rpc_type for rpc.show. */
extern const char *const rpc_type_names[];

/**
 * Checks an object: unknown members, types, ranges, choices, what is missing.
 *
 * @param where  prefix for nested objects ("ports[2]"); "" for parameters
 * @return       0; -EINVAL with `err` filled
 */
int rpc_params_check(const struct rpc_param *rows, json_t *params, const char *where,
		     struct rpc_error *err);

/** Fails with "MEMBER: expected EXPECTED, not VALUE".  @return -EINVAL */
int rpc_expected(struct rpc_error *err, const char *member, const char *expected,
		 const json_t *value);

/** Text of a member; NULL: not given. */
const char *rpc_text_of(const json_t *params, const char *member);

/** Number of a member; `none` where it is not given. */
int64_t rpc_int_of(const json_t *params, const char *member, int64_t none);

/** A JSON string of free text; bytes that are no UTF-8, as a cut may leave, become '?'. */
json_t *rpc_text(const char *text);

/** A JSON string of nanoseconds since 1970: "2024-05-01T12:00:00.123Z". */
json_t *rpc_time(uint64_t ns);

/** Writes "ports[2].socket", or the name alone where there is no prefix. */
void rpc_member(char *out, size_t size, const char *where, const char *name);

#endif
