/* SPDX-License-Identifier: BSD-3-Clause */
/* A device beside software: who moves the rings, and what a handover loses (nothing). */
#include "port_provider_rig.h"

#include "clock.h"

#include <rte_eal.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#define ROUNDS 100

static const struct {
	struct port_opts opts;
	const char *refusal;
} refusals[] = {
	{ { .name = "a", .provider = PORT_HW },
	  "provider: a choice needs a device, and \"vdpa\" names none" },
	{ { .name = "a", .uplink = "wire" },
	  "uplink: stands for the wire of a device, and \"vdpa\" names none" },
	{ { .name = "a", .type = PORT_ETHDEV, .devargs = "net_null7", .vdpa = "vd1" },
	  "vdpa: only a vhost-user port has rings for it" },
	{ { .name = "a", .vdpa = "vd1", .uplink = "a" },
	  "uplink: expected another port than \"a\" itself" },
	{ { .name = "a", .vdpa = "vd1", .uplink = "vm1" },
	  "uplink: \"vm1\" has a device itself, and cannot stand for the wire of another" },
	{ { .name = "a", .vdpa = "vd1", .n_queues = 5 }, "vdpa: vd1: has 4 queue pairs" },
	{ { .name = "a", .vdpa = "" }, "vdpa: expected the name of a device" },
	{ { .name = "a", .vdpa = "vd1", .n_queues = 4, .uplink = "later" }, NULL },
};

static int
provider_set(enum port_want want)
{
	char why[160] = "";

	return port_provider_set(rig.ports, rig.vm1, want, why, sizeof(why));
}

static void
frames_pass(struct vmm_guest *a, struct vmm_guest *b)
{
	static struct stream s;
	const uint64_t frames[2] = { 200, 200 };

	stream_init(&s, a, b, 4, 60, 1514, 7);
	CHECK(stream_run(&s, frames) == 0);
	CHECK_STR("frames", rig.fault.text, "");
	stream_fini(&s);
}

static void
options(void)
{
	struct device *mine = rig.device;

	for (size_t i = 0; i < RTE_DIM(refusals); i++)
		rig_add(&refusals[i].opts, refusals[i].refusal);
	rig.create_rc = -ENODEV;
	rig_add(&(struct port_opts){ .name = "a", .vdpa = "vd1" }, "vdpa: vd1: is not there");
	rig.create_rc = 0;
	rig.device = mine;
	CHECK(port_opts(rig.vm1)->n_queues == 4);
}

static void
there_and_back(bool packed)
{
	struct vmm_guest *b = rig_guest("vm2", 2, packed, false);
	struct vmm_guest *a = rig_guest("vm1", 1, packed, false);
	struct port_provider_info before, info;
	uint16_t port = 0;

	CHECK_STR("from the beginning", rig_mover(), "device");
	CHECK_STR("reason", rig_why(), "the device can do what is asked");
	frames_pass(a, b);
	rig_news();
	port_provider_info(rig.vm1, &before);

	CHECK(provider_set(PORT_SW) == 0);
	CHECK_STR("asked for", rig_mover(), "sw");
	CHECK_STR("reason", rig_why(), "the operator wants software");
	CHECK(strstr(rig_news(), "us: the operator wants software\n") != NULL);
	frames_pass(a, b);
	rig_tend(5);
	CHECK(fdb_get(rig.fdb, fdb_key(0, a->mac), &port) == 0 && port == port_number(rig.vm1));

	CHECK(provider_set(PORT_HW) == 0);
	CHECK_STR("asked for", rig_mover(), "device");
	frames_pass(a, b);
	rig_tend(400); /* the park closes */
	CHECK(fdb_get(rig.fdb, fdb_key(0, a->mac), &port) == 0 && port == port_number(rig.wire));
	frames_pass(a, b);

	rig.n_announced = 0;
	CHECK(provider_set(PORT_SW) == 0);
	rig_tend(5);
	CHECK(rig.n_announced == 1);
	CHECK(fdb_get(rig.fdb, fdb_key(0, a->mac), &port) == 0 && port == port_number(rig.vm1));
	frames_pass(a, b);
	CHECK(provider_set(PORT_AUTO) == 0);
	CHECK_STR("auto", rig_mover(), "device");
	port_provider_info(rig.vm1, &info);
	CHECK(info.n_to_hw == before.n_to_hw + 2 && info.n_to_sw == before.n_to_sw + 2);
	CHECK(info.uplink == port_number(rig.wire));
	CHECK(info.hw && !info.failed && info.time_ns != 0);
	CHECK_STR("last", info.last, "the device can do what is asked");
	CHECK(vmm_guest_stop(a) == 0 && vmm_guest_stop(b) == 0);
	CHECK(vmm_guest_settle(a) == 0 && vmm_guest_settle(b) == 0);
	CHECK_STR("positions", rig.fault.text, "");
	vmm_guest_destroy(a);
	vmm_guest_destroy(b);
	rig_tend(400);
}

