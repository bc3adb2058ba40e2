/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The provider over librte_vdpa, with a driver that is loaded as any other and tells what it was told:
 * vdpadev_fake.c.
 */
#include "vdpadev_test.h"

#include "event.h"

#include <rte_dev.h>
#include <rte_eal.h>

#include <dlfcn.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define LOG_ALL (1ULL << 26)

struct fake *fake;
struct cross *cross;
static struct vmm_fault fault;
static struct event last;
static unsigned int n_events;

static void
on_event(void *arg, const struct event *ev)
{
	last = *ev;
	n_events++;
}

static bool
event_came(enum event_kind kind, uint16_t index, uint16_t reason)
{
	n_events = 0;
	event_run(cross, UINT32_MAX);
	return n_events == 1 && last.kind == kind && last.port == 3 && last.index == index &&
	       last.reason == reason;
}

void
rig_reset(void)
{
	memset(fake->notes, 0, sizeof(fake->notes));
	memset(fake->rings, 0, sizeof(fake->rings));
	memset(fake->stats, 0, sizeof(fake->stats));
	fake->conf_rc = fake->close_rc = fake->features_rc = fake->state_rc = fake->config_rc = 0;
	fake->named = false;
	fake->mtu = 1500;
	fake->offered = 1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_F_RING_PACKED | LOG_ALL |
			1ULL << VIRTIO_RING_F_EVENT_IDX | 1ULL << VIRTIO_NET_F_MRG_RXBUF |
			1ULL << VIRTIO_NET_F_STATUS | 1ULL << VIRTIO_NET_F_MAC |
			1ULL << VIRTIO_NET_F_MTU | 1ULL << VIRTIO_NET_F_MQ;
}

void
notes_check(const char *story, const char *expected)
{
	CHECK_STR(story, fake->notes, expected);
	fake->notes[0] = '\0';
}

int
rig_create(const char *device, uint16_t pairs, struct vdev **out, char *why)
{
	const struct vdpadev_opts opts = {
		.device = device, .port = 3, .n_pairs_max = pairs, .mtu = 1500, .cross = cross,
	};

	return vdpadev_create(&opts, why, WHY_SIZE, out);
}

void
rig_open(struct rig *r, const struct rig_opts *opts)
{
	struct vmm_guest_conf conf;
	char why[WHY_SIZE] = "";

	CHECK(rig_create("vdpa_fake0", 2, &r->dev, why) == 0);
	CHECK_STR("no reason", why, "");
	vmm_guest_conf_init(&conf);
	conf.pairs = opts->pairs;
	conf.packed = opts->packed;
	conf.event_idx = opts->event_idx;
	conf.indirect = false;
	conf.pos = opts->pos;
	conf.size = 64;
	conf.n_regions = 3;
	conf.n_bufs = 16;
	CHECK(side_create(&r->s, &conf, 3, r->dev, &fault) == 0);
}

void
rig_close(struct rig *r)
{
	side_destroy(&r->s);
	vdev_destroy(r->dev);
	event_run(cross, UINT32_MAX);
}

/* Names and refusals */

static const struct {
	const char *device, *why;
	uint16_t pairs, mtu;
	int rc;
} refusals[] = {
	{ "vdpa_fake7,broken=1", "vdpa_fake7: driver does not start: Input/output error "
	  "(its own lines above say more)", 0, 0, -EIO },
	{ "0000:ff:1f.7", "0000:ff:1f.7: there is no PCI function of this address (lspci -D lists "
	  "them)", 0, 0, -ENODEV },
	{ "nothing7", "nothing7: DPDK knows no driver for this name (expected a PCI address or a "
	  "driver and a number as in vdpa_virtio0; -d loads one)", 0, 0, -ENODEV },
	{ "vdpa_fake1,pairs=3", "vdpa_fake1: has 3 queue pairs, the port has 4", 4, 0, -ENOTSUP },
	{ "vdpa_fake1,pairs=3", "vdpa_fake1: has an MTU of 1500, the port has 9000", 3, 9000,
	  -ENOTSUP },
};

