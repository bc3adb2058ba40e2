/* SPDX-License-Identifier: BSD-3-Clause */
#include "device.h"

#include <rte_cycles.h>
#include <rte_vhost.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void
fd_put(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* A reference of our own: the application may close its descriptor while the relay writes to it. */
static int
fd_take(int *to, int from)
{
	int fd = from < 0 ? -1 : fcntl(from, F_DUPFD_CLOEXEC, 0);

	if (from >= 0 && fd < 0)
		return -errno;
	fd_put(to);
	*to = fd;
	return 0;
}

int
ring_fds_load(struct ring *r)
{
	struct rte_vhost_vring v;
	int rc;

	if (rte_vhost_get_vhost_vring(r->dev->vid, r->queue, &v) != 0)
		return -ERANGE;
	rc = fd_take(&r->kickfd, v.kickfd);
	return rc < 0 ? rc : fd_take(&r->callfd, v.callfd);
}

/* A ring whose areas are nowhere in the guest's memory is bad, and is not given to the device. */
static void
areas_load(struct ring *r, const struct rte_vhost_vring *v)
{
	const struct mem *mem = &r->dev->mem;

	r->size = v->size;
	r->desc = v->desc;
	r->driver = v->avail;
	r->device = v->used;
	if (mem_gpa(mem, r->desc, 1, &r->desc_gpa) < 0 ||
	    mem_gpa(mem, r->driver, 1, &r->driver_gpa) < 0 ||
	    mem_gpa(mem, r->device, 1, &r->device_gpa) < 0)
		r->bad = SHADOW_BAD_ADDR;
}

static int
ring_load(struct ring *r)
{
	struct rte_vhost_vring v;
	uint16_t avail = 0, used = 0;

	r->started = false;
	r->bad = SHADOW_BAD_NONE;
	r->first = 0;
	if (rte_vhost_get_vhost_vring(r->dev->vid, r->queue, &v) != 0)
		return 0;
	if (v.desc == NULL || v.avail == NULL || v.used == NULL)
		return 0;       /* not started */
	if (rte_vhost_get_vring_base(r->dev->vid, r->queue, &avail, &used) != 0)
		return 0;
	r->started = true;
	r->pos = used;
	areas_load(r, &v);
	if (r->irqfd < 0)
		r->irqfd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return r->irqfd < 0 ? -errno : ring_fds_load(r);
}

int
rings_load(struct device *d)
{
	uint16_t n = rte_vhost_get_vring_num(d->vid);
	int rc = 0;

	d->n_rings = 0;
	for (uint16_t i = 0; rc == 0 && i < n; i++) {
		if (i >= 2 * d->n_pairs_max) {
			struct rte_vhost_vring v;
			bool there = rte_vhost_get_vhost_vring(d->vid, i, &v) == 0 && v.desc != NULL;

			rc = there ? -ERANGE : 0;
			continue;
		}
		rc = ring_load(&d->rings[i]);
		d->n_rings = i + 1;
	}
	return rc;
}

void
rings_store(struct device *d)
{
	for (uint16_t i = 0; i < d->n_rings; i++) {
		struct ring *r = &d->rings[i];

		if (r->started)
			rte_vhost_set_vring_base(d->vid, i, r->pos, r->pos);
		r->started = false;
		fd_put(&r->kickfd);
		fd_put(&r->callfd);
		fd_put(&r->irqfd);
	}
}

void
ring_call(struct ring *r)
{
	if (r->callfd < 0)
		return;
	eventfd_write(r->callfd, 1);
	r->counts.calls++;
}

void
ring_doorbell(struct ring *r)
{
	pci_ring(&r->dev->pci, &r->dev->doors[r->queue]);
	r->counts.doorbells++;
}

/* Whether a range holds what shows used entries to the guest. */
static bool
shows_used(const struct ring *r, uint64_t gpa, uint64_t len)
{
	bool packed = device_has(r->dev, VIRTIO_F_RING_PACKED);
	uint64_t at = packed ? r->desc_gpa : r->device_gpa + offsetof(struct vring_used, idx);
	uint64_t size = packed ? r->size * sizeof(struct vring_packed_desc) : sizeof(uint16_t);

	/* Who takes the marks takes those of pages. */
	return (at + size - 1) >> MARK_PAGE_SHIFT >= gpa >> MARK_PAGE_SHIFT &&
	       at >> MARK_PAGE_SHIFT <= (gpa + len - 1) >> MARK_PAGE_SHIFT;
}

/* Rings may share pages: who marks one first has marked it for all of them. */
static void
rounds_count(struct device *d, uint64_t gpa, uint64_t len)
{
	for (uint16_t i = 0; i < d->n_rings; i++)
		if (d->rings[i].started && shows_used(&d->rings[i], gpa, len))
			d->rings[i].counts.rounds++;
}

void
ring_mark(void *ring, uint64_t gpa, uint64_t len)
{
	struct ring *r = ring;
	uint32_t fresh = mark_range(&r->dev->mark, gpa, len);

	r->counts.pages += fresh;
	if (fresh > 0)
		rounds_count(r->dev, gpa, len);
}

void
rings_mark(struct device *d, uint64_t gpa)
{
	struct ring *found = &d->rings[0];
	struct ring *r;

	EACH_STARTED(d, r)
		if (shows_used(r, gpa, 1))
			found = r;
	ring_mark(found, gpa, 1);
}

static uint16_t
used_index(const struct ring *r)
{
	const struct vring_used *used = r->device;

	return __atomic_load_n(&used->idx, __ATOMIC_ACQUIRE);
}

static uint16_t
avail_index(const struct ring *r)
{
	const struct vring_avail *avail = r->driver;

	return __atomic_load_n(&avail->idx, __ATOMIC_ACQUIRE);
}

uint16_t
ring_direct_count(struct ring *r)
{
	uint16_t now, n;

	if (!r->split_used)
		return 0;
	now = used_index(r);
	n = (uint16_t)(now - r->direct_used);
	if (n > 0 && r->first == 0)
		r->first = rte_rdtsc();
	r->direct_used = now;
	r->counts.chains += n;
	return n;
}

/* What the device did on the guest's own ring is not marked by us but for the areas it wrote. */
static void
areas_mark(struct ring *r)
{
	if (!r->dev->logging)
		return;
	atomic_thread_fence(memory_order_seq_cst);
	if (device_has(r->dev, VIRTIO_F_RING_PACKED)) {
		ring_mark(r, r->desc_gpa, r->size * sizeof(struct vring_packed_desc));
		ring_mark(r, r->device_gpa, sizeof(struct vring_packed_desc_event));
	} else {
		ring_mark(r, r->device_gpa, 6 + r->size * sizeof(struct vring_used_elem));
	}
}

/*
 * The guest has the last word of a split ring: what it was shown as used is done.  A device that
 * showed more than there was leaves an index that nobody could go on with; it is set to where the
 * guest is.
 */
static void
settle_direct_split(struct ring *r)
{
	struct vring_used *used = r->device;
	uint16_t avail = avail_index(r);

	ring_direct_count(r);
	r->pos = r->direct_used;
	if ((uint16_t)(avail - r->pos) > r->size) {
		r->pos = avail;
		__atomic_store_n(&used->idx, avail, __ATOMIC_RELEASE);
		device_blame(r->dev, FAILURE_INDEX);
	}
}

void
ring_settle(struct ring *r)
{
	struct shadow_stats stats;
	bool call = false;

	if (r->shadow != NULL) {
		shadow_stop(r->shadow, &r->pos, &call);
		shadow_stats(r->shadow, &stats);
		r->counts.chains += stats.chains;
		r->counts.discards += stats.skipped;
		if (shadow_bad(r->shadow) != SHADOW_BAD_NONE)
			r->bad = shadow_bad(r->shadow);
		if (shadow_fault(r->shadow) != SHADOW_FAULT_NONE)
			device_blame(r->dev, failure_of_fault(shadow_fault(r->shadow)));
		shadow_destroy(r->shadow);
		r->shadow = NULL;
		if (call)
			ring_call(r);
	} else if (r->on_device) {
		if (r->split_used)
			settle_direct_split(r);
		areas_mark(r);
		ring_call(r);
	}
	r->on_device = r->split_used = false;
}

void
ring_now(struct ring *r, struct ring_now *out)
{
	struct shadow_stats stats;

	ring_direct_count(r);
	*out = (struct ring_now){ r->counts.chains, r->counts.discards, r->pos, r->pos };
	if (r->shadow != NULL) {
		shadow_stats(r->shadow, &stats);
		out->chains += stats.chains;
		out->discards += stats.skipped;
		out->avail = stats.avail;
		out->used = stats.used;
	} else if (r->split_used) {
		out->used = r->direct_used;
		out->avail = avail_index(r);
	}
}