static void
legacy(void)
{
	struct vmm_guest *a = rig_guest("vm1", 1, false, true);

	CHECK_STR("legacy", rig_mover(), "sw");
	CHECK_STR("reason", rig_why(), "the guest's driver is legacy, without virtio 1");
	CHECK(provider_set(PORT_HW) == -ENOTSUP);
	CHECK_STR("still", rig_mover(), "sw");
	CHECK(provider_set(PORT_AUTO) == 0);
	vmm_guest_destroy(a);
	rig_tend(20);
}

static void
fails(void)
{
	struct vmm_guest *b = rig_guest("vm2", 2, false, false);
	struct vmm_guest *a = rig_guest("vm1", 1, false, false);
	uint32_t created = rig.n_created;
	struct port_provider_info info;

	CHECK_STR("before", rig_mover(), "device");
	rig_news();
	rig.device->failed = "removed";
	rig_tend(1);
	CHECK_STR("after", rig_mover(), "sw");
	CHECK_STR("reason", rig_why(), "vd0 failed: removed");
	CHECK(strstr(rig_news(), "vd0 failed: removed\n") != NULL);
	frames_pass(a, b);
	CHECK(provider_set(PORT_AUTO) == 0);
	CHECK_STR("not by itself", rig_mover(), "sw");
	rig.create_rc = -ENODEV;
	CHECK(provider_set(PORT_HW) == -ENODEV);
	rig_tend(1);
	CHECK_STR("not there", rig_why(), "vd0 failed: vdpa: vd0: is not there");
	port_provider_info(rig.vm1, &info);
	CHECK(info.failed && !info.hw);
	frames_pass(a, b);
	rig.create_rc = 0;
	CHECK(provider_set(PORT_HW) == 0);
	CHECK(rig.n_created == created + 1);
	CHECK_STR("asked for again", rig_mover(), "device");
	frames_pass(a, b);
	vmm_guest_destroy(a);
	vmm_guest_destroy(b);
	CHECK(provider_set(PORT_AUTO) == 0);
	rig_tend(20);
}

static void
refuses(void)
{
	struct vmm_guest *b = rig_guest("vm2", 2, false, false);
	struct vmm_guest *a;

	rig.device->start_rc = -ENOTSUP;
	a = rig_guest("vm1", 1, false, false);
	CHECK_STR("at the start", rig_mover(), "sw");
	CHECK_STR("reason", rig_why(), "vd0 did not take the rings: Operation not supported");
	frames_pass(a, b);
	CHECK(provider_set(PORT_HW) == -ENOTSUP);
	CHECK_STR("in a handover", rig_mover(), "sw");
	frames_pass(a, b);
	rig.device->start_rc = 0;
	rig_tend(1);
	CHECK_STR("not by itself", rig_mover(), "sw");
	CHECK(provider_set(PORT_HW) == 0);
	CHECK_STR("asked for", rig_mover(), "device");
	frames_pass(a, b);
	CHECK(provider_set(PORT_AUTO) == 0);
	vmm_guest_destroy(a);
	vmm_guest_destroy(b);
	rig_tend(20);
}

