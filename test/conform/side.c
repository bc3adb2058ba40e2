/* SPDX-License-Identifier: BSD-3-Clause */
#include "side.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int
mem_make(struct side *s)
{
	const struct vmm_mem *m = s->g->mem;
	struct gmem_region regions[VMM_REGIONS_MAX];
	int rc;

	for (unsigned int i = 0; i < m->n_regions; i++)
		regions[i] = (struct gmem_region){
			.gpa = m->regions[i].gpa, .size = m->regions[i].size,
			.uva = (uintptr_t)m->regions[i].host, .host = m->regions[i].host,
			.fd = m->regions[i].fd, .fd_offset = m->regions[i].offset,
		};
	rc = gmem_create(regions, m->n_regions, s->port, &s->mem);
	return rc < 0 ? rc : gmem_guard(s->mem);
}

/* Addresses and position as the guest has them now. */
static void
rings_read(struct side *s)
{
	s->n_rings = (uint16_t)s->g->n_queues;
	for (uint16_t i = 0; i < s->n_rings; i++) {
		const struct vmm_ring *r = s->g->queues[i].ring;

		s->rings[i] = (struct vdev_ring){
			.started = true, .enabled = true, .size = r->conf.size,
			.desc.v = r->addr.desc, .driver.v = r->addr.avail, .device.v = r->addr.used,
			.kickfd = r->kickfd, .callfd = r->callfd,
			.pos = vring_pos_decode(r->conf.packed, vmm_ring_pos(r)),
		};
	}
}

int
side_create(struct side *s, const struct vmm_guest_conf *conf, uint16_t port, struct vdev *dev,
	    struct vmm_fault *fault)
{
	struct vmm_guest_conf own = *conf;
	int rc;

	memset(s, 0, sizeof(*s));
	s->port = port;
	s->dev = dev;
	own.path = "";
	own.mac_id = (uint8_t)(port + 1);
	rc = vmm_guest_create(&s->g, &own, fault);
	if (rc == 0)
		rc = vmm_guest_attach(s->g, dev->features);
	if (rc == 0)
		rc = mem_make(s);
	if (rc < 0) {
		side_destroy(s);
		return rc;
	}
	rings_read(s);
	return 0;
}

void
side_destroy(struct side *s)
{
	if (s->running)
		side_stop(s);
	gmem_destroy(s->mem);
	vmm_guest_destroy(s->g);
	memset(s, 0, sizeof(*s));
}

struct vdev_cfg
side_cfg(const struct side *s)
{
	return (struct vdev_cfg){
		.vid = -1, .port = s->port, .mem = s->mem, .features = s->g->front->features,
		.n_rings = s->n_rings, .rings = s->rings, .log = s->log,
	};
}

int
side_start(struct side *s)
{
	struct vdev_cfg cfg = side_cfg(s);
	int rc = vdev_start(s->dev, &cfg);

	if (rc < 0)
		return rc;
	s->running = true;
	s->g->started = true;
	vdev_kick_all(s->dev);
	return 0;
}

void
side_stop(struct side *s)
{
	struct vring_pos pos[SIDE_RINGS_MAX];

	for (uint16_t i = 0; i < s->n_rings; i++)
		pos[i] = s->rings[i].pos;
	vdev_stop(s->dev, pos);
	for (uint16_t i = 0; i < s->n_rings; i++)
		s->rings[i].pos = pos[i];
	s->running = false;
	s->g->started = false;
}

int
side_settle(struct side *s)
{
	for (uint16_t i = 0; i < s->n_rings; i++) {
		const struct vring_pos *p = &s->rings[i].pos;

		if (p->avail != p->used || p->avail_wrap != p->used_wrap)
			return vmm_fault_set(s->g->fault, "ring %u stopped at avail %u/%d, used %u/%d",
					     i, p->avail, p->avail_wrap, p->used, p->used_wrap);
		s->g->queues[i].base = vring_pos_encode(side_packed(s), p);
	}
	return vmm_guest_settle(s->g);
}

int
side_reboot(struct side *s)
{
	int rc = vmm_guest_reboot(s->g);

	if (rc == 0)
		rc = vmm_guest_attach(s->g, s->g->front->features);
	s->g->started = false;
	rings_read(s);
	return rc;
}

int
side_ring_set(struct side *s, uint16_t qid)
{
	const struct vdev_ring *r = &s->rings[qid];
	const struct vdev_ring_set how = {
		.enabled = r->enabled, .kickfd = r->kickfd, .callfd = r->callfd,
	};

	return vdev_ring_set(s->dev, qid, &how);
}

static size_t
mem_size(const struct vmm_mem *m)
{
	size_t size = 0;

	for (unsigned int i = 0; i < m->n_regions; i++)
		size += m->regions[i].size;
	return size;
}

uint8_t *
side_copy(const struct side *s)
{
	const struct vmm_mem *m = s->g->mem;
	uint8_t *copy = malloc(mem_size(m)), *to = copy;

	for (unsigned int i = 0; copy != NULL && i < m->n_regions; i++) {
		memcpy(to, m->regions[i].host, m->regions[i].size);
		to += m->regions[i].size;
	}
	return copy;
}

bool
side_same(const struct side *s, uint8_t *copy)
{
	const struct vmm_mem *m = s->g->mem;
	const uint8_t *at = copy;
	bool same = copy != NULL;

	for (unsigned int i = 0; same && i < m->n_regions; i++) {
		same = memcmp(at, m->regions[i].host, m->regions[i].size) == 0;
		at += m->regions[i].size;
	}
	free(copy);
	return same;
}
