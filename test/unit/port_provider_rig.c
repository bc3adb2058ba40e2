/* SPDX-License-Identifier: BSD-3-Clause */
#include "port_provider_rig.h"

#include "clock.h"
#include "cmd.h"
#include "event.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define WIRE 1 /* its number */

struct rig rig;

static char folder[] = "/tmp/ferry-provider-XXXXXX";

/* The streams' clock is the command's, which is not linked. */
int64_t
cmd_now_us(void)
{
	return (int64_t)(clock_ns() / NS_PER_US);
}

/* The device. */

static struct device *
device_of(const struct vdev *dev)
{
	return (struct device *)(uintptr_t)dev;
}

static int
device_start(struct vdev *dev, const struct vdev_cfg *cfg)
{
	struct device *d = device_of(dev);

	if (d->start_rc < 0)
		return d->start_rc;
	if (cfg->log != NULL && !dev->can_log)
		return -ENOTSUP;
	d->n_starts++;
	return vdev_start(d->inner, cfg);
}

static void
device_stop(struct vdev *dev, struct vring_pos *pos)
{
	vdev_stop(device_of(dev)->inner, pos);
}

static int
device_ring_set(struct vdev *dev, uint16_t qid, const struct vdev_ring_set *how)
{
	return vdev_ring_set(device_of(dev)->inner, qid, how);
}

static int
device_log_set(struct vdev *dev, const struct dirty *log)
{
	return dev->can_log ? vdev_log_set(device_of(dev)->inner, log) : -ENOTSUP;
}

static void
device_kick_all(struct vdev *dev)
{
	device_of(dev)->kick_alls++;
	vdev_kick_all(device_of(dev)->inner);
}

static int
device_stats(const struct vdev *dev, uint16_t qid, struct vdev_ring_stats *out)
{
	return vdev_stats(device_of(dev)->inner, qid, out);
}

static void
device_destroy(struct vdev *dev)
{
	struct device *d = device_of(dev);

	rig.device = rig.device == d ? NULL : rig.device;
	vdev_destroy(d->inner);
	free(d);
}

static const struct vdev_ops device_ops = {
	.start = device_start, .stop = device_stop, .ring_set = device_ring_set,
	.log_set = device_log_set, .kick_all = device_kick_all, .stats = device_stats,
	.destroy = device_destroy,
};

static int
device_create(const struct vdpadev_opts *opts, char *why, size_t size, struct vdev **out)
{
	struct device *d;

	if (rig.create_rc < 0 || opts->n_pairs_max > 4) {
		snprintf(why, size, "%s: %s", opts->device, rig.create_rc < 0 ? "is not there" :
			 "has 4 queue pairs");
		return rig.create_rc < 0 ? rig.create_rc : -ENOTSUP;
	}
	d = calloc(1, sizeof(*d));
	CHECK(swdev_create(rig.pool, WIRE, 4, rig.stats, &d->inner) == 0);
	d->vdev = (struct vdev){
		.ops = &device_ops, .provider = "device", .n_pairs_max = 4,
		.features = swdev_features & ~rig.features, .can_log = rig.can_log,
		.any_position = true,
	};
	rig.n_created++;
	rig.device = d;
	*out = &d->vdev;
	return 0;
}

static const char *
device_failed(const struct vdev *dev)
{
	return device_of(dev)->failed;
}

/* The address is that of the guest: so its operator has set it. */
static void
device_info(const struct vdev *dev, struct vdpadev_info *out)
{
	*out = (struct vdpadev_info){
		.config_known = true, .has_mac = true, .mac = { 0x52, 0x54, 0, 0xfe, 0, 1 },
	};
}

static bool
device_stats_next(const struct vdev *dev, uint16_t qid, uint32_t *iter, struct vdpadev_stat *out)
{
	if ((*iter)++ > 0)
		return false;
	*out = (struct vdpadev_stat){ .name = "starts", .value = device_of(dev)->n_starts };
	return true;
}

/* What ferryd's glue does. */

static void
on_handing_over(void *arg, struct port *p, const struct port_handover *h)
{
	handover_begin(rig.handovers, p, h);
}

static void
on_handed_over(void *arg, struct port *p, const struct port_handover *h)
{
	handover_end(rig.handovers, p, h);
}

static void
on_news(void *arg, struct port *p, const char *text)
{
	size_t n = strlen(rig.news);

	snprintf(rig.news + n, sizeof(rig.news) - n, "%s\n", text);
}

static bool
on_awaited(void *arg, const struct port *p)
{
	return park_active(rig.parks, port_number(p));
}

static void
on_park(void *arg)
{
}

static void
on_closed(void *arg, uint16_t port, uint16_t heir)
{
	struct port *p = port_by_number(rig.ports, port);

	if (p != NULL)
		handover_closed(rig.handovers, p);
}

static bool
on_moving(void *arg, fdb_key_t key, uint16_t from, uint16_t to)
{
	return park_learned(rig.parks, from, to);
}

static void
on_announce(void *arg, struct port *p, const struct rte_ether_addr *mac)
{
	rig.n_announced++;
	worker_announce(rig.workers, port_number(p), port_id(p), mac);
}

static void
look(struct port *p)
{
	port_provider_look(rig.ports, p);
	handover_follow(rig.handovers, p);
}

static void
on_provider(void *arg, const struct event *ev)
{
	struct port *p = port_by_number(rig.ports, ev->port);

	if (p != NULL)
		look(p);
}

void
rig_tend(unsigned int ms)
{
	for (unsigned int i = 0; i < ms; i++) {
		event_run(rig.cross, 1024);
		if (i % 20 == 0)
			park_tick(rig.parks);
		usleep(1000);
	}
	look(rig.vm1);
}

