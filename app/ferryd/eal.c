/* SPDX-License-Identifier: BSD-3-Clause */
#include "ferryd.h"
#include "log.h"

#include <rte_eal.h>
#include <rte_errno.h>

#include <errno.h>
#include <glob.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

LOG_USE(ferryd);

#define ARGS_MAX      64
#define NO_HUGE_MB    "128"
#define HUGE_BYTES_MIN (32ULL << 20)

/* EAL keeps pointers into them: they live as long as the process. */
static struct args {
	int n;
	char *v[ARGS_MAX + 1];
} eal_args;

static void
args_add(struct args *a, const char *s)
{
	if (a->n < ARGS_MAX)
		a->v[a->n++] = strdup(s);
}

static uint64_t
number_read(const char *path)
{
	FILE *f = fopen(path, "re");
	unsigned long long n = 0;

	if (f == NULL)
		return 0;
	if (fscanf(f, "%llu", &n) != 1)
		n = 0;
	fclose(f);
	return n;
}

/* Bytes of hugepages that nobody has taken yet. */
static uint64_t
hugepages_free(void)
{
	uint64_t bytes = 0;
	unsigned long long kb;
	char path[512];
	glob_t g;

	if (glob("/sys/kernel/mm/hugepages/hugepages-*", 0, NULL, &g) != 0)
		return 0;
	for (size_t i = 0; i < g.gl_pathc; i++) {
		if (sscanf(strrchr(g.gl_pathv[i], '/'), "/hugepages-%llukB", &kb) != 1)
			continue;
		snprintf(path, sizeof(path), "%s/free_hugepages", g.gl_pathv[i]);
		bytes += number_read(path) * kb * 1024;
	}
	globfree(&g);
	return bytes;
}

static void
memory_args(struct args *a)
{
	/* Nothing of ours is shared with another process, so nothing can be in its way. */
	if (hugepages_free() >= HUGE_BYTES_MIN) {
		args_add(a, "--in-memory");
		return;
	}
	LOG(NOTICE, "no hugepages are free: running without, at some per cent more time in the TLB "
	    "(sysctl vm.nr_hugepages=64 gives ferryd enough)");
	args_add(a, "--no-huge");
	args_add(a, "--no-shconf");
	args_add(a, "-m");
	args_add(a, NO_HUGE_MB);
}

/* The CPUs that are not the workers', as long as there are any. */
static int
cpus_spare(const struct config *c, cpu_set_t *out)
{
	cpu_set_t allowed;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return -errno;
	*out = allowed;
	for (uint32_t i = 0; i < c->n_cpus; i++)
		CPU_CLR(c->cpus[i], out);
	if (CPU_COUNT(out) == 0)
		*out = allowed;
	return 0;
}

/*
 * One lcore, this thread, floating over the spare CPUs: EAL gives its own threads, and those of
 * librte_vhost, the same.
 */
static void
lcore_args(struct args *a, const cpu_set_t *cpus)
{
	char list[8 * CPU_SETSIZE] = "0@(";
	size_t n = strlen(list);
	const char *sep = "";

	for (int i = 0; i < CPU_SETSIZE; i++) {
		if (!CPU_ISSET(i, cpus))
			continue;
		n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%d", sep, i);
		sep = ",";
	}
	snprintf(list + n, sizeof(list) - n, ")");
	args_add(a, "--lcores");
	args_add(a, list);
}

/* Words of --eal, as a shell would split them without quotes. */
static void
extra_args(struct args *a, const char *extra)
{
	char *copy = strdup(extra), *save = NULL;

	for (char *w = strtok_r(copy, " \t\n", &save); w != NULL; w = strtok_r(NULL, " \t\n", &save))
		args_add(a, w);
	free(copy);
}

static void
args_make(const struct ferryd *d, const cpu_set_t *spare, struct args *a)
{
	const struct options *o = &d->opts;

	args_add(a, "ferryd");
	memory_args(a);
	lcore_args(a, spare);
	/* Devices come by port.add, not because they happen to be bound. */
	args_add(a, "-a");
	args_add(a, "0000:00:00.0");
	args_add(a, "--log-level");
	args_add(a, "lib.eal:warning");
	for (uint32_t i = 0; i < o->n_plugins; i++) {
		args_add(a, "-d");
		args_add(a, o->plugins[i]);
	}
	if (d->config->eal != NULL)
		extra_args(a, d->config->eal);
	for (uint32_t i = 0; i < o->n_eal; i++)
		extra_args(a, o->eal[i]);
	a->v[a->n] = NULL;
}

int
eal_init(struct ferryd *d)
{
	struct args *a = &eal_args;
	cpu_set_t spare;
	int rc = cpus_spare(d->config, &spare);

	if (rc < 0)
		return rc;
	/* Before EAL looks: threads that it does not place inherit this. */
	sched_setaffinity(0, sizeof(spare), &spare);
	args_make(d, &spare, a);
	rc = rte_eal_init(a->n, a->v) < 0 ? -rte_errno : 0;
	if (rc < 0)
		LOG(ERR, "DPDK does not start: %s (its own lines above say why; --eal adds arguments)",
		    strerror(-rc));
	return rc;
}

void
eal_fini(struct ferryd *d)
{
	rte_eal_cleanup();
}
