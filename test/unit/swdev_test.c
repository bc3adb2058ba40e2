/* SPDX-License-Identifier: BSD-3-Clause */
/* The pool: rings that move between workers under traffic, views that grow, reports, assignment. */
#include "../conform/traffic.h"
#include "../conform/testbed.h"

#include "check.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

static struct testbed bed;
static struct vmm_fault fault;

static void
fault_show(const char *story)
{
	CHECK(!vmm_fault_found(&fault));
	if (vmm_fault_found(&fault))
		fprintf(stderr, "%s: %s\n", story, fault.text);
	fault.text[0] = '\0';
}

static struct side
side_on(uint16_t port, uint16_t pairs)
{
	struct vmm_guest_conf conf;
	struct vdev *dev = NULL;
	struct side s;

	vmm_guest_conf_init(&conf);
	conf.pairs = pairs;
	CHECK(swdev_create(bed.pool, port, pairs, bed.stats[port], &dev) == 0);
	CHECK(side_create(&s, &conf, port, dev, &fault) == 0);
	return s;
}

static void
side_off(struct side *s)
{
	struct vdev *dev = s->dev;

	side_destroy(s);
	vdev_destroy(dev);
}

/* Who polls ring `index` of a port, as the view has it; UINT32_MAX: nobody, UINT32_MAX - 1: two. */
static uint32_t
poller(uint16_t port, uint16_t index)
{
	const struct swdev_view *v = swdev_view(bed.pool);
	uint32_t who = UINT32_MAX;

	for (uint32_t w = 0; w < cross_n_workers(bed.cross); w++)
		for (uint32_t i = 0; i < v->workers[w].n; i++) {
			const struct swdev_ring *r = v->workers[w].rings[i];

			if (r->port == port && r->index == index)
				who = who == UINT32_MAX ? w : UINT32_MAX - 1;
		}
	return who;
}

/* Transmit rings go to who has the fewest, and keep their worker over a restart. */
static void
assignment(void)
{
	const struct testbed_opts opts = { .n_workers = 3, .n_ports = 3 };
	struct side s[3];
	uint32_t was;

	CHECK(testbed_create(&bed, &opts) == 0);
	for (uint16_t p = 0; p < 3; p++) {
		s[p] = side_on(p, 2);
		CHECK(side_start(&s[p]) == 0);
	}
	for (uint32_t w = 0; w < 3; w++)
		CHECK(swdev_view(bed.pool)->workers[w].n == 2);
	for (uint16_t p = 0; p < 3; p++) {
		CHECK(poller(p, 0) == UINT32_MAX && poller(p, 1) < 3 && poller(p, 3) < 3);
		CHECK(swdev_view(bed.pool)->ports[p]->n_rx == 2);
	}
	was = poller(1, 1);
	CHECK(swdev_move(s[1].dev, 1, (was + 1) % 3) == 0 && poller(1, 1) == (was + 1) % 3);
	CHECK(swdev_move(s[1].dev, 0, 0) == -ERANGE && swdev_move(s[1].dev, 4, 0) == -ERANGE);
	CHECK(swdev_move(s[1].dev, 1, 3) == -EINVAL && poller(1, 1) == (was + 1) % 3);
	side_stop(&s[1]);
	CHECK(poller(1, 1) == UINT32_MAX && swdev_view(bed.pool)->ports[1] == NULL);
	CHECK(side_start(&s[1]) == 0 && poller(1, 1) == (was + 1) % 3);
	/* While it stands still its place is only noted. */
	side_stop(&s[1]);
	CHECK(swdev_move(s[1].dev, 1, was) == 0 && poller(1, 1) == UINT32_MAX);
	CHECK(side_start(&s[1]) == 0 && poller(1, 1) == was);
	for (uint16_t p = 0; p < 3; p++)
		side_off(&s[p]);
	for (uint32_t w = 0; w < 3; w++)
		CHECK(swdev_view(bed.pool)->workers[w].n == 0);
	testbed_destroy(&bed);
}

/* A kick descriptor is in the set of the worker that polls, and in no other. */
static bool
watched(uint32_t worker, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int epfd = swdev_epfd(bed.pool, worker);

	if (epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev) < 0)
		return errno == EEXIST;
	epoll_ctl(epfd, EPOLL_CTL_DEL, fd, NULL);
	return false;
}

static void
watching(void)
{
	const struct testbed_opts opts = { .n_workers = 2, .n_ports = 1 };
	struct side s;

	CHECK(testbed_create(&bed, &opts) == 0);
	s = side_on(0, 1);
	CHECK(side_start(&s) == 0);
	for (uint32_t i = 0; i < 4; i++) {
		uint32_t w = i % 2;

		CHECK(swdev_move(s.dev, 1, w) == 0);
		CHECK(watched(w, s.rings[1].kickfd) && !watched(1 - w, s.rings[1].kickfd));
		CHECK(!watched(w, s.rings[0].kickfd));
	}
	side_stop(&s);
	CHECK(!watched(0, s.rings[1].kickfd) && !watched(1, s.rings[1].kickfd));
	side_off(&s);
	testbed_destroy(&bed);
}

