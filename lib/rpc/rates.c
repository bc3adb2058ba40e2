/* SPDX-License-Identifier: BSD-3-Clause */
#include "rates.h"
#include "clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PERIOD_US 1000000

/* A rate over less says nothing. */
#define SHORTEST_NS (100 * 1000000ULL)

enum { RX_FRAMES, RX_BYTES, TX_FRAMES, TX_BYTES, DROPS, N_FIGURES };

struct look {
	uint64_t time_ns;        /* 0: never */
	uint64_t figures[N_FIGURES];
};

struct worker_look {
	uint64_t time_ns;
	struct worker_info info;
};

struct rates {
	struct ports *ports;
	struct worker_set *workers;
	struct loop_watch *timer;
	const struct port *who[PORT_MAX];
	struct look looks[PORT_MAX][2];  /* [0]: before, [1]: last */
	struct worker_look worker_looks[CROSS_WORKERS_MAX][2];
};

void
rates_destroy(struct rates *r)
{
	if (r == NULL)
		return;
	loop_watch_destroy(r->timer);
	free(r);
}

static void
look_at(const struct port *p, struct look *out)
{
	struct stats_lane sum, *s = &sum;

	port_stats(p, s);
	out->time_ns = clock_ns();
	out->figures[RX_FRAMES] = s->counts[COUNT_RX_FRAMES];
	out->figures[RX_BYTES] = s->counts[COUNT_RX_BYTES];
	out->figures[TX_FRAMES] = s->counts[COUNT_TX_FRAMES];
	out->figures[TX_BYTES] = s->counts[COUNT_TX_BYTES];
	out->figures[DROPS] = 0;
	for (int i = 0; i < DROP_N; i++)
		out->figures[DROPS] += s->drops[i];
}

static void
look_port(struct rates *r, struct port *p)
{
	uint16_t n = port_number(p);
	struct look now;

	look_at(p, &now);
	/* another port under an old number starts anew: its counters have fallen */
	if (r->who[n] != p || now.figures[RX_FRAMES] < r->looks[n][1].figures[RX_FRAMES] ||
	    now.figures[TX_FRAMES] < r->looks[n][1].figures[TX_FRAMES])
		memset(r->looks[n], 0, sizeof(r->looks[n]));
	r->who[n] = p;
	r->looks[n][0] = r->looks[n][1];
	r->looks[n][1] = now;
}

static void
look_worker(struct rates *r, uint32_t i)
{
	r->worker_looks[i][0] = r->worker_looks[i][1];
	r->worker_looks[i][1].time_ns = clock_ns();
	worker_info(r->workers, i, &r->worker_looks[i][1].info);
}

static void
look(struct rates *r)
{
	uint32_t iter = 0;
	struct port *p;

	while ((p = port_next(r->ports, &iter)) != NULL)
		look_port(r, p);
	for (uint32_t i = 0; i < worker_count(r->workers); i++)
		look_worker(r, i);
}

static void
on_second(void *arg)
{
	look(arg);
}

int
rates_create(struct loop *l, struct ports *ps, struct worker_set *ws, struct rates **out)
{
	struct rates *r = calloc(1, sizeof(*r));
	int rc;

	if (r == NULL)
		return -ENOMEM;
	r->ports = ps;
	r->workers = ws;
	rc = loop_timer(l, PERIOD_US, on_second, r, &r->timer);
	if (rc < 0) {
		free(r);
		return rc;
	}
	look(r);
	*out = r;
	return 0;
}

bool
rates_port(struct rates *r, struct port *p, struct rates_port *out)
{
	const struct look *before = &r->looks[port_number(p)][0];
	const struct look *last = &r->looks[port_number(p)][1];
	double per_s[N_FIGURES];
	struct look now;

	if (r->who[port_number(p)] != p || last->time_ns == 0)
		return false;
	if (before->time_ns == 0) {
		look_at(p, &now);
		before = last;
		last = &now;
	}
	if (last->time_ns - before->time_ns < SHORTEST_NS)
		return false;
	for (int i = 0; i < N_FIGURES; i++)
		per_s[i] = (double)(last->figures[i] - before->figures[i]) * NS_PER_S /
			   (double)(last->time_ns - before->time_ns);
	*out = (struct rates_port){
		.rx_frames = per_s[RX_FRAMES], .rx_bits = per_s[RX_BYTES] * 8,
		.tx_frames = per_s[TX_FRAMES], .tx_bits = per_s[TX_BYTES] * 8,
		.drops = per_s[DROPS],
	};
	return true;
}

bool
rates_worker(struct rates *r, uint32_t worker, struct rates_worker *out)
{
	const struct worker_look *before = &r->worker_looks[worker][0];
	const struct worker_look *last = &r->worker_looks[worker][1];
	struct worker_look now;
	uint64_t busy, frames;
	double cycles;

	if (last->time_ns == 0)
		return false;
	if (before->time_ns == 0) {
		now.time_ns = clock_ns();
		worker_info(r->workers, worker, &now.info);
		before = last;
		last = &now;
	}
	if (last->time_ns - before->time_ns < SHORTEST_NS)
		return false;
	busy = last->info.busy_cycles - before->info.busy_cycles;
	frames = last->info.frames - before->info.frames;
	cycles = (double)(last->time_ns - before->time_ns) * (double)last->info.hz / NS_PER_S;
	out->load_percent = RTE_MIN(100.0, 100.0 * (double)busy / cycles);
	out->cycles_per_frame = frames > 0 ? (double)busy / (double)frames : -1;
	return true;
}
