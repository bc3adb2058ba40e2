/* SPDX-License-Identifier: BSD-3-Clause */
#include "device.h"

#include "bus.h"
#include "log.h"

#include <rte_common.h>
#include <rte_dev.h>

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <string.h>

#define SHADOW_SIZE_MIN 256
#define IOVA_ALIGN      (2ULL << 20)

/* memory */

static uint16_t
shadow_size(const struct ring *r)
{
	uint32_t largest = rte_align32prevpow2(r->dev->queue_sizes[r->queue]);
	uint32_t wanted = rte_align32pow2(RTE_MAX(r->size, SHADOW_SIZE_MIN));
	uint32_t size = RTE_MIN(largest, wanted);

	return (uint16_t)RTE_MIN(size, 32768u);
}

static uint64_t
shadow_bytes(const struct ring *r)
{
	size_t n = shadow_dev_bytes(shadow_size(r), device_shadow_features(r->dev));

	return RTE_ALIGN_CEIL((uint64_t)n, (uint64_t)OWN_ALIGN);
}

/* The device's log has a bit for each page that it can write: the guest's, then those of our own. */
static uint64_t
log_bytes(const struct device *d, uint64_t own)
{
	uint64_t end = mem_end(&d->mem, IOVA_ALIGN) + own, bytes;

	if (d->mode != MODE_DIRECT || !device_can(d, QUIRK_LOGGING))
		return 0;
	bytes = (end >> MARK_PAGE_SHIFT >> 3) + OWN_ALIGN;      /* and the log's own pages */
	return RTE_ALIGN_CEIL(bytes + (bytes >> MARK_PAGE_SHIFT >> 3), (uint64_t)OWN_ALIGN);
}

static int
memory_map(struct device *d)
{
	uint64_t size = CTRL_BYTES;
	struct ring *r;
	int rc;

	d->log = (struct own_part){ 0 };
	EACH_STARTED(d, r)
		size += shadow_bytes(r);
	size += (uint64_t)device_pairs(d) * 2 * CTRL_BYTES;
	d->log_bytes = log_bytes(d, size);
	rc = own_reserve(&d->own, size + d->log_bytes);
	if (rc == 0)
		rc = mem_map(&d->mem, d->bus);
	if (rc == 0)
		rc = own_map(&d->own, d->bus, mem_end(&d->mem, IOVA_ALIGN));
	if (rc == 0 && d->log_bytes > 0)
		d->log = own_take(&d->own, d->log_bytes);
	return rc;
}

/* rings */

shadow_mark_t
device_mark(const struct device *d)
{
	return d->logging ? ring_mark : NULL;
}

static int
ring_shadow(struct ring *r)
{
	struct device *d = r->dev;
	struct own_part part = own_take(&d->own, shadow_bytes(r));
	const struct shadow_opts opts = {
		.mem = &d->mem, .features = d->features,
		.desc = r->desc_gpa, .driver = r->driver_gpa, .device = r->device_gpa,
		.size = r->size, .pos = r->pos, .tx = ring_is_tx(r),
		.dev_features = device_shadow_features(d),
		.dev_size = shadow_size(r), .dev_mem = part.va, .dev_iova = part.iova,
		.mark = device_mark(d), .mark_arg = r,
	};

	return shadow_create(&r->shadow, &opts);
}

/* On the guest's ring the device itself asks for kicks; what another left there is undone. */
static void
ring_direct(struct ring *r)
{
	shadow_arm(r->shadow, SHADOW_GUEST);
	shadow_destroy(r->shadow);
	r->shadow = NULL;
	r->split_used = !device_has(r->dev, VIRTIO_F_RING_PACKED);
	r->direct_used = r->pos;
}

static int
rings_make(struct device *d)
{
	struct ring *r;

	EACH_STARTED(d, r) {
		int rc;

		if (r->bad != SHADOW_BAD_NONE)
			continue;
		rc = ring_shadow(r);
		if (rc < 0)
			return rc;
		r->bad = shadow_bad(r->shadow);
		/* A direct ring that is not enabled is none of the device's. */
		r->on_device = r->bad == SHADOW_BAD_NONE &&
			       (d->mode == MODE_SHADOW || r->enabled);
		if (r->on_device && d->mode == MODE_DIRECT)
			ring_direct(r);
	}
	return 0;
}

