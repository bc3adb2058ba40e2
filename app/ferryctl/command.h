/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRYCTL_COMMAND_H
#define FERRYCTL_COMMAND_H

/**
 * @file
 * One command: its words, ferryd's answer, and what is printed of it.
 */

#include "client.h"

#include <stdbool.h>

struct shell {
	struct client *client;
	const char *path;  /**< of ferryd's socket */
	bool json;         /**< print results as they are */
	bool quit;         /**< the user wants to leave */
};

/** Carries out words: `help`, `watch`, `quit`, or a method.  Errors are told on stderr. */
enum status command_run(struct shell *s, int n, const char *const *words);

/** Carries out a line of the console or of a script; '#' begins a comment. */
enum status command_line(struct shell *s, const char *line);

#endif
