/* SPDX-License-Identifier: BSD-3-Clause */
#include "vdpadev_fake.h"

#include "../../drivers/vdpa/virtio/bus_abi.h"
#include "vdpa_abi.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern struct fake fake;

#define DEVICES 4

static struct device {
	struct rte_vdpa_device *vdpa;
	uint32_t pairs;
} devices[DEVICES];

static void
note(const char *fmt, ...)
{
	size_t at = strlen(fake.notes);
	va_list args;

	va_start(args, fmt);
	vsnprintf(fake.notes + at, sizeof(fake.notes) - at, fmt, args);
	va_end(args);
}

static struct device *
device_of(struct rte_vdpa_device *vdpa)
{
	for (int i = 0; i < DEVICES; i++)
		if (devices[i].vdpa == vdpa)
			return &devices[i];
	return NULL;
}

/* A driver that does not find its device by the vid cannot do a thing. */
static bool
known(int vid)
{
	return device_of(rte_vhost_get_vdpa_device(vid)) != NULL;
}

static int
get_queue_num(struct rte_vdpa_device *dev, uint32_t *n)
{
	struct device *d = device_of(dev);

	*n = d != NULL ? d->pairs : 0;
	return 0;
}

static int
get_features(struct rte_vdpa_device *dev, uint64_t *features)
{
	*features = fake.offered;
	return 0;
}

static int
get_protocol_features(struct rte_vdpa_device *dev, uint64_t *features)
{
	*features = 0;
	return 0;
}

static void
memory_see(int vid)
{
	struct rte_vhost_memory *mem = NULL;

	fake.n_regions = 0;
	if (rte_vhost_get_mem_table(vid, &mem) != 0)
		return;
	fake.n_regions = mem->nregions;
	for (uint32_t i = 0; i < mem->nregions; i++)
		fake.regions[i] = (struct fake_region){
			.gpa = mem->regions[i].guest_phys_addr, .size = mem->regions[i].size,
			.host = mem->regions[i].host_user_addr, .fd = mem->regions[i].fd,
			.map = (uintptr_t)mem->regions[i].mmap_addr,
		};
	free(mem);
}

static void
ring_see(int vid, uint16_t q)
{
	struct rte_vhost_vring vring;
	struct fake_ring *r = &fake.rings[q];

	r->rc = rte_vhost_get_vhost_vring(vid, q, &vring);
	if (r->rc != 0)
		return;
	r->desc = vring.desc;
	r->driver = vring.avail;
	r->device = vring.used;
	r->kickfd = vring.kickfd;
	r->callfd = vring.callfd;
	r->size = vring.size;
	r->rc = rte_vhost_get_vring_base(vid, q, &r->avail, &r->used);
}

static void
guest_see(int vid)
{
	fake.vid = vid;
	rte_vhost_get_negotiated_features(vid, &fake.features);
	rte_vhost_get_log_base(vid, &fake.log_base, &fake.log_size);
	rte_vhost_get_ifname(vid, fake.ifname, sizeof(fake.ifname));
	fake.n_rings = rte_vhost_get_vring_num(vid);
	memory_see(vid);
	for (uint16_t q = 0; q < FAKE_RINGS; q++)
		ring_see(vid, q);
}

static int
dev_conf(int vid)
{
	note("conf ");
	if (!known(vid))
		return -1;
	guest_see(vid);
	return fake.conf_rc;
}

static int
dev_close(int vid)
{
	note("close ");
	for (uint16_t q = 0; q < fake.n_rings && q < FAKE_RINGS; q++) {
		const struct fake_ring *r = &fake.rings[q];

		if (r->store)
			rte_vhost_set_vring_base(vid, q, r->store_avail, r->store_used);
	}
	return known(vid) ? fake.close_rc : -1;
}

static int
dev_cleanup(int vid)
{
	note("cleanup ");
	return known(vid) ? 0 : -1;
}

static int
set_vring_state(int vid, int q, int state)
{
	note("state %d %d ", q, state);
	if (!known(vid))
		return -1;
	ring_see(vid, (uint16_t)q);
	return fake.state_rc;
}

static int
set_features(int vid)
{
	note("features ");
	rte_vhost_get_negotiated_features(vid, &fake.features);
	rte_vhost_get_log_base(vid, &fake.log_base, &fake.log_size);
	return known(vid) ? fake.features_rc : -1;
}

static int
get_config(int vid, uint8_t *config, uint32_t size)
{
	struct virtio_net_config c = {
		.mac = { 2, 0, 0, 0, 0, 9 }, .status = VIRTIO_NET_S_LINK_UP, .mtu = fake.mtu,
	};

	if (!known(vid) || fake.config_rc != 0 || size > sizeof(c))
		return -1;
	memcpy(config, &c, size);
	return 0;
}

static const char *const names[] = {
#define X(name) #name,
	FAKE_STATS(X)
#undef X
};

static int
get_stats_names(struct rte_vdpa_device *dev, struct rte_vdpa_stat_name *out, unsigned int size)
{
	for (unsigned int i = 0; out != NULL && i < FAKE_STATS_N && i < size; i++)
		snprintf(out[i].name, sizeof(out[i].name), "%s%s", fake.named ? "" : "x_", names[i]);
	return FAKE_STATS_N;
}

static int
get_stats(struct rte_vdpa_device *dev, int qid, struct rte_vdpa_stat *out, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < FAKE_STATS_N && i < n; i++)
		out[i] = (struct rte_vdpa_stat){ .id = i, .value = fake.stats[qid % FAKE_RINGS][i] };
	return (int)i;
}

static struct rte_vdpa_dev_ops ops = {
	.get_queue_num = get_queue_num, .get_features = get_features,
	.get_protocol_features = get_protocol_features, .dev_conf = dev_conf,
	.dev_close = dev_close, .dev_cleanup = dev_cleanup, .set_vring_state = set_vring_state,
	.set_features = set_features, .get_config = get_config,
	.get_stats_names = get_stats_names, .get_stats = get_stats,
};

static void
vanish(const char *name)
{
	rte_dev_event_callback_process(name, RTE_DEV_EVENT_REMOVE);
}

static int
notify(int vid, uint16_t q, int enable)
{
	return rte_vhost_enable_guest_notification(vid, q, enable);
}

struct fake fake = {
	.log_write = rte_vhost_log_write, .log_used = rte_vhost_log_used_vring,
	.call = rte_vhost_vring_call, .notify = notify, .relay = rte_vdpa_relay_vring_used,
	.vring_num = rte_vhost_get_vring_num, .set_base = rte_vhost_set_vring_base,
	.vanish = vanish,
};

static int
probe(struct rte_vdev_device *dev)
{
	const char *args = dev->device.devargs != NULL ? dev->device.devargs->args : "";
	struct device *d = device_of(NULL);
	unsigned int pairs = 2;

	if (d == NULL || strcmp(args, "broken=1") == 0)
		return -EIO;
	sscanf(args, "pairs=%u", &pairs);
	d->pairs = pairs;
	d->vdpa = rte_vdpa_register_device(&dev->device, &ops);
	return d->vdpa == NULL ? -EEXIST : 0;
}

static int
gone(struct rte_vdev_device *dev)
{
	struct device *d = device_of(rte_vdpa_find_device_by_name(dev->device.name));

	if (d == NULL)
		return -ENODEV;
	rte_vdpa_unregister_device(d->vdpa);
	d->vdpa = NULL;
	return 0;
}

static struct rte_vdev_driver driver = {
	.driver.name = "vdpa_fake", .probe = probe, .remove = gone,
};

__attribute__((constructor)) static void
driver_register(void)
{
	rte_vdev_register(&driver);
}
