/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_MIGRATION_CHECK_H
#define FERRY_MIGRATION_CHECK_H

/**
 * @file
 * The preflight: what stands against a guest's migration from one port to another.
 *
 * Both sides are the answers of migration.offer (README.rst), the other one a stranger's.
 *
 * Threads  any
 */

#include "rpc.h"

/**
 * Checks the shape of an offer.
 *
 * @param where  its member's name, for messages
 * @return       0; -EINVAL with `err` filled
 */
int migration_offer_check(json_t *offer, const char *where, struct rpc_error *err);

/**
 * Compares ports of two checked offers.
 *
 * @param port       of `ours`; NULL: all vhost-user ports
 * @param peer_port  of `theirs`; NULL: of the same name
 * @return           what migration.check answers
 */
json_t *migration_check(const json_t *ours, const json_t *theirs, const char *port,
			const char *peer_port);

#endif
