/* SPDX-License-Identifier: BSD-3-Clause */
#include "loop.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>

struct loop {
	struct event_base *base;
};

struct loop_watch {
	struct event *ev;
	loop_fn *fn;
	void *arg;
};

int
loop_create(struct loop **out)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return -ENOMEM;
	l->base = event_base_new();
	if (l->base == NULL) {
		free(l);
		return -ENOMEM;
	}
	*out = l;
	return 0;
}

void
loop_destroy(struct loop *l)
{
	if (l == NULL)
		return;
	event_base_free(l->base);
	free(l);
}

void
loop_run(struct loop *l)
{
	event_base_loop(l->base, EVLOOP_NO_EXIT_ON_EMPTY);
}

void
loop_stop(struct loop *l)
{
	event_base_loopbreak(l->base);
}

struct event_base *
loop_base(struct loop *l)
{
	return l->base;
}

static void
watch_fire(evutil_socket_t fd, short what, void *arg)
{
	struct loop_watch *w = arg;

	w->fn(w->arg);
}

static int
watch_create(struct loop *l, int fd, short what, uint64_t period_us, loop_fn *fn, void *arg,
	     struct loop_watch **out)
{
	const struct timeval period = {
		.tv_sec = (time_t)(period_us / 1000000),
		.tv_usec = (suseconds_t)(period_us % 1000000),
	};
	struct loop_watch *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return -ENOMEM;
	w->fn = fn;
	w->arg = arg;
	w->ev = event_new(l->base, fd, what | EV_PERSIST, watch_fire, w);
	if (w->ev == NULL || event_add(w->ev, period_us > 0 ? &period : NULL) < 0) {
		loop_watch_destroy(w);
		return -ENOMEM;
	}
	*out = w;
	return 0;
}

int
loop_read(struct loop *l, int fd, loop_fn *fn, void *arg, struct loop_watch **out)
{
	return watch_create(l, fd, EV_READ, 0, fn, arg, out);
}

int
loop_timer(struct loop *l, uint64_t period_us, loop_fn *fn, void *arg, struct loop_watch **out)
{
	return watch_create(l, -1, EV_TIMEOUT, period_us, fn, arg, out);
}

int
loop_signal(struct loop *l, int signo, loop_fn *fn, void *arg, struct loop_watch **out)
{
	return watch_create(l, signo, EV_SIGNAL, 0, fn, arg, out);
}

void
loop_watch_destroy(struct loop_watch *w)
{
	if (w == NULL)
		return;
	if (w->ev != NULL)
		event_free(w->ev);
	free(w);
}
