/* SPDX-License-Identifier: BSD-3-Clause */
#include "device.h"

#include <linux/virtio_config.h>
#include <stddef.h>

#include "vendor.h"

static uint32_t
bits(const struct device *d)
{
	return (d->conf.positions ? VENDOR_POSITIONS : 0) | (d->conf.logging ? VENDOR_LOGGING : 0);
}

static bool
access_fits(struct device *d, uint32_t offset, uint32_t len)
{
	uint32_t width = offset == VENDOR_R_QUEUE ? 2 : 4;

	if (bits(d) != 0 && len == width && offset % 4 == 0 && offset < VENDOR_SIZE)
		return true;
	device_violation(d, "vendor capability: %u bytes at 0x%x", len, offset);
	return false;
}

static struct ring *
selected(struct device *d)
{
	if (d->conf.positions && d->vendor_queue < d->n_rings)
		return &d->rings[d->vendor_queue];
	device_violation(d, "vendor capability: position of queue %u", d->vendor_queue);
	return NULL;
}

/* A ring that runs has no position that anybody could use. */
static uint32_t
position_read(struct device *d, bool avail)
{
	struct ring *r = selected(d);

	if (r == NULL)
		return 0;
	if ((d->status & VIRTIO_CONFIG_S_DRIVER_OK) == 0 || !r->enabled)
		return avail ? r->start_avail : r->start_used;
	if (!d->frozen)
		device_violation(d, "vendor capability: position of queue %u that runs", r->index);
	return avail ? queue_avail(&r->q) : queue_used(&r->q);
}

static void
position_write(struct device *d, bool avail, uint32_t value)
{
	struct ring *r = selected(d);

	if (r == NULL)
		return;
	if (r->enabled || value > UINT16_MAX) {
		device_violation(d, "vendor capability: queue %u: position 0x%x %s", r->index,
				 value, r->enabled ? "after it was enabled" : "is none");
		return;
	}
	r->position_set = true;
	if (avail)
		r->start_avail = (uint16_t)value;
	else
		r->start_used = (uint16_t)value;
}

/* What was looked at and not delivered is still the driver's to send. */
static void
freeze(struct device *d)
{
	if ((d->status & VIRTIO_CONFIG_S_NEEDS_RESET) != 0) {
		d->frozen = true;       /* it stands already */
		return;
	}
	if (!device_running(d)) {
		device_violation(d, "vendor capability: frozen while it does not run");
		return;
	}
	wire_settle();
	for (unsigned int i = 0; i < d->n_rings; i++) {
		struct ring *r = &d->rings[i];

		if (r->peeked)
			queue_back(&r->q, r->before);
		r->peeked = false;
	}
	d->frozen = true;
}

static void
log_enable(struct device *d, uint32_t value)
{
	struct dma *dma = &d->dma;

	if (!d->conf.logging)
		device_violation(d, "vendor capability: no logging");
	else if (value != 0 && !dma_reaches(dma, dma->log_base, dma->log_size, true))
		device_violation(d, "vendor capability: the log is not mapped");
	else
		dma->logging = value != 0;
}

static void
half_write(struct device *d, uint64_t *reg, bool high, uint32_t value)
{
	if (d->dma.logging)
		device_violation(d, "vendor capability: the log moves while it is written");
	else if (high)
		*reg = (*reg & UINT32_MAX) | (uint64_t)value << 32;
	else
		*reg = (*reg & ~(uint64_t)UINT32_MAX) | value;
}

uint32_t
vendor_read(struct device *d, uint32_t offset, uint32_t len)
{
	if (!access_fits(d, offset, len))
		return 0;
	switch (offset) {
	case VENDOR_R_ID:
		return VENDOR_ID;
	case VENDOR_R_BITS:
		return bits(d);
	case VENDOR_R_QUEUE:
		return d->vendor_queue;
	case VENDOR_R_AVAIL:
	case VENDOR_R_USED:
		return position_read(d, offset == VENDOR_R_AVAIL);
	case VENDOR_R_FREEZE:
		return d->frozen && !fault_on(d, FAULT_stuck_stop);
	case VENDOR_R_LOG_BASE:
		return (uint32_t)d->dma.log_base;
	case VENDOR_R_LOG_BASE + 4:
		return (uint32_t)(d->dma.log_base >> 32);
	case VENDOR_R_LOG_SIZE:
		return (uint32_t)d->dma.log_size;
	case VENDOR_R_LOG_SIZE + 4:
		return (uint32_t)(d->dma.log_size >> 32);
	default:
		return offset == VENDOR_R_LOG_ENABLE ? d->dma.logging : 0;
	}
}

void
vendor_write(struct device *d, uint32_t offset, uint32_t value, uint32_t len)
{
	if (!access_fits(d, offset, len))
		return;
	switch (offset) {
	case VENDOR_R_QUEUE:
		d->vendor_queue = (uint16_t)value;
		break;
	case VENDOR_R_AVAIL:
	case VENDOR_R_USED:
		position_write(d, offset == VENDOR_R_AVAIL, value);
		break;
	case VENDOR_R_FREEZE:
		if (value != 1)
			device_violation(d, "vendor capability: freeze %u", value);
		else if (!d->frozen)
			freeze(d);
		break;
	case VENDOR_R_LOG_BASE:
	case VENDOR_R_LOG_BASE + 4:
		half_write(d, &d->dma.log_base, offset != VENDOR_R_LOG_BASE, value);
		break;
	case VENDOR_R_LOG_SIZE:
	case VENDOR_R_LOG_SIZE + 4:
		half_write(d, &d->dma.log_size, offset != VENDOR_R_LOG_SIZE, value);
		break;
	case VENDOR_R_LOG_ENABLE:
		log_enable(d, value);
		break;
	default:
		device_violation(d, "vendor capability: 0x%x is read-only", offset);
	}
}
