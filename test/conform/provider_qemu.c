/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Real devices: QEMU's, behind the kernel's VFIO.
 *
 * They hang on a hub, which gives what one sends to all others, and keeps for each of them what it
 * has no buffer for.  So of a port's two devices the one that has no guest has no link, or it would
 * give what it heard meanwhile to its next one.
 */
#include "provider_qemu.h"

#include "qmp.h"
#include "vdpa_rig.h"

#include "event.h"

#include <rte_dev.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* None: they are asked for one by one. */
#define NO_PCI_DEVICE "--allow=0000:ff:1f.7"

struct wire {
	struct qmp *qmp;
	struct cross *cross;
	bool linked[VDPA_RIG_DEVICES];
	uint32_t n_shadow;
};

/* A device, and what its wire is told before and after. */
struct qemu_dev {
	struct vdev vdev;
	struct vdev *inner;
	struct wire *wire;
	unsigned int nic;
};

static int
done(json_t *answer)
{
	json_decref(answer);
	return answer != NULL ? 0 : -EPROTO;
}

static int
link_set(struct wire *w, unsigned int nic, bool up)
{
	char name[16];

	if (w->linked[nic] == up)
		return 0;
	w->linked[nic] = up;
	snprintf(name, sizeof(name), "wire%u", nic + 1);
	return done(qmp_call(w->qmp, "set_link", json_pack("{s:s,s:b}", "name", name, "up", up)));
}

static struct qemu_dev *
of(const struct vdev *dev)
{
	return (struct qemu_dev *)(uintptr_t)dev;
}

static int
qemu_start(struct vdev *dev, const struct vdev_cfg *cfg)
{
	struct qemu_dev *d = of(dev);
	int rc = link_set(d->wire, (d->nic + VDPA_RIG_PORTS) % VDPA_RIG_DEVICES, false);

	if (rc == 0)
		rc = link_set(d->wire, d->nic, true);
	return rc < 0 ? rc : vdev_start(d->inner, cfg);
}

static void
qemu_stop(struct vdev *dev, struct vring_pos *pos)
{
	vdev_stop(of(dev)->inner, pos);
}

static int
qemu_ring_set(struct vdev *dev, uint16_t qid, const struct vdev_ring_set *how)
{
	return vdev_ring_set(of(dev)->inner, qid, how);
}

static int
qemu_log_set(struct vdev *dev, const struct dirty *log)
{
	return vdev_log_set(of(dev)->inner, log);
}

static void
qemu_kick_all(struct vdev *dev)
{
	vdev_kick_all(of(dev)->inner);
}

static int
qemu_stats(const struct vdev *dev, uint16_t qid, struct vdev_ring_stats *out)
{
	return vdev_stats(of(dev)->inner, qid, out);
}

static void
qemu_destroy(struct vdev *dev)
{
	vdev_destroy(of(dev)->inner);
	free(of(dev));
}

static const struct vdev_ops qemu_ops = {
	.start = qemu_start, .stop = qemu_stop, .ring_set = qemu_ring_set,
	.log_set = qemu_log_set, .kick_all = qemu_kick_all, .stats = qemu_stats,
	.destroy = qemu_destroy,
};

static void
device_name(char *out, size_t size, unsigned int nic)
{
	snprintf(out, size, "0000:0%u:00.0", nic + 1);
}

static void
qemu_close(struct wire *w)
{
	vdpa_rig_remove(device_name, "pci");
	qmp_close(w->qmp);
	cross_destroy(w->cross);
	free(w);
}

/* They are there as long as the wire, so that what they count is not forgotten with a vdev. */
static int
devices_add(struct wire *w)
{
	char name[32];
	int rc = 0;

	for (unsigned int i = 0; rc == 0 && i < VDPA_RIG_DEVICES; i++) {
		device_name(name, sizeof(name), i);
		w->linked[i] = true;
		rc = link_set(w, i, false);
		if (rc == 0)
			rc = rte_eal_hotplug_add("pci", name, "vdpa=1");
	}
	return rc;
}

static int
qemu_open(struct wire **out)
{
	struct wire *w = calloc(1, sizeof(*w));
	int rc = w == NULL ? -ENOMEM : vdpa_rig_start(NO_PCI_DEVICE);

	if (rc == 0)
		rc = qmp_open(&w->qmp);
	if (rc == 0)
		rc = cross_create(1, &w->cross);
	if (rc == 0)
		rc = devices_add(w);
	if (rc < 0 && w != NULL)
		qemu_close(w);
	*out = w;
	return rc;
}

static int
qemu_make(struct wire *w, uint16_t port, uint16_t n_pairs, struct vdev **out)
{
	struct qemu_dev *d = calloc(1, sizeof(*d));
	int rc = d == NULL ? -ENOMEM : 0;

	if (rc == 0)
		rc = vdpa_rig_make(device_name, w->cross, port, n_pairs, &d->nic, &d->inner);
	if (rc < 0) {
		free(d);
		return rc;
	}
	d->vdev = *d->inner;
	d->vdev.ops = &qemu_ops;
	d->wire = w;
	*out = &d->vdev;
	return 0;
}

static uint64_t
qemu_drops(const struct wire *w)
{
	return vdpa_rig_sum(device_name, "discards") + vdpa_rig_sum(device_name, "drops");
}

static void
qemu_tend(struct wire *w)
{
	event_run(w->cross, UINT32_MAX);
}

static void
qemu_started(struct wire *w, const struct vdev *dev)
{
	w->n_shadow += vdpa_rig_stat(of(dev)->inner, "mode_shadow") != 0;
}

static const char *
qemu_fault(struct wire *w)
{
	return w->n_shadow == 0 ? "no start was in shadow mode" : NULL;
}

const struct provider provider_vdpa_qemu = {
	.name = "vdpa-qemu", .modern = true, .keeps = true, .lenient = true, .n_pairs_max = 1,
	.open = qemu_open, .close = qemu_close, .make = qemu_make, .drops = qemu_drops,
	.tend = qemu_tend, .started = qemu_started, .fault = qemu_fault,
};
