/* SPDX-License-Identifier: BSD-3-Clause */
/* Workers sleep when there is nothing to do, and wake by a kick, a letter, a view and the end. */
#include "../conform/traffic.h"
#include "../conform/testbed.h"

#include "check.h"
#include "clock.h"
#include "mail.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define DEADLINE_NS (5ULL * NS_PER_S)

static struct testbed bed;
static struct vmm_fault fault;

static struct worker_info
info(uint32_t worker)
{
	struct worker_info i;

	CHECK(worker_info(bed.workers, worker, &i) == 0);
	return i;
}

/* Waits until a worker sleeps and takes no further turn. */
static bool
asleep(uint32_t worker)
{
	uint64_t end = clock_ns() + DEADLINE_NS;

	while (clock_ns() < end) {
		struct worker_info before = info(worker);

		usleep(5000);
		if (before.sleeping && info(worker).turns == before.turns)
			return true;
	}
	return false;
}

static bool
all_asleep(void)
{
	return asleep(0) && asleep(1);
}

static struct side
side_on(uint16_t port)
{
	struct vmm_guest_conf conf;
	struct vdev *dev = NULL;
	struct side s;

	vmm_guest_conf_init(&conf);
	CHECK(swdev_create(bed.pool, port, 1, bed.stats[port], &dev) == 0);
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

static void
create(void)
{
	const struct testbed_opts opts = { .n_workers = 2, .threads = true, .n_ports = 2 };

	CHECK(testbed_create(&bed, &opts) == 0);
	CHECK(worker_count(bed.workers) == 2);
}

static void
sleeps(void)
{
	struct worker_info before, after;

	create();
	CHECK(all_asleep());
	before = info(0);
	CHECK(before.sleeping && before.turns > 0 && before.frames == 0 && !before.bounded);
	CHECK(before.cpu == -1 && before.n_rings == 0 && before.n_queues == 0);
	usleep(50000);
	after = info(0);
	CHECK(after.turns == before.turns && after.sleeps == before.sleeps);
	CHECK(worker_info(bed.workers, 2, &after) == -ERANGE);
	testbed_destroy(&bed);
}

static void
letter(uint32_t worker, void *arg)
{
	atomic_store((_Atomic uint32_t *)arg, worker + 1);
}

/* Each sleeper wakes for its own letter and the other one sleeps on. */
static void
wakes_by_mail(void)
{
	_Atomic uint32_t got;

	create();
	for (uint32_t i = 0; i < 20; i++) {
		uint64_t end = clock_ns() + DEADLINE_NS;
		uint32_t w = i % 2;
		struct worker_info other;

		CHECK(all_asleep());
		other = info(1 - w);
		atomic_store(&got, 0);
		mail_send(bed.cross, w, letter, &got);
		while (atomic_load(&got) == 0 && clock_ns() < end)
			sched_yield();
		CHECK(atomic_load(&got) == w + 1);
		CHECK(asleep(w) && info(1 - w).turns == other.turns);
	}
	testbed_destroy(&bed);
}

/* A start wakes the sleepers, which take on their rings; a kick wakes the one that has the ring. */
static void
wakes_by_view_and_kick(void)
{
	struct vdev_ring_stats now;
	struct traffic ab;
	struct side a, b;
	uint32_t w;

	create();
	a = side_on(0);
	b = side_on(1);
	CHECK(all_asleep());
	CHECK(side_start(&b) == 0 && side_start(&a) == 0);
	CHECK(info(0).n_rings == 1 && info(1).n_rings == 1);
	w = swdev_view(bed.pool)->workers[0].rings[0]->port == 0 ? 0 : 1;
	traffic_init(&ab, &a, &b, 0, 1, &fault);
	for (int i = 0; i < 20; i++) {
		struct worker_info before;

		CHECK(all_asleep());
		before = info(w);
		CHECK(traffic_run(&ab, 1) == 0);
		CHECK(all_asleep());
		CHECK(info(w).turns > before.turns);
		CHECK(info(w).frames == before.frames + 1 && info(w).sleeps > before.sleeps);
		CHECK(info(w).busy_cycles > before.busy_cycles);
	}
	/* Who sleeps has armed what it polls, and says so. */
	CHECK(vdev_stats(a.dev, 1, &now) == 0 && now.asked && now.kicks_wanted);
	CHECK(vdev_stats(b.dev, 1, &now) == 0 && now.asked && now.kicks_wanted);
	CHECK(!info(w).bounded && !vmm_fault_found(&fault));
	if (vmm_fault_found(&fault))
		fprintf(stderr, "%s\n", fault.text);
	side_off(&a);
	side_off(&b);
	testbed_destroy(&bed);
}

/* Without a kick descriptor a worker looks by itself every now and then, and says so. */
static void
polls_without_kicks(void)
{
	struct side a;
	uint64_t end = clock_ns() + DEADLINE_NS;

	create();
	a = side_on(0);
	a.rings[1].kickfd = -1;
	CHECK(side_start(&a) == 0);
	while (!info(0).bounded && !info(1).bounded && clock_ns() < end)
		usleep(1000);
	CHECK(info(0).bounded != info(1).bounded);
	side_stop(&a);
	a.rings[1].kickfd = a.g->queues[1].ring->kickfd;
	CHECK(side_start(&a) == 0 && all_asleep());
	CHECK(!info(0).bounded && !info(1).bounded);
	side_off(&a);
	testbed_destroy(&bed);
}

/* An announcement goes out as the guest's own frame, unless its port is another by now. */
static void
announces(void)
{
	const struct rte_ether_addr mac = { { 0x52, 0x54, 0, 1, 2, 3 } };
	const struct rte_ether_addr other = { { 0x52, 0x54, 0, 1, 2, 4 } };
	uint64_t end = clock_ns() + DEADLINE_NS;
	uint8_t frame[2048];
	struct side b;
	int len = 0;

	create();
	b = side_on(1);
	CHECK(side_start(&b) == 0 && all_asleep());
	worker_announce(bed.workers, 0, TESTBED_PORT_ID(0) + 1, &other);
	worker_announce(bed.workers, 0, TESTBED_PORT_ID(0), &mac);
	while (len == 0 && clock_ns() < end)
		len = vmm_guest_recv(b.g, 0, frame, sizeof(frame), NULL);
	CHECK(len == 60 && memcmp(frame, "\xff\xff\xff\xff\xff\xff", 6) == 0);
	CHECK(memcmp(frame + 6, &mac, 6) == 0 && frame[12] == 0x80 && frame[13] == 0x35);
	CHECK(frame[21] == 3 && memcmp(frame + 22, &mac, 6) == 0 && memcmp(frame + 32, &mac, 6) == 0);
	side_off(&b);
	testbed_destroy(&bed);
}

/* Signals are control's: none that is sent to the process ends up in a worker. */
static void
on_signal(int signo)
{
	char name[16];

	pthread_getname_np(pthread_self(), name, sizeof(name));
	if (strncmp(name, "ferry-worker", 12) == 0)
		_exit(99);
}

static void
no_signals(void)
{
	create();
	signal(SIGUSR1, on_signal);
	for (int i = 0; i < 100; i++)
		kill(getpid(), SIGUSR1);
	CHECK(all_asleep());
	testbed_destroy(&bed);
}

/* Ends at once, asleep or not; a CPU that is not there is refused. */
static void
ends(void)
{
	const int cpus[] = { 100000, 100001 };
	struct worker_opts opts = { .cpus = cpus };
	struct worker_set *ws;
	uint64_t start;

	for (int i = 0; i < 20; i++) {
		create();
		if (i % 2 == 0)
			CHECK(all_asleep());
		start = clock_ns();
		testbed_destroy(&bed);
		CHECK(clock_ns() - start < 1ULL * NS_PER_S);
	}
	create();
	opts.cross = bed.cross;
	opts.fwd = (struct fwd_opts){
		.cross = bed.cross, .pool = bed.pool, .ports = bed.ports, .fdb = bed.fdb,
		.capture = bed.capture,
	};
	CHECK(worker_set_create(&opts, &ws) == -EINVAL);
	testbed_destroy(&bed);
}

int
main(void)
{
	sleeps();
	wakes_by_mail();
	wakes_by_view_and_kick();
	polls_without_kicks();
	announces();
	no_signals();
	ends();
	return check_done("worker");
}
