/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_CONFIG_H
#define FERRY_CONFIG_H

/**
 * @file
 * The configuration: a JSON file, checked as strictly as parameters of methods are, and the state
 * that it describes.  What a section does not say stays as it is; the format is in README.rst.
 *
 * A start is config_read(), what the command line adds to the object, config_parse() before DPDK
 * is up, and config_apply() when the switch is.
 *
 * Threads  control
 */

#include "park.h"
#include "rpc.h"

#include <sys/types.h>

#define CONFIG_CPUS_MAX  64
#define CONFIG_AGE_MAX   1000000
#define CONFIG_QUOTA_MAX 1000000

struct rpc_switch;

/** Sections that only a start can apply; ends with NULL. */
extern const char *const config_start_only[];

struct config_log {
	char *file;      /**< NULL: stderr */
	json_t *levels;  /**< object, pattern to level, in the order in which they were set */
};

/** A configuration that has been checked. */
struct config {
	json_t *json;            /**< all of it; a section that was not given is not there */
	const char *eal;         /**< arguments for DPDK; NULL: none */
	bool privileges_keep;    /**< root's capabilities are not dropped */
	const char *rpc_socket;  /**< NULL: not given */
	mode_t rpc_mode;         /**< 0: not given */
	gid_t rpc_group;         /**< (gid_t)-1: not given */
	uint32_t n_cpus;         /**< 0: not given */
	int cpus[CONFIG_CPUS_MAX];
	uint32_t fdb_age_s;      /**< FDB_AGE_S where it is not given */
	uint32_t fdb_quota;      /**< FDB_QUOTA where it is not given */
	struct park_opts park;   /**< what is not given is the default */
	struct config_log log;
};

/**
 * Reads a file.
 *
 * @return  0; -EINVAL: no JSON object, with line and column; -errno of the file; the message
 *          begins with the path
 */
int config_read(const char *path, json_t **out, struct rpc_error *err);

/**
 * Checks a configuration as far as that goes without carrying it out.
 *
 * @param json  kept
 * @return      0; -EINVAL: the message names the member ("ports[2].socket"); -ENOMEM
 */
int config_parse(json_t *json, struct config **out, struct rpc_error *err);

/** NULL is allowed. */
void config_destroy(struct config *c);

/**
 * Reads a list of CPUs, "1,3-5".
 *
 * @param cpus  CONFIG_CPUS_MAX of them
 * @return      how many; -EINVAL: no such list, or a CPU that this process may not use
 */
int config_cpus(const char *list, int *cpus);

/**
 * Directs and levels the log: may be called before DPDK is up, so that its lines go there too.
 *
 * @return  0; -errno of the file
 */
int config_log_set(const struct config_log *log, struct rpc_error *err);

/** @return 0; -ENOMEM */
int config_log_copy(const struct config_log *from, struct config_log *to);
void config_log_fini(struct config_log *log);

/**
 * Brings the switch to what a configuration says: ports that it does not name go, those that it
 * has otherwise come anew, the others are not touched; static entries, age, quota and log
 * likewise.  Sections that only a start can apply (rpc, workers, eal) are left.
 *
 * @return  0; -errno: what was done is undone, the message names the member
 */
int config_apply(struct rpc_switch *sw, const struct config *c, struct rpc_error *err);

/** The configuration that recreates what runs now, secrets too: a new reference. */
json_t *config_now(struct rpc_switch *sw);

#endif
