/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRYCTL_FIFO_H
#define FERRYCTL_FIFO_H

/**
 * @file
 * A private pipe with a name, through which ferryd writes to our stdout: it may not share our
 * descriptors, our working folder or our /tmp.
 */

#include <stdbool.h>
#include <stddef.h>

struct fifo {
	int fd;          /**< reading end */
	char folder[96]; /**< closed to others, holds nothing else */
	char path[104];
};

/**
 * Makes it beside ferryd's socket, which both sides see, else in the folders of the user.
 *
 * @param foreign  ferryd is another user: it may write too, who knows the name, which cannot be
 *                 listed and goes as soon as ferryd has opened it
 * @return         0; -errno
 */
int fifo_create(const char *socket_path, bool foreign, struct fifo *out);

/** Removes the name; who has opened it keeps it. */
void fifo_unlink(const struct fifo *f);

/** Why fifo_copy() returned. */
enum fifo_end {
	FIFO_EOF,         /**< the writer has closed it */
	FIFO_INTERRUPTED, /**< SIGINT or SIGTERM */
	FIFO_NO_READER,   /**< nobody reads our stdout any more */
};

/** Copies to stdout until one of the three. */
enum fifo_end fifo_copy(const struct fifo *f);

#endif
