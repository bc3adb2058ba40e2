/* SPDX-License-Identifier: BSD-3-Clause */
#include "provider_vdpa.h"

#include "model.h"
#include "vdpa_rig.h"

#include "event.h"

#include <rte_dev.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct wire {
	struct model *model;
	struct cross *cross;
	uint32_t n_direct;
	bool direct_wanted;
};

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

	for (unsigned int i = 0; rc == 0 && i < VDPA_RIG_DEVICES; i++) {
		device_name(name, sizeof(name), i);
		snprintf(full, sizeof(full), "socket=%s%s", model_socket(w->model, i), args);
		rc = rte_eal_hotplug_add("vdev", name, full);
	}
	return rc;
}

static void
vdpa_close(struct wire *w)
{
	vdpa_rig_remove(device_name, "vdev");
	model_end(w->model);
	cross_destroy(w->cross);
	free(w);
}

static int
wire_open(const char *device, const char *args, struct wire **out)
{
	const char *program = getenv("FERRY_VDEV_MODEL");
	struct wire *w = calloc(1, sizeof(*w));
	int rc = w == NULL ? -ENOMEM : 0;

	if (rc == 0 && program == NULL) {
		fprintf(stderr, "FERRY_VDEV_MODEL is not set\n");
		rc = -ENOENT;
	}
	if (rc == 0)
		rc = vdpa_rig_start("--no-pci");
	if (rc == 0)
		rc = cross_create(1, &w->cross);
	if (rc == 0)
		rc = model_begin(program, VDPA_RIG_DEVICES, device, &w->model);
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

static int
vdpa_make(struct wire *w, uint16_t port, uint16_t n_pairs, struct vdev **out)
{
	unsigned int device;

	return vdpa_rig_make(device_name, w->cross, port, n_pairs, &device, out);
}

static uint64_t
vdpa_drops(const struct wire *w)
{
	return vdpa_rig_sum(device_name, "discards") + vdpa_rig_sum(device_name, "drops") +
	       model_sum(w->model, "dropped_");
}

static void
vdpa_tend(struct wire *w)
{
	event_run(w->cross, UINT32_MAX);
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
	w->n_direct += vdpa_rig_stat(dev, "mode_direct") != 0;
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
