/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_RPC_SWITCH_RIG_H
#define FERRY_RPC_SWITCH_RIG_H

/* A real switch with two workers and the methods on it, without a socket. */

#include "check.h"
#include "rpc_switch.h"

struct rig {
	struct loop *loop;
	struct cross *cross;
	struct swdev_pool *pool;
	struct fdb *fdb;
	struct capture *capture;
	struct config *config;
	struct rpc_switch sw;
	struct migration_look look; /* what migrations see of a port */
};

extern struct rig rig;
extern char folder[]; /* of this test */

void rig_start(void);
void rig_stop(void);

/* Turns control's loop for so long. */
void pump(unsigned int ms);

/* Calls a method; every '@' of the parameters is the folder of this test. */
int call(const char *method, const char *params, json_t **result, struct rpc_error *err);

/* The result of a call that has to work; the caller's to free. */
json_t *done(const char *method, const char *params);
void does(const char *method, const char *params);

/* Compares with a JSON text; '@' as above. */
void check_json(const char *story, json_t *got, const char *expected);

/* Likewise one member, by a path like "rx.frames". */
void check_member(const char *story, json_t *object, const char *path, const char *expected);

/* Writes a JSON text to c.json in the folder. */
void file_write(const char *text);

/* rpc_switch_config_test.c: with vm1, vm2 and two static entries. */
void rpc_switch_config_test(void);

/* rpc_switch_migration_test.c: likewise. */
void rpc_switch_migration_test(void);

/* rpc_switch_telemetry_test.c: likewise. */
void rpc_switch_telemetry_test(void);

#endif
