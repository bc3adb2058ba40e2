/* SPDX-License-Identifier: BSD-3-Clause */
#include "leak.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int
entries_count(unsigned int *out, pid_t pid, const char *what)
{
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, what);
	dir = opendir(path);
	if (dir == NULL)
		return -errno;
	*out = 0;
	while (readdir(dir) != NULL)
		++*out;
	closedir(dir);
	return 0;
}

static int
maps_count(unsigned int *out, pid_t pid)
{
	char line[512];
	FILE *f;

	snprintf(line, sizeof(line), "/proc/%d/maps", (int)pid);
	f = fopen(line, "r");
	if (f == NULL)
		return -errno;
	*out = 0;
	while (fgets(line, sizeof(line), f) != NULL)
		*out += strstr(line, "memfd:vmm") != NULL;
	fclose(f);
	return 0;
}

int
leak_count(struct leak *out, pid_t pid)
{
	int rc = entries_count(&out->fds, pid, "fd");

	if (rc == 0)
		rc = entries_count(&out->threads, pid, "task");
	return rc < 0 ? rc : maps_count(&out->maps, pid);
}

int
leak_check(const struct leak *before, const struct leak *after, struct vmm_fault *fault)
{
	if (before->fds == after->fds && before->threads == after->threads &&
	    before->maps == after->maps)
		return 0;
	return vmm_fault_set(fault, "leak: %u files, %u threads, %u mappings are now %u, %u, %u",
			     before->fds, before->threads, before->maps, after->fds, after->threads,
			     after->maps);
}