static void
queue_of(const struct ring *r, struct pci_queue *out)
{
	struct shadow_queue q = { r->desc_gpa, r->driver_gpa, r->device_gpa, r->size };

	if (r->shadow != NULL)
		shadow_queue(r->shadow, &q);
	*out = (struct pci_queue){
		.size = q.size, .vector = (uint16_t)(1 + r->queue),
		.desc = q.desc, .driver = q.driver, .device = q.device,
	};
}

/* Pairs are used from the first to the last: one with a ring that nobody serves has an empty one. */
static void
spare_set(struct device *d, uint16_t queue)
{
	struct own_part part = own_take(&d->own, CTRL_BYTES);
	const struct pci_queue q = {
		.size = RTE_MIN(d->queue_sizes[queue], (uint16_t)8), .vector = UINT16_MAX,
		.desc = part.iova, .driver = part.iova + 0x100, .device = part.iova + 0x200,
	};

	pci_queue_set(&d->pci, queue, &q);
	pci_queue_enable(&d->pci, queue);
}

static void
spares_set(struct device *d)
{
	uint16_t n = device_pairs(d);

	for (uint16_t i = 0; n > 1 && i < 2 * n; i++)
		if (i >= d->n_rings || !d->rings[i].on_device)
			spare_set(d, i);
}

static void
queues_set(struct device *d)
{
	struct pci_queue q;
	struct ring *r;

	EACH_STARTED(d, r) {
		if (!r->on_device)
			continue;
		queue_of(r, &q);
		pci_queue_set(&d->pci, r->queue, &q);
		if (d->mode == MODE_DIRECT && device_can(d, QUIRK_POSITIONS))
			d->quirk->pos_set(&d->pci, r->queue, r->pos, r->pos);
		pci_queue_enable(&d->pci, r->queue);
	}
}

static int
irqs_set(struct device *d, bool on)
{
	int fds[DEVICE_QUEUES_MAX];

	memset(fds, -1, sizeof(fds));
	for (uint16_t i = 0; on && i < d->n_rings; i++) {
		const struct ring *r = &d->rings[i];

		if (r->on_device)
			fds[1 + i] = r->shadow != NULL ? r->irqfd : r->callfd;
	}
	if (on)
		fds[0] = d->config_fd;
	return bus_irq_set(d->bus, 0, 1u + d->n_rings, fds);
}

/* start and stop */

static int
bring_up(struct device *d)
{
	int rc;

	pci_begin(&d->pci);
	rc = pci_negotiate(&d->pci, device_driver_features(d));
	if (rc == 0)
		rc = irqs_set(d, true);
	if (rc < 0)
		return rc;
	pci_config_vector(&d->pci, 0);
	queues_set(d);
	spares_set(d);
	rc = control_start(d);
	if (rc == 0 && d->logging)
		rc = direct_log(d, true);
	pci_status_add(&d->pci, VIRTIO_CONFIG_S_DRIVER_OK);
	return rc < 0 ? rc : pci_error(&d->pci);
}

static enum failure
failure_of(int rc)
{
	switch (rc) {
	case -ENODEV:
		return FAILURE_REMOVED;
	case -ETIMEDOUT:
		return FAILURE_TIMEOUT;
	case -ENOTSUP:
		return FAILURE_FEATURES;
	case -EIO:
		return FAILURE_CONTROL;
	default:
		return FAILURE_DRIVER;
	}
}

enum failure
failure_of_fault(enum shadow_fault fault)
{
	switch (fault) {
	case SHADOW_FAULT_INDEX:
		return FAILURE_INDEX;
	case SHADOW_FAULT_ID:
		return FAILURE_ID;
	default:
		return FAILURE_LENGTH;
	}
}

