/* SPDX-License-Identifier: BSD-3-Clause */
/* What may change while rings run, and a worker that is never left alone. */
#include "conform.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* By then a worker without traffic sleeps. */
#define ASLEEP_US 5000

#define WAIT_MS 3000

static int
fd_fresh(void)
{
	return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

/* The guest's descriptor and the provider's change as a front-end changes them: the old one is
 * closed when the provider has let go of it. */
static int
fd_replace(struct conform *c, struct side *s, uint16_t qid, bool kick)
{
	struct vmm_ring *r = s->g->queues[qid].ring;
	int *guest = kick ? &r->kickfd : &r->callfd;
	int old = *guest, fresh = fd_fresh();

	NEED(c, fresh >= 0);
	if (kick)
		s->rings[qid].kickfd = fresh;
	else
		s->rings[qid].callfd = fresh;
	*guest = fresh;
	NEED(c, side_ring_set(s, qid) == 0);
	close(old);
	return 0;
}

static int
fds_replace(struct conform *c, struct side *s)
{
	for (uint16_t q = 0; q < s->n_rings; q++) {
		TRY(fd_replace(c, s, q, true));
		TRY(fd_replace(c, s, q, false));
	}
	return 0;
}

/* A kick on the new descriptor has to wake who slept on the old one. */
static int
fds_asleep(struct conform *c)
{
	TRY(conform_start(c));
	for (int i = 0; i < 20; i++) {
		usleep(ASLEEP_US);
		TRY(fds_replace(c, i % 2 == 0 ? &c->a : &c->b));
		if (i % 4 < 2)
			usleep(ASLEEP_US);
		TRY(traffic_run(&c->ab, 1));
		TRY(traffic_run(&c->ba, 1));
	}
	TRY(conform_stop(c));
	NEED(c, conform_drops(c) == 0);
	return conform_sum(c);
}

static int
fds_busy(struct conform *c)
{
	TRY(conform_start(c));
	for (int i = 0; i < 40; i++) {
		int rc = traffic_send(&c->ab, traffic_window(&c->ab));

		TRY(rc);
		TRY(fds_replace(c, &c->a));
		rc = traffic_send(&c->ba, traffic_window(&c->ba));
		TRY(rc);
		TRY(fds_replace(c, &c->b));
		TRY(traffic_drain(&c->ab));
		TRY(traffic_drain(&c->ba));
	}
	TRY(conform_stop(c));
	NEED(c, conform_drops(c) == 0);
	return conform_sum(c);
}

static int
enable(struct conform *c, struct side *s, uint16_t first, uint16_t step, bool enabled)
{
	for (uint16_t q = first; q < s->n_rings; q = (uint16_t)(q + step)) {
		s->rings[q].enabled = enabled;
		NEED(c, side_ring_set(s, q) == 0);
	}
	return 0;
}

/* A disabled ring takes and discards what is sent, and gets nothing; no position is lost by it. */
static int
disabled(struct conform *c)
{
	uint64_t heard, sent;

	TRY(conform_start(c));
	TRY(conform_traffic(c, 20));
	for (int i = 0; i < 10; i++) {
		TRY(enable(c, &c->a, 0, 1, false));
		heard = c->ba.received;
		sent = c->ab.received;
		TRY(traffic_send(&c->ab, 30));
		TRY(traffic_send(&c->ba, 30));
		TRY(conform_unsent(c, &c->a));
		TRY(conform_unsent(c, &c->b));
		TRY(traffic_recv(&c->ab));
		TRY(traffic_recv(&c->ba));
		NEED(c, c->ba.received == heard && c->ab.received == sent);
		c->ab.lost = c->ab.sent - c->ab.received;
		if (!c->provider->keeps) {
			TRY(conform_sum(c));
			c->ba.lost = c->ba.sent - c->ba.received;
		}
		TRY(enable(c, &c->a, 0, 1, true));
		TRY(conform_traffic(c, 20));
	}
	TRY(conform_stop(c));
	return conform_sum(c);
}

/*
 * Flips while frames are under way: each is delivered or dropped by name.  Of several receive rings
 * none is taken away: the flows would go on in others, and overtake what is left in theirs.
 */
static int
disabled_busy(struct conform *c)
{
	uint16_t first = c->a.n_rings > 2 ? 1 : 0, step = first == 1 ? 2 : 1;

	TRY(conform_start(c));
	for (int i = 0; i < 50; i++) {
		TRY(traffic_send(&c->ab, 20));
		TRY(traffic_send(&c->ba, 20));
		TRY(enable(c, i % 3 == 0 ? &c->b : &c->a, first, step, i % 2 == 0));
		TRY(traffic_recv(&c->ab));
		TRY(traffic_recv(&c->ba));
	}
	TRY(enable(c, &c->a, 0, 1, true));
	TRY(enable(c, &c->b, 0, 1, true));
	TRY(conform_unsent(c, &c->a));
	TRY(conform_unsent(c, &c->b));
	TRY(conform_arrived(c));
	TRY(conform_stop(c));
	return conform_sum(c);
}

/* A ring that starts disabled is enabled later. */
static int
enabled_late(struct conform *c)
{
	for (uint16_t q = 0; q < c->a.n_rings; q++)
		c->a.rings[q].enabled = false;
	TRY(conform_start(c));
	TRY(enable(c, &c->a, 0, 1, true));
	TRY(conform_traffic(c, 30));
	TRY(conform_stop(c));
	return conform_sum(c);
}

static void
fds_empty(const struct side *s)
{
	for (uint16_t q = 0; q < s->n_rings; q++) {
		eventfd_t count;

		eventfd_read(s->rings[q].callfd, &count);
	}
}

static int
kick_all_interrupts(struct conform *c)
{
	TRY(conform_start(c));
	TRY(conform_traffic(c, 20));
	usleep(ASLEEP_US);
	fds_empty(&c->a);
	vdev_kick_all(c->a.dev);
	for (uint16_t q = 0; q < c->a.n_rings; q++) {
		struct pollfd p = { .fd = c->a.rings[q].callfd, .events = POLLIN };

		NEED(c, poll(&p, 1, WAIT_MS) == 1);
	}
	TRY(conform_stop(c));
	return conform_sum(c);
}

/* Chains that were made available without a kick are found. */
static int
kick_all_looks(struct conform *c)
{
	TRY(conform_start(c));
	for (int i = 0; i < 5; i++) {
		usleep(ASLEEP_US);
		for (uint16_t q = 0; q < c->a.n_rings; q++)
			c->a.g->queues[q].ring->kickfd = -1;
		TRY(traffic_send(&c->ab, c->a.n_rings / 2u));
		for (uint16_t q = 0; q < c->a.n_rings; q++)
			c->a.g->queues[q].ring->kickfd = c->a.rings[q].kickfd;
		vdev_kick_all(c->a.dev);
		TRY(traffic_drain(&c->ab));
	}
	TRY(conform_stop(c));
	return conform_sum(c);
}

/* Without a kick descriptor the provider polls (vhost-user, SET_VRING_KICK), without a call
 * descriptor the guest does. */
static int
no_fds(struct conform *c)
{
	for (uint16_t q = 0; q < c->a.n_rings; q++) {
		c->a.g->queues[q].ring->kickfd = -1;
		c->a.rings[q].kickfd = -1;
		c->a.rings[q].callfd = -1;
	}
	TRY(conform_start(c));
	for (int i = 0; i < 10; i++) {
		usleep(ASLEEP_US);
		TRY(traffic_run(&c->ab, 3));
		TRY(traffic_send(&c->ba, 3));
		for (int tries = 0; c->ba.received < c->ba.sent && tries < WAIT_MS; tries++) {
			TRY(traffic_recv(&c->ba));
			usleep(1000);
		}
		NEED(c, c->ba.received == c->ba.sent);
	}
	side_stop(&c->a);
	for (uint16_t q = 0; q < c->a.n_rings; q++) {
		c->a.rings[q].callfd = c->a.g->queues[q].ring->callfd;
		c->a.rings[q].kickfd = c->a.g->queues[q].ring->kickfd = fd_fresh();
	}
	TRY(conform_settle(c, &c->a));
	side_stop(&c->b);
	TRY(conform_settle(c, &c->b));
	return conform_sum(c);
}

/* The other guest, on a thread of its own: sends as fast as it can and takes what comes. */
struct storm {
	struct conform *c;
	pthread_t thread;
	_Atomic bool ending;
	int rc;
};

static void *
storm_run(void *arg)
{
	struct storm *s = arg;

	while (!atomic_load(&s->ending) && s->rc >= 0) {
		s->rc = traffic_send(&s->c->ba, 32);
		if (s->rc >= 0)
			s->rc = traffic_recv(&s->c->ab);
	}
	return NULL;
}

/* Lets frames come in, most often: a stop right behind a start has its turn, too. */
static int
busy_wait(struct conform *c)
{
	uint64_t before = c->ba.received;

	for (int tries = 0; tries < 2000 && c->ba.received == before; tries++) {
		TRY(traffic_recv(&c->ba));
		sched_yield();
	}
	usleep(conform_random(c, 200));
	return 0;
}

static int
stop_busy(struct conform *c)
{
	for (int i = 0; i < 200; i++) {
		TRY(traffic_send(&c->ab, conform_random(c, 40)));
		NEED(c, side_start(&c->a) == 0);
		TRY(traffic_send(&c->ab, conform_random(c, 40)));
		if (i % 4 != 0)
			TRY(busy_wait(c));
		side_stop(&c->a);
		TRY(conform_settle(c, &c->a));
	}
	return 0;
}

static int
busy(struct conform *c)
{
	struct storm s = { .c = c };
	int rc;

	NEED(c, side_start(&c->b) == 0);
	NEED(c, pthread_create(&s.thread, NULL, storm_run, &s) == 0);
	rc = stop_busy(c);
	atomic_store(&s.ending, true);
	pthread_join(s.thread, NULL);
	TRY(rc);
	TRY(s.rc);
	NEED(c, c->ba.received > 200 && c->ab.received > 200);
	TRY(conform_unsent(c, &c->b));
	side_stop(&c->b);
	TRY(conform_settle(c, &c->b));
	NEED(c, side_start(&c->a) == 0);
	TRY(conform_unsent(c, &c->a));
	side_stop(&c->a);
	TRY(conform_settle(c, &c->a));
	return conform_sum(c);
}

const struct conform_case change_cases[] = {
	{ "kick and call descriptors change while a worker sleeps", fds_asleep },
	{ "kick and call descriptors change under traffic", fds_busy },
	{ "disabled rings discard and get nothing", disabled },
	{ "rings are switched off and on under traffic", disabled_busy },
	{ "a ring starts disabled and is enabled", enabled_late },
	{ "kick_all interrupts every queue", kick_all_interrupts },
	{ "kick_all finds what came without a kick", kick_all_looks },
	{ "no kick and no call descriptor: both sides poll", no_fds },
	{ "stopped 200 times under traffic", busy },
};

const unsigned int n_change_cases = sizeof(change_cases) / sizeof(change_cases[0]);