static void
logs(void)
{
	struct vmm_guest *b = rig_guest("vm2", 2, false, false);
	struct vmm_guest *a = rig_guest("vm1", 1, false, false);
	struct vmm_log *log;

	CHECK(vmm_log_create(&log, vmm_log_size(a->mem), true) == 0);
	CHECK_STR("before", rig_mover(), "device");
	CHECK(vmm_guest_log_on(a, log, false) == 0);
	CHECK_STR("logged", rig_mover(), "sw");
	CHECK_STR("reason", rig_why(), "writes are logged for a migration, which vd0 cannot");
	frames_pass(a, b);
	rig_tend(5);
	CHECK_STR("still", rig_mover(), "sw");
	CHECK(vmm_guest_log_off(a) == 0);
	rig_tend(5);
	CHECK_STR("cancelled", rig_mover(), "device");
	frames_pass(a, b);
	vmm_guest_destroy(a);
	vmm_guest_destroy(b);
	vmm_log_destroy(log);
	rig_tend(20);
}

/* Handovers under full traffic. */

struct traffic {
	struct stream *s;
	_Atomic bool end;
	int rc;
};

static void *
traffic_run(void *arg)
{
	const uint64_t frames[2] = { 2000, 2000 };
	struct traffic *t = arg;

	while (t->rc == 0 && !atomic_load(&t->end))
		t->rc = stream_run(t->s, frames);
	return NULL;
}

static int
gap_compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static uint64_t
gap_of(enum port_want want)
{
	struct port_provider_info info;

	CHECK(provider_set(want) == 0);
	port_provider_info(rig.vm1, &info);
	return info.gap_us;
}

/* Long and short pauses: with the park of the last handover still there, and without. */
static void
under_traffic(bool packed)
{
	static struct stream s;
	struct traffic t = { .s = &s };
	struct vmm_guest *b = rig_guest("vm2", 2, packed, false);
	struct vmm_guest *a = rig_guest("vm1", 1, packed, false);
	uint64_t gaps[2 * ROUNDS];
	pthread_t thread;

	stream_init(&s, a, b, 8, 60, 1514, 3);
	pthread_create(&thread, NULL, traffic_run, &t);
	for (uint32_t i = 0; i < ROUNDS && t.rc == 0; i++) {
		rig_tend(i % 20 == 0 ? 300 : 4);
		gaps[2 * i] = gap_of(PORT_SW);
		rig_tend(i % 20 == 10 ? 300 : 4);
		gaps[2 * i + 1] = gap_of(PORT_HW);
	}
	rig_tend(300);
	atomic_store(&t.end, true);
	pthread_join(thread, NULL);
	CHECK(t.rc == 0);
	CHECK_STR("nothing lost, doubled or overtaken", rig.fault.text, "");
	qsort(gaps, 2 * ROUNDS, sizeof(gaps[0]), gap_compare);
	printf("port_provider: %s, %u handovers, %" PRIu64 " frames, gap %" PRIu64 " us at the median, "
	       "%" PRIu64 " at most\n", packed ? "packed" : "split", 2 * ROUNDS,
	       s.ways[0].received + s.ways[1].received, gaps[ROUNDS], gaps[2 * ROUNDS - 1]);
	CHECK(vmm_guest_stop(a) == 0 && vmm_guest_stop(b) == 0);
	CHECK(vmm_guest_settle(a) == 0 && vmm_guest_settle(b) == 0);
	stream_fini(&s);
	vmm_guest_destroy(a);
	vmm_guest_destroy(b);
	CHECK(provider_set(PORT_AUTO) == 0);
	rig_tend(20);
}

int
main(void)
{
	char *argv[] = {
		"port_provider_test", "--no-huge", "-m", "64", "--no-pci", "--no-shconf", "--no-telemetry",
		"-l", "0", NULL,
	};

	if (rte_eal_init(RTE_DIM(argv) - 1, argv) < 0)
		return 1;
	rig_start();
	options();
	there_and_back(false);
	there_and_back(true);
	legacy();
	fails();
	refuses();
	logs();
	under_traffic(false);
	under_traffic(true);
	rig_stop();
	return check_done("port_provider");
}
