/* SPDX-License-Identifier: BSD-3-Clause */
#include "eventlog.h"
#include "clock.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define WORDS (PORT_MAX / 64)

/* What a port's last line said. */
struct told {
	char state[16];
	char reason[160];
	uint32_t generation;
};

struct eventlog {
	pthread_mutex_t lock;
	uint64_t n;                            /* entries ever */
	struct eventlog_entry entries[EVENTLOG_LEN];

	int fd;
	_Atomic uint64_t changed[WORDS];       /* one bit per port number */

	/* control */
	struct told told[PORT_MAX];
	struct fdb_port_stats fdb_ports[PORT_MAX];
	uint64_t fdb_news;                     /* all of theirs, those of former ports too */
};

int
eventlog_create(struct eventlog **out)
{
	struct eventlog *l = calloc(1, sizeof(*l));
	int rc;

	if (l == NULL)
		return -ENOMEM;
	pthread_mutex_init(&l->lock, NULL);
	l->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (l->fd < 0) {
		rc = -errno;
		eventlog_destroy(l);
		return rc;
	}
	*out = l;
	return 0;
}

void
eventlog_destroy(struct eventlog *l)
{
	if (l == NULL)
		return;
	if (l->fd >= 0)
		close(l->fd);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

void
eventlog_add(struct eventlog *l, const char *port, const char *fmt, ...)
{
	struct eventlog_entry *e;
	va_list ap;

	va_start(ap, fmt);
	pthread_mutex_lock(&l->lock);
	e = &l->entries[l->n % EVENTLOG_LEN];
	e->number = ++l->n;
	e->time_ns = clock_wall_ns();
	snprintf(e->port, sizeof(e->port), "%s", port == NULL ? "" : port);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	pthread_mutex_unlock(&l->lock);
	va_end(ap);
}

void
eventlog_changed(struct eventlog *l, uint16_t port)
{
	if (port >= PORT_MAX)
		return;
	atomic_fetch_or(&l->changed[port / 64], 1ULL << (port % 64));
	eventfd_write(l->fd, 1);
}

void
eventlog_forget(struct eventlog *l, uint16_t port)
{
	if (port >= PORT_MAX)
		return;
	memset(&l->told[port], 0, sizeof(l->told[port]));
	memset(&l->fdb_ports[port], 0, sizeof(l->fdb_ports[port]));
}

int
eventlog_fd(const struct eventlog *l)
{
	return l->fd;
}

static void
look_at(struct eventlog *l, struct port *p, struct port_info *info)
{
	struct told *t = &l->told[port_number(p)];

	port_info(p, info);
	if (strcmp(t->state, info->state) == 0 && strcmp(t->reason, info->reason) == 0 &&
	    t->generation == info->session.generation)
		return;
	snprintf(t->state, sizeof(t->state), "%s", info->state);
	snprintf(t->reason, sizeof(t->reason), "%s", info->reason);
	t->generation = info->session.generation;
	if (port_opts(p)->type == PORT_VHOST_USER)
		eventlog_add(l, port_name(p), "%s%s%s (connection %" PRIu32 ")", t->state,
			     t->reason[0] == '\0' ? "" : ": ", t->reason, t->generation);
	else
		eventlog_add(l, port_name(p), "%s%s%s", t->state, t->reason[0] == '\0' ? "" : ": ",
			     t->reason);
}

void
eventlog_look(struct eventlog *l, struct ports *ports, struct port_info *info)
{
	eventfd_t n;

	if (eventfd_read(l->fd, &n) < 0)
		return;
	for (uint16_t i = 0; i < WORDS; i++) {
		uint64_t bits = atomic_exchange(&l->changed[i], 0);

		for (; bits != 0; bits &= bits - 1) {
			uint16_t number = (uint16_t)(i * 64 + __builtin_ctzll(bits));
			struct port *p = port_by_number(ports, number);

			if (p != NULL)
				look_at(l, p, info);
		}
	}
}

static void
fdb_line(struct eventlog *l, const struct port *p, uint64_t n, const char *text)
{
	if (n > 0)
		eventlog_add(l, port_name(p), "%" PRIu64 " address%s %s", n, n == 1 ? "" : "es", text);
}

static void
moved_line(struct eventlog *l, const struct ports *ports, const struct port *p, uint64_t n,
	   uint16_t from)
{
	const struct port *was = port_by_number(ports, from);
	char text[64];

	snprintf(text, sizeof(text), "moved here%s from %s", n > 1 ? ", the last one" : "",
		 was != NULL ? port_name(was) : "a port that is gone");
	fdb_line(l, p, n, text);
}

static void
fdb_port(struct eventlog *l, const struct fdb *fdb, const struct ports *ports, const struct port *p)
{
	struct fdb_port_stats *before = &l->fdb_ports[port_number(p)], now;

	fdb_port_stats(fdb, port_number(p), &now);
	moved_line(l, ports, p, now.moved - before->moved, now.moved_from);
	fdb_line(l, p, now.refused_quota - before->refused_quota,
		 "not learned: the port has as many as it may");
	fdb_line(l, p, now.refused_full - before->refused_full, "not learned: the table is full");
	fdb_line(l, p, now.refused_static - before->refused_static,
		 "not learned: static on another port");
	*before = now;
}

void
eventlog_fdb(struct eventlog *l, const struct fdb *fdb, const struct ports *ports)
{
	struct fdb_stats now;
	const struct port *p;
	uint32_t iter = 0;
	uint64_t news;

	fdb_stats(fdb, &now);
	news = now.moved + now.refused_quota + now.refused_full + now.refused_static;
	while (news != l->fdb_news && (p = port_next(ports, &iter)) != NULL)
		fdb_port(l, fdb, ports, p);
	l->fdb_news = news;
}

int
eventlog_next(struct eventlog *l, uint64_t *iter, struct eventlog_entry *out)
{
	int rc = -ENOENT;

	pthread_mutex_lock(&l->lock);
	if (*iter + EVENTLOG_LEN < l->n)
		*iter = l->n - EVENTLOG_LEN;
	if (*iter < l->n) {
		*out = l->entries[(*iter)++ % EVENTLOG_LEN];
		rc = 0;
	}
	pthread_mutex_unlock(&l->lock);
	return rc;
}
