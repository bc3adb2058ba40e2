/* SPDX-License-Identifier: BSD-3-Clause */
#include "port_impl.h"

#include <errno.h>
#include <stdlib.h>

const struct port_view *
port_view(const struct ports *ps)
{
	return view_load(&ps->view);
}

void
port_view_destroy(struct port_view *v)
{
	if (v == NULL)
		return;
	for (uint32_t w = 0; w < CROSS_WORKERS_MAX; w++)
		free(v->workers[w].polls);
	free(v);
}

static void
poll_add(struct port_view *v, const struct port *p, uint16_t queue)
{
	uint32_t w = p->eth->workers[queue];

	v->workers[w].polls[v->workers[w].n++] = (struct port_poll){
		.port = p->live, .queue = queue, .interrupts = p->eth->interrupts,
	};
}

static uint32_t
queues_count(const struct ports *ps)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < PORT_MAX; i++)
		if (ps->ports[i] != NULL && ps->ports[i]->eth != NULL)
			n += ps->ports[i]->eth->n_rxq;
	return n;
}

static int
view_create(const struct ports *ps, struct port_view **out)
{
	struct port_view *v = calloc(1, sizeof(*v));
	uint32_t room = queues_count(ps);

	if (v == NULL)
		return -ENOMEM;
	for (uint32_t w = 0; room > 0 && w < cross_n_workers(ps->cross); w++) {
		v->workers[w].polls = calloc(room, sizeof(struct port_poll));
		if (v->workers[w].polls == NULL) {
			port_view_destroy(v);
			return -ENOMEM;
		}
	}
	*out = v;
	return 0;
}

int
port_view_publish(struct ports *ps)
{
	struct port_view *v, *old = atomic_load_explicit(&ps->view, memory_order_relaxed);
	int rc = view_create(ps, &v);

	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < PORT_MAX; i++) {
		const struct port *p = ps->ports[i];

		if (p == NULL || p->live == NULL)
			continue;
		v->ports[i] = p->live;
		v->list[v->n_list++] = (uint16_t)i;
		for (uint16_t q = 0; p->eth != NULL && q < p->eth->n_rxq; q++)
			if (!p->eth->hidden && !p->eth->parked[q])
				poll_add(v, p, q);
	}
	view_publish(&ps->view, v);
	cross_wait(ps->cross);
	port_view_destroy(old);
	return 0;
}
