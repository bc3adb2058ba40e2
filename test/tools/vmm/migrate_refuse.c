/* SPDX-License-Identifier: BSD-3-Clause */
/* Logs that cannot be used: they are refused, or the guest that gave them is not served. */
#include <errno.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "guest_inner.h"
#include "migrate.h"

#define SETTLE_US 20000
#define TRAFFIC_MS 30

/* Nothing is written for a guest whose log is of no use, whatever its peer sends. */
static int
unserved_check(struct migrate *m)
{
	int rc = guest_features_send(m->sides[0].g);

	usleep(SETTLE_US);
	vmm_mem_copy(m->sides[0].g->mem);
	if (rc == 0)
		rc = stream_burst(&m->stream, 40);
	usleep(SETTLE_US);
	return rc < 0 ? rc : migrate_compare(m, 0, "without a log that covers it");
}

static int
log_refused(struct migrate *m, int fd, uint64_t size)
{
	struct vmm_guest *g = m->sides[0].g;
	int rc = vmm_front_send_log(g->front, fd, size, 0);

	if (rc == -ECONNRESET || rc == -EREMOTEIO)
		return 0;
	g->logging = true;
	rc = rc < 0 ? rc : unserved_check(m);
	return rc == -ECONNRESET ? 0 : rc;
}

static int
refuse_small(struct migrate *m)
{
	struct vmm_log *log;
	uint64_t size = vmm_log_size(m->sides[0].g->mem) - sizeof(uint64_t);
	int rc = vmm_log_create(&log, size > 0 ? size : 1, true);

	if (rc < 0)
		return rc;
	rc = log_refused(m, log->fd, size);
	vmm_log_destroy(log);
	return rc;
}

/* It says that it is long enough. */
static int
refuse_short_file(struct migrate *m)
{
	struct vmm_log *log;
	int rc = vmm_log_create(&log, 1, true);

	if (rc < 0)
		return rc;
	rc = log_refused(m, log->fd, vmm_log_size(m->sides[0].g->mem) + (1 << 20));
	vmm_log_destroy(log);
	return rc;
}

static int
refuse_eventfd(struct migrate *m)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	int rc = fd < 0 ? -errno : log_refused(m, fd, vmm_log_size(m->sides[0].g->mem));

	close(fd);
	return rc;
}

static int
refuse_nothing(struct migrate *m)
{
	return log_refused(m, -1, vmm_log_size(m->sides[0].g->mem));
}

/* Cut off while it is in use: its guest may be lost, nobody else. */
static int
refuse_cut(struct migrate *m)
{
	struct vmm_guest *g = m->sides[0].g;
	int64_t until_us = cmd_now_us() + TRAFFIC_MS * 1000LL;
	struct vmm_log *log;
	int rc = vmm_log_create(&log, vmm_log_size(g->mem), false);

	if (rc < 0)
		return rc;
	rc = vmm_guest_log_on(g, log, false);
	if (rc == 0)
		rc = stream_burst(&m->stream, 40);
	if (ftruncate(log->fd, 0) < 0)
		rc = -errno;
	while (rc == 0 && cmd_now_us() < until_us)
		rc = stream_burst(&m->stream, 40);
	vmm_log_destroy(log);
	return rc == -ECONNRESET ? 0 : rc;
}

static const struct {
	const char *name;
	int (*run)(struct migrate *m);
} cases[] = {
	{ "a log that is a word too small", refuse_small },
	{ "a log whose file is shorter than said", refuse_short_file },
	{ "an eventfd for a log", refuse_eventfd },
	{ "a log without a descriptor", refuse_nothing },
	{ "a log that is cut off under use", refuse_cut },
};

unsigned int
migrate_refusals(void)
{
	return sizeof(cases) / sizeof(cases[0]);
}

int
migrate_refuse(struct migrate *m, unsigned int i)
{
	m->doing = cases[i].name;
	if (m->cmd->verbose)
		fprintf(stderr, "  %s\n", cases[i].name);
	return cases[i].run(m);
}
