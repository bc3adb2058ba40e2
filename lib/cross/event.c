/* SPDX-License-Identifier: BSD-3-Clause */
#include "cross_impl.h"

#include <sys/eventfd.h>

bool
event_send(struct cross *x, const struct event *ev)
{
	struct event copy = *ev;

	if (rte_ring_mp_enqueue_elem(x->events, &copy, sizeof(copy)) != 0) {
		atomic_fetch_add_explicit(&x->lost, 1, memory_order_relaxed);
		return false;
	}
	eventfd_write(x->eventfd, 1);
	return true;
}

void
event_handle(struct cross *x, enum event_kind kind, event_fn *fn, void *arg)
{
	x->handlers[kind].fn = fn;
	x->handlers[kind].arg = arg;
}

int
event_fd(const struct cross *x)
{
	return x->eventfd;
}

uint32_t
event_run(struct cross *x, uint32_t max)
{
	struct event ev;
	eventfd_t count;
	uint32_t n = 0;

	/* Emptied before the queue is looked at: what arrives meanwhile makes it readable again. */
	eventfd_read(x->eventfd, &count);
	while (n < max && rte_ring_sc_dequeue_elem(x->events, &ev, sizeof(ev)) == 0) {
		if (x->handlers[ev.kind].fn != NULL)
			x->handlers[ev.kind].fn(x->handlers[ev.kind].arg, &ev);
		n++;
	}
	if (n == max)
		eventfd_write(x->eventfd, 1);
	return n;
}

uint64_t
event_lost(const struct cross *x)
{
	return atomic_load_explicit(&x->lost, memory_order_relaxed);
}
