/* SPDX-License-Identifier: BSD-3-Clause */
#include "port_impl.h"

#include <stdio.h>
#include <string.h>

static const char *
state_name(enum session_state state)
{
	switch (state) {
	case SESSION_UP:
		return "up";
	case SESSION_BROKEN:
		return "broken";
	case SESSION_WAITING:
		break;
	}
	return "waiting";
}

/* A port whose rings are all bad serves nobody, whatever its session thinks. */
static void
rings_judge(struct port_info *out)
{
	uint32_t bad = 0, started = 0;
	uint16_t first = 0;

	for (uint16_t i = 0; i < out->n_rings; i++) {
		if (!out->rings[i].ring.started)
			continue;
		started++;
		if (out->rings[i].now.bad != VRING_BAD_NONE && bad++ == 0)
			first = i;
	}
	if (bad == 0)
		return;
	if (bad == started)
		out->state = "broken";
	snprintf(out->reason, sizeof(out->reason), "ring %u: %s", first,
		 vring_bad_texts[out->rings[first].now.bad]);
}

static void
vhost_info(struct port *p, struct port_info *out)
{
	pthread_mutex_lock(&p->lock);
	session_info(p->session, &out->session);
	out->n_rings = out->session.n_rings;
	for (uint16_t i = 0; i < out->n_rings; i++) {
		out->rings[i].ring = out->session.rings[i];
		out->rings[i].provider = p->running ? p->vdev->provider : NULL;
		if (!p->running || port_provider_stats(p, i, &out->rings[i].now) < 0) {
			out->rings[i].now.pos = out->rings[i].ring.pos;
			out->rings[i].now.worker = UINT16_MAX;
		}
	}
	pthread_mutex_unlock(&p->lock);
	out->n_queues = out->n_rings / 2;
	for (uint16_t q = 0; q < out->n_queues; q++)
		out->workers[q] = out->rings[2 * q + 1].now.worker;
	out->state = state_name(out->session.state);
	snprintf(out->reason, sizeof(out->reason), "%s", out->session.reason);
	out->features = out->session.features;
	if (out->session.state == SESSION_UP)
		rings_judge(out);
}

void
port_count(struct port *p, enum count c, uint64_t n)
{
	stats_count(stats_control(p->stats), c, n);
}

bool
port_connected(struct port *p)
{
	bool connected;

	if (p->eth != NULL)
		return port_eth_link_up(p->eth);
	pthread_mutex_lock(&p->lock);
	connected = session_connected(p->session);
	pthread_mutex_unlock(&p->lock);
	return connected;
}

void
port_stats(const struct port *p, struct stats_lane *out)
{
	stats_fold(p->stats, out);
}

void
port_info(struct port *p, struct port_info *out)
{
	memset(out, 0, sizeof(*out));
	stats_fold(p->stats, &out->stats);
	if (p->eth != NULL)
		port_eth_info(p->eth, out);
	else
		vhost_info(p, out);
}