/* Life. */

static void
switch_create(void)
{
	static const struct port_ops ops = {
		.handing_over = on_handing_over, .handed_over = on_handed_over,
		.provider = on_news, .awaited = on_awaited,
	};
	static const struct port_devices devices = {
		.create = device_create, .failed = device_failed, .info = device_info,
		.stats_next = device_stats_next,
	};
	static const struct park_ops park_ops = { .wanted = on_park, .closed = on_closed };
	const struct park_opts parks = { .bytes = 4 << 20, .timeout_ms = PARK_TIMEOUT_MS };
	const struct fdb_opts fdb = { .age_s = FDB_AGE_S };
	struct handovers_opts handovers = { .announce = on_announce };

	CHECK(cross_create(2, &rig.cross) == 0);
	CHECK(swdev_pool_create(rig.cross, &rig.pool) == 0);
	CHECK(fdb_create(rig.cross, &fdb, &rig.fdb) == 0);
	CHECK(capture_create(rig.cross, &rig.capture) == 0);
	CHECK(park_set_create(rig.cross, &parks, &park_ops, NULL, &rig.parks) == 0);
	CHECK(ports_create(rig.cross, rig.pool, &ops, NULL, &rig.ports) == 0);
	CHECK(stats_create(3, &rig.stats) == 0);
	ports_devices(rig.ports, &devices);
	handovers.fdb = rig.fdb;
	handovers.parks = rig.parks;
	CHECK(handovers_create(&handovers, &rig.handovers) == 0);
	fdb_moving(rig.fdb, on_moving, NULL);
	event_handle(rig.cross, EVENT_PROVIDER, on_provider, NULL);
}

static void
workers_start(void)
{
	const struct worker_opts workers = {
		.cross = rig.cross,
		.fwd = {
			.cross = rig.cross, .pool = rig.pool, .ports = rig.ports, .fdb = rig.fdb,
			.capture = rig.capture, .parks = rig.parks,
		},
	};

	CHECK(worker_set_create(&workers, &rig.workers) == 0);
}

static struct port *
port_make(const char *name, const char *vdpa)
{
	char why[160] = "", path[128];
	struct port_opts opts = {
		.name = name, .type = PORT_VHOST_USER, .socket = path, .gid = (gid_t)-1,
		.vdpa = vdpa, .uplink = vdpa != NULL ? "wire" : NULL, .drain_us = 200,
	};
	struct port *p = NULL;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	CHECK(port_add(rig.ports, &opts, why, sizeof(why), &p) == 0);
	CHECK_STR(name, why, "");
	return p;
}

void
rig_add(const struct port_opts *opts, const char *refusal)
{
	struct port_opts o = *opts;
	char why[160] = "", path[128];
	struct port *p = NULL;

	snprintf(path, sizeof(path), "%s/%s", folder, o.name);
	if (o.type == PORT_VHOST_USER)
		o.socket = path;
	o.gid = (gid_t)-1;
	CHECK((port_add(rig.ports, &o, why, sizeof(why), &p) < 0) == (refusal != NULL));
	CHECK_STR(o.name, why, refusal == NULL ? "" : refusal);
	if (p != NULL)
		port_del(rig.ports, p);
}

void
rig_start(void)
{
	CHECK(mkdtemp(folder) != NULL);
	switch_create();
	workers_start();
	rig.vm1 = port_make("vm1", "vd0");
	rig.wire = port_make("wire", NULL);
	rig.vm2 = port_make("vm2", NULL);
	CHECK(port_number(rig.wire) == WIRE);
}

void
rig_stop(void)
{
	port_del(rig.ports, rig.vm1);
	port_del(rig.ports, rig.wire);
	port_del(rig.ports, rig.vm2);
	worker_set_destroy(rig.workers);
	handovers_destroy(rig.handovers);
	ports_destroy(rig.ports);
	park_set_destroy(rig.parks);
	capture_destroy(rig.capture);
	fdb_destroy(rig.fdb);
	swdev_pool_destroy(rig.pool);
	stats_destroy(rig.stats);
	cross_destroy(rig.cross);
	rmdir(folder);
}

struct vmm_guest *
rig_guest(const char *port, uint8_t mac_id, bool packed, bool legacy)
{
	struct vmm_guest_conf conf;
	struct vmm_guest *g = NULL;
	char path[128];

	vmm_guest_conf_init(&conf);
	snprintf(path, sizeof(path), "%s/%s", folder, port);
	conf.path = path;
	conf.packed = packed;
	conf.legacy = legacy;
	conf.pos = packed ? 1 << 15 : 0;
	conf.mac_id = mac_id;
	conf.seed = mac_id;
	conf.ack_all = true;
	CHECK(vmm_guest_create(&g, &conf, &rig.fault) == 0);
	CHECK(vmm_guest_open(g) == 0);
	CHECK(vmm_guest_announce(g) == 0);
	CHECK_STR("guest", rig.fault.text, "");
	rig_tend(5);
	return g;
}

const char *
rig_news(void)
{
	static char text[sizeof(rig.news)];

	memcpy(text, rig.news, sizeof(text));
	rig.news[0] = '\0';
	return text;
}

const char *
rig_mover(void)
{
	static struct port_info info;

	port_info(rig.vm1, &info);
	return info.rings[0].provider == NULL ? "nobody" : info.rings[0].provider;
}

const char *
rig_why(void)
{
	static struct port_provider_info info;

	port_provider_info(rig.vm1, &info);
	return info.why;
}