static void
refused(void)
{
	char why[WHY_SIZE];

	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		const struct vdpadev_opts opts = {
			.device = refusals[i].device, .n_pairs_max = refusals[i].pairs,
			.mtu = refusals[i].mtu, .cross = cross,
		};
		struct vdev *dev = NULL;
		uint32_t iter = 0;
		struct vdpadev_info info;

		CHECK(vdpadev_create(&opts, why, sizeof(why), &dev) == refusals[i].rc);
		CHECK_STR(refusals[i].device, why, refusals[i].why);
		CHECK(!vdpadev_next(&iter, &info));
	}
}

static void
taken(void)
{
	struct vdpadev_info info;
	struct vdev *dev, *other;
	char why[WHY_SIZE];
	uint32_t iter = 0;

	fake->named = true;
	fake->stats[0][FAKE_cap_positions] = 1;
	CHECK(rig_create("vdpa_fake2,pairs=3", 0, &dev, why) == 0);
	CHECK(dev->n_pairs_max == 3 && dev->can_log && dev->any_position);
	CHECK(dev->features == (fake->offered & ~LOG_ALL));
	CHECK_STR("provider", dev->provider, "vdpadev");
	CHECK(rig_create("vdpa_fake2", 0, &other, why) == -EBUSY);
	CHECK_STR("twice", why, "vdpa_fake2: port 3 has it");
	CHECK(rig_create("vdpa_fake2,pairs=2", 0, &other, why) == -EEXIST);
	CHECK(vdpadev_next(&iter, &info));
	CHECK_STR("name", info.name, "vdpa_fake2");
	CHECK_STR("driver", info.driver, "vdpa_fake");
	CHECK(info.port == 3 && info.n_pairs == 3 && info.can_log && info.packed && info.positions);
	CHECK(info.config_known && info.link_up && info.has_mac && info.mac[5] == 9);
	CHECK(info.mtu == 1500 && !info.notify_mapped && info.failed == NULL);
	CHECK(!vdpadev_next(&iter, &info));
	vdev_destroy(dev);
	notes_check("never used", "");
	iter = 0;
	CHECK(!vdpadev_next(&iter, &info));
}

/* A device that EAL's arguments have made stays when its port goes. */
static void
kept(void)
{
	struct vdpadev_info info;
	uint32_t iter = 0;

	CHECK(rte_eal_hotplug_add("vdev", "vdpa_fake0", "") == 0);
	CHECK(vdpadev_next(&iter, &info) && info.port == VDPADEV_PORT_NONE && info.config_known);
	CHECK(!info.positions);
}

/* What a driver sees */

static void
ring_seen(const struct side *s, uint16_t q)
{
	const struct vdev_ring *r = &s->rings[q];
	const struct fake_ring *f = &fake->rings[q];
	const uint16_t wrap = side_packed(s) && r->pos.used_wrap ? 0x8000 : 0;

	CHECK(f->rc == 0 && f->size == r->size && f->kickfd == r->kickfd);
	CHECK(f->callfd == r->callfd);
	CHECK(f->desc == gmem_at(s->mem, r->desc, 1) && f->device == gmem_at(s->mem, r->device, 1));
	CHECK(f->driver == gmem_at(s->mem, r->driver, 1));
	CHECK(f->avail == (r->pos.used | wrap) && f->used == (r->pos.used | wrap));
}

static void
guest_seen(const struct side *s)
{
	CHECK(fake->vid >= VDPADEV_VID_BASE);
	CHECK(fake->features == s->g->front->features);
	CHECK(fake->n_rings == s->n_rings && fake->n_regions == s->mem->n_regions);
	CHECK_STR("name", fake->ifname, "vdpa_fake0");
	for (uint32_t i = 0; i < fake->n_regions; i++) {
		const struct gmem_region *r = &s->mem->regions[i];

		CHECK(fake->regions[i].gpa == r->gpa && fake->regions[i].size == r->size);
		CHECK(fake->regions[i].host == (uintptr_t)r->host && fake->regions[i].fd == r->fd);
		CHECK(fake->regions[i].host - fake->regions[i].map == r->fd_offset);
	}
	for (uint16_t q = 0; q < s->n_rings; q++)
		ring_seen(s, q);
}

