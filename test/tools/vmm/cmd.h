/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VMM_CMD_H
#define VMM_CMD_H

/**
 * @file
 * What the subcommands of `vmm` share: options, guests made from them, and results.
 *
 * Life     one process, one subcommand.
 * Threads  one.
 * Units    times in milliseconds unless named otherwise.
 * Source   none.
 */

#include "vmm.h"

#define CMD_GUESTS_MAX 128

/** Exit statuses. */
enum { CMD_OK = 0, CMD_FAILED = 1, CMD_USAGE = 2 };

/** Options of all subcommands; each reads those that mean something to it. */
struct cmd {
	struct vmm_guest_conf conf;     /* of every guest, before its own options */
	const char *args[CMD_GUESTS_MAX];
	unsigned int n_args;
	char paths[CMD_GUESTS_MAX][108];
	uint64_t frames;
	uint32_t size_min, size_max;    /* bytes of a frame */
	uint32_t flows;                 /* 0: one per queue pair */
	uint32_t rate;                  /* frames per second and direction; 0: as fast as it goes */
	uint32_t steps;
	uint32_t ms;                    /* length of a slice */
	uint32_t slices;
	uint32_t count;
	uint32_t first;         /* number of the first shape */
	bool lossy, one_way, list, both, from_stdin, verbose, poll;
	const char *pids;
	const char *witness;
	struct vmm_fault fault;
};

/**
 * Reads a command line.
 *
 * @return 0; -EINVAL after a line on standard error
 */
int cmd_parse(struct cmd *cmd, int argc, char **argv);

/** Prints every option with a line of help. */
void cmd_options_print(void);

/**
 * Makes guest `index` from `SOCKET[,option[=value]]...`.
 *
 * @return 0; -errno after a line on standard error
 */
int cmd_guest(struct cmd *cmd, const char *spec, unsigned int index, struct vmm_guest **out);

/** The configuration that cmd_guest() would use.  @return 0; -EINVAL */
int cmd_guest_conf(struct cmd *cmd, const char *spec, unsigned int index,
		   struct vmm_guest_conf *out);

/** Says on standard error what failed, the fault if there is one, and gives the exit status. */
int cmd_fail(const struct cmd *cmd, const char *what, int rc);

/** Prints a JSON string. */
void cmd_json_text(const char *text);

/** Monotonic time. */
int64_t cmd_now_us(void);

/** Reads a number with an optional 0x.  @return 0; -EINVAL */
int cmd_number(const char *text, uint64_t max, uint64_t *out);

int cmd_pair(struct cmd *cmd);
int cmd_idle(struct cmd *cmd);
int cmd_latency(struct cmd *cmd);
int cmd_gen(struct cmd *cmd);
int cmd_attack(struct cmd *cmd);
int cmd_walk(struct cmd *cmd);
int cmd_migrate(struct cmd *cmd);
int cmd_bases(struct cmd *cmd);

#endif
