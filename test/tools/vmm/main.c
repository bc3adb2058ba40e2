/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cmd.h"

static const struct {
	const char *name;
	int (*run)(struct cmd *cmd);
	const char *args, *help;
} subcommands[] = {
	{ "pair", cmd_pair, "A B", "two guests stream to each other, every oracle on" },
	{ "idle", cmd_idle, "SOCKET...", "guests that only stay, until a signal" },
	{ "latency", cmd_latency, "A B", "a first frame after silence, --count times, --ms apart" },
	{ "walk", cmd_walk, "A B", "random walk over everything a front-end may do" },
	{ "migrate", cmd_migrate, "A B PEER [PEER2]", "--count mini-migrations between A and B" },
	{ "bases", cmd_bases, "A B", "time of GET_VRING_BASE of A's busy rings, and what they say" },
	{ "attack", cmd_attack, "SOCKET CASE|all", "malice, case by case (--list)" },
	{ "gen", cmd_gen, "A B [A2 B2]...", "generator and sink for benchmarks" },
};

#define N_SUBCOMMANDS (sizeof(subcommands) / sizeof(subcommands[0]))

static void
usage(FILE *to)
{
	fprintf(to, "usage: vmm SUBCOMMAND SOCKET[,OPTION[=VALUE]]... [--OPTION [VALUE]]...\n");
	for (size_t i = 0; i < N_SUBCOMMANDS; i++)
		fprintf(to, "  %-8s %-18s %s\n", subcommands[i].name, subcommands[i].args,
			subcommands[i].help);
}

static int
run(int (*subcommand)(struct cmd *cmd), int argc, char **argv)
{
	static struct cmd cmd;
	int rc;

	if (cmd_parse(&cmd, argc, argv) < 0)
		return CMD_USAGE;
	rc = subcommand(&cmd);
	if (rc == CMD_USAGE)
		usage(stderr);
	return rc;
}

int
main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc >= 2 && strcmp(argv[1], "--help") == 0) {
		usage(stdout);
		cmd_options_print();
		return CMD_OK;
	}
	for (size_t i = 0; argc >= 2 && i < N_SUBCOMMANDS; i++)
		if (strcmp(argv[1], subcommands[i].name) == 0)
			return run(subcommands[i].run, argc - 2, argv + 2);
	usage(stderr);
	return CMD_USAGE;
}