static void
seen(void)
{
	static const struct rig_opts rows[] = {
		{ .pairs = 1 }, { .pairs = 2, .event_idx = true, .pos = 65500 },
		{ .pairs = 2, .packed = true, .pos = 63 },
		{ .pairs = 1, .packed = true, .pos = 7 | 0x8000 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rig r;

		rig_open(&r, &rows[i]);
		CHECK(side_start(&r.s) == 0);
		guest_seen(&r.s);
		CHECK(fake->log_base == 0 && fake->log_size == 0);
		/* Past ours it is the library's answer: there is no such connection. */
		CHECK(fake->vring_num(fake->vid) == 2 * rows[i].pairs);
		CHECK(fake->vring_num(0) == 0 && fake->vring_num(fake->vid + 1) == 0);
		side_stop(&r.s);
		CHECK(fake->vring_num(fake->vid) == 0);
		rig_close(&r);
	}
}

static void
order(void)
{
	struct rig r;

	rig_open(&r, &(struct rig_opts){ .pairs = 2 });
	r.s.rings[2].enabled = false;
	notes_check("created", "");
	CHECK(side_start(&r.s) == 0);
	notes_check("start", "state 0 1 state 1 1 state 3 1 features conf ");
	r.s.rings[2].enabled = true;
	CHECK(side_ring_set(&r.s, 2) == 0);
	notes_check("enabled", "state 2 1 ");
	CHECK(side_ring_set(&r.s, 2) == 0);
	notes_check("other descriptors", "state 2 0 state 2 1 ");
	r.s.rings[2].enabled = false;
	CHECK(side_ring_set(&r.s, 2) == 0);
	notes_check("disabled", "state 2 0 ");
	side_stop(&r.s);
	notes_check("stop", "close state 0 0 state 1 0 state 3 0 ");
	r.s.rings[0].started = false;
	CHECK(side_start(&r.s) == 0);
	notes_check("some", "state 1 1 state 3 1 features conf ");
	CHECK(fake->rings[0].rc == 0 && fake->rings[0].desc == NULL && fake->rings[0].size == 0);
	CHECK(fake->rings[0].kickfd == -1 && fake->rings[0].callfd == -1);
	side_stop(&r.s);
	notes_check("stop", "close state 1 0 state 3 0 ");
	rig_close(&r);
	notes_check("end", "cleanup ");
}

/* A driver that says so is not made to take an enabled ring for a disabled one. */
static void
order_named(void)
{
	struct rig r;

	fake->named = true;
	rig_open(&r, &(struct rig_opts){ .pairs = 1 });
	CHECK(side_start(&r.s) == 0);
	fake->notes[0] = '\0';
	r.s.rings[1].callfd = -1;
	CHECK(side_ring_set(&r.s, 1) == 0);
	notes_check("other descriptors", "state 1 1 ");
	CHECK(fake->rings[1].callfd == -1);
	/* What it does not take under way it gets between a stop and a start. */
	fake->state_rc = -1;
	r.s.rings[1].enabled = false;
	CHECK(side_ring_set(&r.s, 1) == 0);
	notes_check("refused", "state 1 0 close state 0 0 state 0 1 features conf ");
	fake->state_rc = 0;
	side_stop(&r.s);
	rig_close(&r);
}

static void
conf_fails(void)
{
	struct vdev_ring_stats st;
	struct rig r;
	uint8_t *copy;

	rig_open(&r, &(struct rig_opts){ .pairs = 1, .event_idx = true });
	fake->conf_rc = -1;
	copy = side_copy(&r.s);
	CHECK(side_start(&r.s) == -ENOTSUP);
	CHECK(side_same(&r.s, copy));
	notes_check("fails", "state 0 1 state 1 1 features conf close state 0 0 state 1 0 ");
	CHECK(vdev_stats(r.dev, 0, &st) == -ERANGE && fake->vring_num(fake->vid) == 0);
	fake->conf_rc = 0;
	CHECK(side_start(&r.s) == 0);
	CHECK(vdev_stats(r.dev, 0, &st) == 0 && st.running);
	side_stop(&r.s);
	rig_close(&r);
}

static void
bad_ring(void)
{
	struct vdev_ring_stats st;
	struct vring_pos was;
	struct rig r;

	rig_open(&r, &(struct rig_opts){ .pairs = 1, .pos = 9 });
	was = r.s.rings[1].pos;
	r.s.rings[1].desc.v = 0xdead00000000;
	CHECK(side_start(&r.s) == 0);
	notes_check("one is bad", "state 0 1 features conf ");
	CHECK(fake->rings[1].rc == 0 && fake->rings[1].desc == NULL);
	CHECK(event_came(EVENT_RING_BROKEN, 1, VRING_BAD_ADDR));
	CHECK(vdev_stats(r.dev, 1, &st) == 0 && st.bad == VRING_BAD_ADDR && !st.running);
	CHECK(vdev_stats(r.dev, 0, &st) == 0 && st.bad == VRING_BAD_NONE && st.running);
	side_stop(&r.s);
	CHECK(r.s.rings[1].pos.used == was.used);
	r.s.rings[0].size = 0;
	fake->notes[0] = '\0';
	CHECK(side_start(&r.s) == 0);
	side_stop(&r.s);
	notes_check("both are bad", "");
	rig_close(&r);
}

/* Positions */

static void
used_set(const struct side *s, uint16_t q, uint16_t idx)
{
	struct vring_used *used = gmem_at(s->mem, s->rings[q].device, 4);

	used->idx = idx;
}

static void
positions_split(void)
{
	struct rig r;

	rig_open(&r, &(struct rig_opts){ .pairs = 1, .pos = 65530 });
	CHECK(side_start(&r.s) == 0);
	fake->rings[0] = (struct fake_ring){ .store = true, .store_avail = 9, .store_used = 4 };
	used_set(&r.s, 1, 77);
	side_stop(&r.s);
	CHECK(r.s.rings[0].pos.used == 4 && r.s.rings[0].pos.avail == 4);
	CHECK(r.s.rings[1].pos.used == 77 && r.s.rings[1].pos.avail == 77);
	/* What a driver says when it has no guest is not heard. */
	CHECK(fake->set_base(fake->vid, 0, 1, 1) < 0);
	rig_close(&r);
}

static void
positions_packed(void)
{
	const struct vring_pos *pos;
	struct rig r;

	rig_open(&r, &(struct rig_opts){ .pairs = 1, .packed = true, .pos = 60 | 0x8000 });
	CHECK(side_start(&r.s) == 0);
	fake->rings[0] = (struct fake_ring){ .store = true, .store_avail = 5, .store_used = 3 };
	fake->rings[1] = (struct fake_ring){
		.store = true, .store_avail = 62 | 0x8000, .store_used = 61 | 0x8000,
	};
	side_stop(&r.s);
	pos = &r.s.rings[0].pos;
	CHECK(pos->used == 3 && pos->avail == 3 && !pos->used_wrap && !pos->avail_wrap);
	pos = &r.s.rings[1].pos;
	CHECK(pos->used == 61 && pos->avail == 61 && pos->used_wrap && pos->avail_wrap);
	rig_close(&r);
}

static bool
called(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	eventfd_t n;

	return poll(&p, 1, 1000) == 1 && eventfd_read(fd, &n) == 0;
}

static void
kicks(void)
{
	struct vdev_ring_stats st;
	struct rig r;

	rig_open(&r, &(struct rig_opts){ .pairs = 1 });
	CHECK(side_start(&r.s) == 0);
	for (uint16_t q = 0; q < 2; q++) {
		CHECK(called(r.s.rings[q].kickfd));
		CHECK(called(r.s.rings[q].callfd));
		CHECK(fake->call(fake->vid, q) == 0);
		CHECK(called(r.s.rings[q].callfd));
		CHECK(vdev_stats(r.dev, q, &st) == 0 && st.calls == 1);
	}
	CHECK(fake->call(fake->vid, 2) == -1);
	side_stop(&r.s);
	CHECK(fake->call(fake->vid, 0) == -1);
	rig_close(&r);
}

/* Counters */

static void
counters(void)
{
	struct vdev_ring_stats st;
	struct vdpadev_stat stat;
	uint32_t iter = 0;
	struct rig r;

	fake->named = true;
	fake->stats[1][FAKE_chains] = 7; /* for whoever had it before */
	rig_open(&r, &(struct rig_opts){ .pairs = 1 });
	CHECK(side_start(&r.s) == 0);
	CHECK(vdev_stats(r.dev, 1, &st) == 0 && st.chains == 0);
	fake->stats[1][FAKE_chains] = 17;
	fake->stats[1][FAKE_calls] = 4;
	fake->stats[1][FAKE_used_index] = 21;
	fake->stats[1][FAKE_first] = 99;
	CHECK(vdev_stats(r.dev, 1, &st) == 0 && st.chains == 10 && st.calls == 4);
	CHECK(st.pos.used == 21 && st.first == 99 && st.worker == UINT16_MAX && st.running);
	while (vdpadev_stats_next(r.dev, 1, &iter, &stat) && strcmp(stat.name, "chains") != 0)
		;
	CHECK_STR("its own", stat.name, "chains");
	CHECK(stat.value == 17);
	side_stop(&r.s);
	/* The driver begins again, the contract does not. */
	fake->stats[1][FAKE_chains] = 0;
	CHECK(side_start(&r.s) == 0);
	fake->stats[1][FAKE_chains] = 3;
	CHECK(vdev_stats(r.dev, 1, &st) == 0 && st.chains == 13);
	fake->stats[1][FAKE_bad_range] = 1;
	CHECK(vdev_stats(r.dev, 1, &st) == 0 && st.bad == VRING_BAD_RANGE && !st.running);
	CHECK(event_came(EVENT_RING_BROKEN, 1, VRING_BAD_RANGE));
	side_stop(&r.s);
	rig_close(&r);
}

/* Failures */

static void
gone(void)
{
	struct vdpadev_info info;
	struct rig r;

	fake->named = true;
	rig_open(&r, &(struct rig_opts){ .pairs = 1 });
	CHECK(side_start(&r.s) == 0);
	fake->vanish("vdpa_fake9");
	event_run(cross, UINT32_MAX);
	CHECK(vdpadev_failed(r.dev) == NULL);
	fake->rings[1] = (struct fake_ring){ .store = true, .store_avail = 6, .store_used = 6 };
	fake->vanish("vdpa_fake0");
	CHECK(event_came(EVENT_DEVICE_FAILED, 0, 0));
	CHECK_STR("gone", vdpadev_failed(r.dev), "removed");
	fake->stats[0][FAKE_failed_reset] = 1;
	CHECK_STR("named", vdpadev_failed(r.dev), "reset");
	vdpadev_info(r.dev, &info);
	CHECK_STR("shown", info.failed, "reset");
	side_stop(&r.s);
	CHECK(r.s.rings[1].pos.used == 6);
	CHECK(side_start(&r.s) == -ENODEV);
	rig_close(&r);
}

int
main(int argc, char **argv)
{
	char *args[] = { "vdpadev_test", "--no-huge", "--no-shconf", "-m", "64", "--no-telemetry",
			 "--log-level=error", "-a", "0000:00:00.0" };
	/* As EAL loads what -d names, but wherever the build folder is. */
	void *module = argc > 1 ? dlopen(argv[1], RTLD_NOW) : NULL;

	CHECK(module != NULL);
	if (rte_eal_init(9, args) < 0)
		return 1;
	fake = module != NULL ? dlsym(module, "fake") : NULL;
	CHECK(fake != NULL && cross_create(1, &cross) == 0);
	if (fake == NULL)
		return check_done("vdpadev");
	event_handle(cross, EVENT_RING_BROKEN, on_event, NULL);
	event_handle(cross, EVENT_DEVICE_FAILED, on_event, NULL);
	CHECK(vdpadev_init() == 0);
	static void (*const tests[])(void) = {
		refused, taken, kept, seen, order, order_named, conf_fails, bad_ring, positions_split,
		positions_packed, kicks, counters, gone, vdpadev_log_test,
	};
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		rig_reset();
		tests[i]();
	}
	CHECK(rte_eal_hotplug_remove("vdev", "vdpa_fake0") == 0);
	cross_destroy(cross);
	return check_done("vdpadev");
}
