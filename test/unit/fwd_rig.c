/* SPDX-License-Identifier: BSD-3-Clause */
#include "fwd_rig.h"

#include <stdlib.h>
#include <string.h>

/* Without the rig nothing that follows means anything. */
static void
must(const struct rig *r, bool ok, const char *what)
{
	if (ok && !vmm_fault_found(&r->fault))
		return;
	fprintf(stderr, "rig: %s: %s\n", what, r->fault.text);
	exit(1);
}

void
rig_create(struct rig *r, const struct testbed_opts *opts, const struct vmm_guest_conf *confs)
{
	memset(r, 0, sizeof(*r));
	must(r, testbed_create(&r->bed, opts) == 0, "testbed");
	r->n_ports = opts->n_ports;
	for (uint16_t p = 0; p < r->n_ports; p++) {
		struct vdev *dev;

		must(r, swdev_create(r->bed.pool, p, confs[p].pairs, r->bed.stats[p], &dev) == 0,
		     "vdev");
		must(r, side_create(&r->sides[p], &confs[p], p, dev, &r->fault) == 0, "guest");
		must(r, side_start(&r->sides[p]) == 0, "start");
	}
}

void
rig_destroy(struct rig *r)
{
	for (uint16_t p = 0; p < r->n_ports; p++) {
		struct vdev *dev = r->sides[p].dev;

		side_stop(&r->sides[p]);
		while (rig_recv(r, p, NULL) > 0)
			;
		must(r, side_settle(&r->sides[p]) == 0, "oracles");
		side_destroy(&r->sides[p]);
		vdev_destroy(dev);
	}
	testbed_destroy(&r->bed);
}

void
rig_send(struct rig *r, uint16_t port, const void *frame, uint32_t len,
	 const struct virtio_net_hdr_v1 *hdr)
{
	struct vmm_guest *g = r->sides[port].g;

	must(r, vmm_guest_reclaim(g) >= 0, "reclaim");
	must(r, vmm_guest_send(g, 0, frame, len, hdr) == 0, "send");
	must(r, vmm_guest_flush(g) == 0, "kick");
}

void
rig_turn(struct rig *r)
{
	uint32_t frames;

	do {
		frames = 0;
		for (uint32_t w = 0; w < cross_n_workers(r->bed.cross); w++)
			frames += testbed_turn(&r->bed, w);
	} while (frames > 0);
}

uint32_t
rig_recv(struct rig *r, uint16_t port, uint16_t *pair)
{
	struct vmm_guest *g = r->sides[port].g;

	for (uint16_t i = 0; i < g->conf.pairs; i++) {
		int len = vmm_guest_recv(g, i, r->frame, sizeof(r->frame), &r->hdr);

		must(r, len >= 0, "receive");
		if (len == 0)
			continue;
		must(r, vmm_guest_flush(g) == 0, "offer");
		if (pair != NULL)
			*pair = i;
		return (uint32_t)len;
	}
	return 0;
}