/* Devices come and go while their lists grow; two on one port keep their own reservations. */
static void
growth(void)
{
	const struct testbed_opts opts = { .n_workers = 2, .threads = true, .n_ports = 6 };
	struct side s[6], second;

	CHECK(testbed_create(&bed, &opts) == 0);
	for (uint16_t p = 0; p < 6; p++) {
		s[p] = side_on(p, 8);
		CHECK(side_start(&s[p]) == 0);
		CHECK(poller(p, 1) < 2 && poller(p, 15) < 2);
	}
	second = side_on(0, 8);
	side_stop(&s[0]);
	CHECK(side_start(&second) == 0);
	side_off(&s[0]);
	for (uint16_t p = 1; p < 6; p++)
		CHECK(poller(p, 15) < 2);
	CHECK(poller(0, 15) < 2);
	for (uint16_t p = 1; p < 6; p++)
		side_off(&s[p]);
	CHECK(poller(0, 1) < 2);
	side_off(&second);
	testbed_destroy(&bed);
}

/* Nothing is lost, nothing overtakes, while a ring has another worker every few frames. */
static void
moving(void)
{
	const struct testbed_opts opts = { .n_workers = 2, .threads = true, .n_ports = 2 };
	struct side a, b;
	struct traffic ab;

	CHECK(testbed_create(&bed, &opts) == 0);
	a = side_on(0, 2);
	b = side_on(1, 4);
	CHECK(side_start(&b) == 0 && side_start(&a) == 0);
	traffic_init(&ab, &a, &b, 0, 1, &fault);
	for (uint32_t i = 0; i < 300 && !vmm_fault_found(&fault); i++) {
		if (traffic_send(&ab, traffic_window(&ab)) < 0)
			break;
		CHECK(swdev_move(a.dev, 1, i % 2) == 0);
		CHECK(swdev_move(a.dev, 3, i / 2 % 2) == 0);
		if (i % 4 == 0)
			traffic_drain(&ab);
		else
			traffic_recv(&ab);
	}
	traffic_drain(&ab);
	CHECK(ab.sent > 1000 && ab.received == ab.sent && testbed_drops(&bed) == 0);
	/* Asleep: the kick has to reach the worker that has the ring now. */
	for (uint32_t i = 0; i < 20; i++) {
		rte_delay_us_sleep(2000);
		CHECK(swdev_move(a.dev, 1, i % 2) == 0);
		if (i % 4 < 2)
			rte_delay_us_sleep(2000);
		traffic_run(&ab, 2);
	}
	fault_show("moving");
	side_off(&a);
	side_off(&b);
	testbed_destroy(&bed);
}

/* A broken ring is reported once for each start, by port, ring and reason. */
static void
reports(void)
{
	const struct testbed_opts opts = { .n_workers = 1, .n_ports = 2 };
	struct side s;

	CHECK(testbed_create(&bed, &opts) == 0);
	s = side_on(1, 2);
	s.rings[2].size = 0;
	for (uint32_t n = 1; n <= 2; n++) {
		CHECK(side_start(&s) == 0);
		testbed_control(&bed);
		CHECK(bed.n_broken == n);
		CHECK(bed.broken[n - 1].kind == EVENT_RING_BROKEN && bed.broken[n - 1].port == 1);
		CHECK(bed.broken[n - 1].index == 2 && bed.broken[n - 1].reason == VRING_BAD_SIZE);
		CHECK(swdev_view(bed.pool)->ports[1]->n_rx == 1);
		side_stop(&s);
	}
	s.rings[2].size = s.rings[0].size;
	CHECK(side_start(&s) == 0);
	/* Found by a worker: its index is ahead of all that the ring holds. */
	*(uint16_t *)gmem_at(s.mem, (gpa_t){ s.rings[1].driver.v + 2 }, 2) = 1000;
	for (int i = 0; i < 5; i++)
		testbed_turn(&bed, 0);
	CHECK(bed.n_broken == 3 && bed.broken[2].index == 1);
	CHECK(bed.broken[2].reason == VRING_BAD_INDEX);
	*(uint16_t *)gmem_at(s.mem, (gpa_t){ s.rings[1].driver.v + 2 }, 2) = 0;
	side_off(&s);
	testbed_destroy(&bed);
}

int
main(void)
{
	assignment();
	watching();
	growth();
	moving();
	reports();
	return check_done("swdev");
}
