/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRYCTL_WATCH_H
#define FERRYCTL_WATCH_H

/**
 * @file
 * Pictures that are made again and again until Ctrl-C.
 */

#include "command.h"

#include <stdio.h>

/** What is watched. */
struct watch {
	double seconds;      /**< between two pictures */
	const char *title;   /**< above a picture on a terminal */
	/** Writes one; `out` goes to stdout, on a terminal in place of the last picture. */
	enum status (*picture)(struct shell *s, void *arg, FILE *out);
	void *arg;
};

/** Whether pictures replace each other: stdout is a terminal and no JSON is wanted. */
bool watch_replaces(const struct shell *s);

/** @return STATUS_OK after Ctrl-C or when nobody reads stdout; what a picture failed with */
enum status watch_run(struct shell *s, const struct watch *w);

#endif
