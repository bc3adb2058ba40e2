/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_OPTIONS_H
#define FERRY_OPTIONS_H

/* Inside of app/ferryd: the command line, and with it the configuration that ferryd starts from. */

#include "config.h"

#include <jansson.h>

#include <stdbool.h>
#include <stdint.h>

#define OPTIONS_PLUGINS_MAX 16
#define OPTIONS_EAL_MAX     8

struct options {
	const char *file;          /* -c */
	json_t *ports;             /* --vhost and --port, as the file's "ports" would have them */
	const char *rpc;           /* --rpc; NULL: default or as the file says */
	const char *cpu_list;      /* --cpus; NULL: as the file says */
	bool interactive;
	bool check;

	uint32_t n_plugins;
	const char *plugins[OPTIONS_PLUGINS_MAX];
	uint32_t n_eal;
	const char *eal[OPTIONS_EAL_MAX];
};

enum options_verdict { OPTIONS_RUN, OPTIONS_DONE, OPTIONS_WRONG };

/* Reads the command line; what is wrong with it is said on stderr. */
enum options_verdict options_parse(int argc, char **argv, struct options *o);

/*
 * The configuration that file and command line make together; what both name, the command line
 * decides.
 *
 * @return 0; -errno, said on stderr
 */
int options_config(const struct options *o, struct config **out);

void options_fini(struct options *o);

#endif
