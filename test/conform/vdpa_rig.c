/* SPDX-License-Identifier: BSD-3-Clause */
#include "vdpa_rig.h"

#include "gmem.h"
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

#define RINGS_MAX 8
#define STATS_MAX 128

/* As EAL loads what -d names, but wherever the build folder is. */
static int
plugin_load(void)
{
	const char *path = getenv("FERRY_VDPA_PLUGIN");

	if (path != NULL && dlopen(path, RTLD_NOW) != NULL)
		return 0;
	fprintf(stderr, "%s\n", path == NULL ? "FERRY_VDPA_PLUGIN is not set" : dlerror());
	return -ENOEXEC;
}

int
vdpa_rig_start(const char *pci)
{
	char *option = strdup(pci);
	char *argv[] = { "conform", "--no-huge", "--no-shconf", option, "-m", "256",
			 "--no-telemetry", "--log-level=error" };
	int rc = option == NULL ? -ENOMEM : plugin_load();

	if (rc == 0 && rte_eal_init(RTE_DIM(argv), argv) < 0)
		rc = -rte_errno;
	free(option);
	if (rc == 0)
		rc = gmem_guard_init();
	return rc < 0 ? rc : vdpadev_init();
}

int
vdpa_rig_make(vdpa_rig_name *name, struct cross *cross, uint16_t port, uint16_t n_pairs,
	      unsigned int *device, struct vdev **out)
{
	char text[32], why[256];
	int rc = -EBUSY;

	for (*device = port; rc == -EBUSY && *device < VDPA_RIG_DEVICES;) {
		struct vdpadev_opts opts = {
			.device = text, .port = port, .n_pairs_max = n_pairs, .cross = cross,
		};

		name(text, sizeof(text), *device);
		rc = vdpadev_create(&opts, why, sizeof(why), out);
		if (rc == -EBUSY)
			*device += VDPA_RIG_PORTS;
	}
	if (rc < 0)
		fprintf(stderr, "%s\n", why);
	return rc;
}

void
vdpa_rig_remove(vdpa_rig_name *name, const char *bus)
{
	char text[32];

	for (unsigned int i = 0; i < VDPA_RIG_DEVICES; i++) {
		name(text, sizeof(text), i);
		if (rte_vdpa_find_device_by_name(text) != NULL)
			rte_eal_hotplug_remove(bus, text);
	}
}

static uint64_t
ring_stat(struct rte_vdpa_device *dev, uint16_t qid, const char *counter)
{
	static struct rte_vdpa_stat_name names[STATS_MAX];
	struct rte_vdpa_stat stats[STATS_MAX];
	int n = rte_vdpa_get_stats_names(dev, names, STATS_MAX);

	n = n < 0 ? n : rte_vdpa_get_stats(dev, qid, stats, STATS_MAX);
	for (int i = 0; i < n; i++)
		if (strcmp(names[stats[i].id].name, counter) == 0)
			return stats[i].value;
	return 0;
}

uint64_t
vdpa_rig_sum(vdpa_rig_name *name, const char *counter)
{
	uint64_t sum = 0;
	char text[32];

	for (unsigned int i = 0; i < VDPA_RIG_DEVICES; i++) {
		struct rte_vdpa_device *dev;

		name(text, sizeof(text), i);
		dev = rte_vdpa_find_device_by_name(text);
		for (uint16_t qid = 0; dev != NULL && qid < RINGS_MAX; qid++)
			sum += ring_stat(dev, qid, counter);
	}
	return sum;
}

uint64_t
vdpa_rig_stat(const struct vdev *dev, const char *counter)
{
	struct vdpadev_stat stat;
	uint32_t iter = 0;

	while (vdpadev_stats_next(dev, 0, &iter, &stat))
		if (strcmp(stat.name, counter) == 0)
			return stat.value;
	return 0;
}
