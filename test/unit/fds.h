/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_FDS_H
#define FERRY_FDS_H

/**
 * @file
 * Open descriptors of this process, so that a test sees those that are left behind.
 */

#include <dirent.h>
#include <stddef.h>

/** How many; the one that it looks with always among them. */
static inline unsigned int
fds_count(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

#endif