void
device_blame(struct device *d, enum failure why)
{
	if (d->failure != FAILURE_NONE)
		return;
	d->failure = why;
	d->notify = true;
}

static int
blame(struct device *d, int rc, enum failure why)
{
	if (rc < 0)
		device_blame(d, why);
	return rc;
}

static int
start(struct device *d)
{
	int rc = memory_map(d);

	if (rc < 0)
		return blame(d, rc, rc == -ENODEV ? FAILURE_REMOVED : FAILURE_MEMORY);
	rc = rings_make(d);
	if (rc == 0)
		rc = bring_up(d);
	if (rc < 0)
		return blame(d, rc, failure_of(rc));
	d->running = true;
	rc = control_commands(d);
	return blame(d, rc, rc == -ENODEV ? FAILURE_REMOVED : FAILURE_CONTROL);
}

static void
rings_wake(struct device *d)
{
	struct ring *r;

	EACH_STARTED(d, r) {
		atomic_store(&r->kicked, true);
		relay_watch(d, r);
	}
	relay_wake(d);
}

/*
 * A device that finds a bad chain as soon as it starts answers nothing any more, its control queue
 * neither: that is the guest's fault, which shadow rings name.
 */
static bool
stumbles(struct device *d)
{
	uint8_t status;

	if (d->mode != MODE_DIRECT || d->args.mode == MODE_DIRECT || d->healed)
		return false;
	pci_begin(&d->pci);
	status = pci_status(&d->pci);
	return pci_error(&d->pci) == 0 && (status & VIRTIO_CONFIG_S_NEEDS_RESET) != 0;
}

static int
start_again(struct device *d)
{
	LOG(WARNING, "%s: asks for a reset as it starts; going on with shadow rings", d->bus->name);
	d->failure = FAILURE_NONE;
	d->notify = false;
	d->healed = true;
	d->keep_shadow = true;
	device_stop(d);
	return d->failure == FAILURE_NONE ? device_start(d) : -EIO;
}

int
device_start(struct device *d)
{
	const char *why;
	int rc;

	d->mode = device_mode(d, &why);
	if (d->mode == MODE_AUTO) {
		LOG(ERR, "%s: mode=direct is not possible: %s", d->bus->name, why);
		return -ENOTSUP;
	}
	rc = start(d);
	if (rc < 0 && stumbles(d))
		return start_again(d);
	if (rc < 0) {
		LOG(ERR, "%s: does not start: %s (%s)", d->bus->name, strerror(-rc),
		    failure_texts[d->failure]);
		device_stop(d);
		return rc;
	}
	LOG(INFO, "%s: %s mode: %s", d->bus->name, d->mode == MODE_DIRECT ? "direct" : "shadow",
	    why);
	rings_wake(d);
	return 0;
}

/*
 * Memory is taken away before anything of it is read for good: a device that writes after it has
 * said that it stands cannot change what was read.
 */
void
device_stop(struct device *d)
{
	struct ring *r;
	int rc;

	pci_begin(&d->pci);
	direct_positions_take(d);
	pci_begin(&d->pci);
	rc = pci_reset(&d->pci);
	blame(d, rc, rc == -ENODEV ? FAILURE_REMOVED : FAILURE_RESET);
	irqs_set(d, false);
	own_unmap(&d->own, d->bus);
	mem_unmap(&d->mem, d->bus);
	device_log_sync(d);
	d->log = (struct own_part){ 0 };
	EACH_STARTED(d, r)
		ring_settle(r);
	d->running = false;
	d->has_ctrl = false;
}

int
device_restart(struct device *d)
{
	int rc;

	device_stop(d);
	rc = d->failure == FAILURE_NONE ? device_start(d) : -EIO;
	if (rc < 0)
		device_fail(d, failure_of(rc));
	return rc;
}

void
device_fail(struct device *d, enum failure why)
{
	device_blame(d, why);
	if (d->running)
		device_stop(d);
	LOG(ERR, "%s: failed: %s", d->bus->name, failure_texts[d->failure]);
	relay_wake(d);
}
