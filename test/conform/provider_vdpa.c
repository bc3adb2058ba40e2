/* SPDX-License-Identifier: BSD-3-Clause */
#include "provider_vdpa.h"

#include "model.h"

#include "event.h"
#include "vdpadev.h"

#include <rte_common.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_vdpa.h>

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORTS     2
#define DEVICES   (2 * PORTS) /* for a port that is handed over from one to another */
#define PAIRS     4
#define STATS_MAX 128

struct wire {
	struct model *model;
	struct cross *cross;
	struct vdev *made[DEVICES]; /* NULL: not, or gone since */
	uint32_t n_direct, n_shadow;
	bool direct_wanted;
};

static const char *
program(const char *variable)
{
	const char *path = getenv(variable);

	if (path == NULL)
		fprintf(stderr, "%s is not set\n", variable);
	return path;
}

/* As EAL loads what -d names, but wherever the build folder is. */
static int
plugin_load(void)
{
	const char *path = program("FERRY_VDPA_PLUGIN");

	if (path == NULL)
		return -ENOENT;
	if (dlopen(path, RTLD_NOW) != NULL)
		return 0;
	fprintf(stderr, "%s\n", dlerror());
	return -ENOEXEC;
}

static int
eal_start(void)
{
	char *argv[] = { "conform", "--no-huge", "--no-shconf", "--no-pci", "-m", "256",
			 "--no-telemetry", "--log-level=error" };
	int rc = plugin_load();

	if (rc < 0)
		return rc;
	if (rte_eal_init(RTE_DIM(argv), argv) < 0)
		return -rte_errno;
	rc = gmem_guard_init();
	return rc < 0 ? rc : vdpadev_init();
}

static void
device_name(char *out, size_t size, unsigned int i)
{
	snprintf(out, size, "vdpa_virtio%u", i);
}

/* They are there as long as the wire, so that what they count is not forgotten with a vdev. */
static int
devices_add(struct wire *w, const char *args)
{
	char name[32], full[192];
	int rc = 0;

	for (unsigned int i = 0; rc == 0 && i < DEVICES; i++) {
		device_name(name, sizeof(name), i);
		snprintf(full, sizeof(full), "socket=%s%s", model_socket(w->model, i), args);
		rc = rte_eal_hotplug_add("vdev", name, full);
	}
	return rc;
}

static void
devices_remove(void)
{
	char name[32];

	for (unsigned int i = 0; i < DEVICES; i++) {
		device_name(name, sizeof(name), i);
		if (rte_vdpa_find_device_by_name(name) != NULL)
			rte_eal_hotplug_remove("vdev", name);
	}
}

static void
vdpa_close(struct wire *w)
{
	devices_remove();
	model_end(w->model);
	cross_destroy(w->cross);
	free(w);
}

static int
wire_open(const char *device, const char *args, struct wire **out)
{
	const char *program_path = program("FERRY_VDEV_MODEL");
	struct wire *w = calloc(1, sizeof(*w));
	int rc = w == NULL ? -ENOMEM : 0;

	if (rc == 0)
		rc = program_path == NULL ? -ENOENT : eal_start();
	if (rc == 0)
		rc = cross_create(1, &w->cross);
	if (rc == 0)
		rc = model_begin(program_path, DEVICES, device, &w->model);
	if (rc == 0)
		rc = devices_add(w, args);
	if (rc < 0 && w != NULL) {
		vdpa_close(w);
		return rc;
	}
	*out = w;
	return rc;
}

static int
log_open_wire(struct wire **out)
{
	int rc = wire_open("queues=4,size=1024,packed,event_idx,indirect,positions,logging", "", out);

	if (rc == 0)
		(*out)->direct_wanted = true;
	return rc;
}

static int
shadow_open_wire(struct wire **out)
{
	return wire_open("queues=4,event_idx,indirect", ",mode=shadow", out);
}

/* Of a port's two devices the one that nobody has. */
static int
vdpa_make(struct wire *w, uint16_t port, uint16_t n_pairs, struct vdev **out)
{
	char name[32], why[256];
	int rc = -EBUSY;

	for (unsigned int i = port; rc == -EBUSY && i < DEVICES; i += PORTS) {
		struct vdpadev_opts opts = {
			.device = name, .port = port, .n_pairs_max = n_pairs, .cross = w->cross,
		};

		device_name(name, sizeof(name), i);
		rc = vdpadev_create(&opts, why, sizeof(why), out);
	}
	if (rc < 0)
		fprintf(stderr, "%s\n", why);
	return rc;
}

/* Sum of one of the plugin's counters over all rings of all devices. */
static uint64_t
plugin_sum(const char *counter)
{
	static struct rte_vdpa_stat_name names[STATS_MAX];
	struct rte_vdpa_stat stats[STATS_MAX];
	uint64_t sum = 0;
	char name[32];

	for (unsigned int i = 0; i < DEVICES * 2 * PAIRS; i++) {
		struct rte_vdpa_device *dev;
		int n;

		device_name(name, sizeof(name), i / (2 * PAIRS));
		dev = rte_vdpa_find_device_by_name(name);
		n = rte_vdpa_get_stats_names(dev, names, STATS_MAX);
		n = n < 0 ? n : rte_vdpa_get_stats(dev, i % (2 * PAIRS), stats, STATS_MAX);
		for (int k = 0; k < n; k++)
			if (strcmp(names[stats[k].id].name, counter) == 0)
				sum += stats[k].value;
	}
	return sum;
}

static uint64_t
vdpa_drops(const struct wire *w)
{
	return plugin_sum("discards") + plugin_sum("drops") + model_sum(w->model, "dropped_");
}

static void
vdpa_tend(struct wire *w)
{
	event_run(w->cross, UINT32_MAX);
}

static uint64_t
stat_of(const struct vdev *dev, const char *name)
{
	struct vdpadev_stat stat;
	uint32_t iter = 0;

	while (vdpadev_stats_next(dev, 0, &iter, &stat))
		if (strcmp(stat.name, name) == 0)
			return stat.value;
	return 0;
}

/* Devices know what a driver may not do, and name what they were given to reach beyond. */
static const char *
vdpa_fault(struct wire *w)
{
	if (model_sum(w->model, "violations") > 0)
		return "driver does what it may not do";
	if (model_sum(w->model, "refused_dma") > 0)
		return "device was sent out of the guest's memory";
	return w->direct_wanted && w->n_direct == 0 ? "no start was in direct mode" : NULL;
}

static void
vdpa_started(struct wire *w, const struct vdev *dev)
{
	w->n_direct += stat_of(dev, "mode_direct") != 0;
	w->n_shadow += stat_of(dev, "mode_shadow") != 0;
}

const struct provider provider_vdpa_log = {
	.name = "vdpa-log", .modern = true, .holds = true, .mute = true, .open = log_open_wire,
	.close = vdpa_close, .make = vdpa_make, .drops = vdpa_drops, .tend = vdpa_tend,
	.started = vdpa_started, .fault = vdpa_fault,
};

const struct provider provider_vdpa_shadow = {
	.name = "vdpa-shadow", .modern = true, .holds = true, .open = shadow_open_wire,
	.close = vdpa_close, .make = vdpa_make, .drops = vdpa_drops, .tend = vdpa_tend,
	.started = vdpa_started, .fault = vdpa_fault,
};
