/* SPDX-License-Identifier: BSD-3-Clause */
#include "device.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <stddef.h>
#include <string.h>

#include "vendor.h"

uint32_t
regs_notify_step(const struct device *d)
{
	return d->conf.page_per_vq ? 4096 : 4;
}

uint32_t
regs_size(const struct device *d)
{
	uint32_t need = REGS_NOTIFY + regs_notify_step(d) * d->n_rings, size = 0x4000;

	while (size < need)
		size *= 2;
	return size;
}

/* Common configuration: what a driver may read and write, and how wide each field is. */

struct field {
	uint16_t offset, width;
};

static const struct field fields[] = {
	{ VIRTIO_PCI_COMMON_DFSELECT, 4 }, { VIRTIO_PCI_COMMON_DF, 4 },
	{ VIRTIO_PCI_COMMON_GFSELECT, 4 }, { VIRTIO_PCI_COMMON_GF, 4 },
	{ VIRTIO_PCI_COMMON_MSIX, 2 }, { VIRTIO_PCI_COMMON_NUMQ, 2 },
	{ VIRTIO_PCI_COMMON_STATUS, 1 }, { VIRTIO_PCI_COMMON_CFGGENERATION, 1 },
	{ VIRTIO_PCI_COMMON_Q_SELECT, 2 }, { VIRTIO_PCI_COMMON_Q_SIZE, 2 },
	{ VIRTIO_PCI_COMMON_Q_MSIX, 2 }, { VIRTIO_PCI_COMMON_Q_ENABLE, 2 },
	{ VIRTIO_PCI_COMMON_Q_NOFF, 2 },
	{ VIRTIO_PCI_COMMON_Q_DESCLO, 4 }, { VIRTIO_PCI_COMMON_Q_DESCHI, 4 },
	{ VIRTIO_PCI_COMMON_Q_AVAILLO, 4 }, { VIRTIO_PCI_COMMON_Q_AVAILHI, 4 },
	{ VIRTIO_PCI_COMMON_Q_USEDLO, 4 }, { VIRTIO_PCI_COMMON_Q_USEDHI, 4 },
};

static bool
common_field(struct device *d, uint32_t offset, uint32_t len)
{
	for (unsigned int i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (fields[i].offset == offset && fields[i].width == len)
			return true;
	}
	device_violation(d, "common configuration: %u bytes at 0x%x", len, offset);
	return false;
}

static struct ring *
selected(struct device *d)
{
	return d->queue_select < d->n_rings ? &d->rings[d->queue_select] : NULL;
}

static uint32_t
half(uint64_t value, uint32_t which)
{
	return which > 1 ? 0 : (uint32_t)(value >> 32 * which);
}

static void
half_set(uint64_t *value, uint32_t which, uint32_t to)
{
	uint64_t mask = UINT64_C(0xffffffff) << 32 * which;

	*value = (*value & ~mask) | (uint64_t)to << 32 * which;
}

static uint32_t
ring_field_read(struct device *d, uint32_t offset)
{
	struct ring *r = selected(d);

	if (r == NULL)
		return offset == VIRTIO_PCI_COMMON_Q_MSIX ? NO_VECTOR : 0;
	switch (offset) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		return r->size;
	case VIRTIO_PCI_COMMON_Q_MSIX:
		r->vector_unread = false;
		return r->vector;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		return r->enabled;
	case VIRTIO_PCI_COMMON_Q_NOFF:
		return r->index;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		return half(r->desc, offset == VIRTIO_PCI_COMMON_Q_DESCHI);
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		return half(r->driver, offset == VIRTIO_PCI_COMMON_Q_AVAILHI);
	default:
		return half(r->device, offset == VIRTIO_PCI_COMMON_Q_USEDHI);
	}
}

static uint32_t
common_read(struct device *d, uint32_t offset)
{
	switch (offset) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		return d->offered_select;
	case VIRTIO_PCI_COMMON_DF:
		return half(d->offered, d->offered_select);
	case VIRTIO_PCI_COMMON_GFSELECT:
		return d->features_select;
	case VIRTIO_PCI_COMMON_GF:
		return half(d->features, d->features_select);
	case VIRTIO_PCI_COMMON_MSIX:
		return d->config_vector;
	case VIRTIO_PCI_COMMON_NUMQ:
		return d->n_rings;
	case VIRTIO_PCI_COMMON_STATUS:
		return device_status_read(d);
	case VIRTIO_PCI_COMMON_CFGGENERATION:
		return d->generation;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		return d->queue_select;
	default:
		return ring_field_read(d, offset);
	}
}

static void
features_write(struct device *d, uint32_t value)
{
	if ((d->status & VIRTIO_CONFIG_S_FEATURES_OK) != 0)
		device_violation(d, "features after FEATURES_OK");
	else if ((d->status & VIRTIO_CONFIG_S_DRIVER) == 0)
		device_violation(d, "features before DRIVER");
	else if (d->features_select <= 1)
		half_set(&d->features, d->features_select, value);
	else if (value != 0)
		device_violation(d, "features 0x%x of word %u", value, d->features_select);
}

/* A vector beyond the table does not stay: the driver reads that none is set. */
static uint16_t
vector_of(uint32_t value)
{
	return value < VECTORS_MAX ? (uint16_t)value : NO_VECTOR;
}

static void
ring_size_write(struct ring *r, uint32_t size)
{
	bool packed = device_has(r->dev, VIRTIO_F_RING_PACKED);

	if (size == 0 || size > r->dev->conf.size || (!packed && (size & (size - 1)) != 0))
		device_violation(r->dev, "queue %u: size %u", r->index, size);
	else
		r->size = (uint16_t)size;
}

static void
ring_enable(struct ring *r, uint32_t value)
{
	struct device *d = r->dev;
	bool packed = device_has(d, VIRTIO_F_RING_PACKED);

	if (value != 1) {
		device_violation(d, "queue %u: queue_enable %u", r->index, value);
		return;
	}
	if ((d->status & VIRTIO_CONFIG_S_FEATURES_OK) == 0)
		device_violation(d, "queue %u: enabled before FEATURES_OK", r->index);
	if ((d->status & VIRTIO_CONFIG_S_DRIVER_OK) != 0)
		device_violation(d, "queue %u: enabled after DRIVER_OK", r->index);
	else if ((r->desc & 15) != 0 || (r->driver & (packed ? 3 : 1)) != 0 || (r->device & 3) != 0)
		device_violation(d, "queue %u: areas are not aligned", r->index);
	else
		r->enabled = true;
}

static void
ring_field_write(struct ring *r, uint32_t offset, uint32_t value)
{
	switch (offset) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		ring_size_write(r, value);
		break;
	case VIRTIO_PCI_COMMON_Q_MSIX:
		r->vector = vector_of(value);
		r->vector_unread = value != NO_VECTOR;
		break;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		ring_enable(r, value);
		break;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		half_set(&r->desc, offset == VIRTIO_PCI_COMMON_Q_DESCHI, value);
		break;
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		half_set(&r->driver, offset == VIRTIO_PCI_COMMON_Q_AVAILHI, value);
		break;
	case VIRTIO_PCI_COMMON_Q_USEDLO:
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		half_set(&r->device, offset == VIRTIO_PCI_COMMON_Q_USEDHI, value);
		break;
	default:
		device_violation(r->dev, "common configuration: 0x%x is read-only", offset);
	}
}

static void
ring_write(struct device *d, uint32_t offset, uint32_t value)
{
	struct ring *r = selected(d);

	if (r == NULL)
		device_violation(d, "queue %u does not exist", d->queue_select);
	else if (d->stopping)
		device_violation(d, "queue %u: set up while a reset is under way", r->index);
	else if (r->enabled && offset != VIRTIO_PCI_COMMON_Q_MSIX)
		device_violation(d, "queue %u: changed while it is enabled", r->index);
	else
		ring_field_write(r, offset, value);
}

static void
common_write(struct device *d, uint32_t offset, uint32_t value)
{
	switch (offset) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		d->offered_select = value;
		break;
	case VIRTIO_PCI_COMMON_GFSELECT:
		d->features_select = value;
		break;
	case VIRTIO_PCI_COMMON_GF:
		features_write(d, value);
		break;
	case VIRTIO_PCI_COMMON_MSIX:
		d->config_vector = vector_of(value);
		break;
	case VIRTIO_PCI_COMMON_STATUS:
		device_status_write(d, (uint8_t)value);
		break;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		d->queue_select = (uint16_t)value;
		break;
	case VIRTIO_PCI_COMMON_DF:
	case VIRTIO_PCI_COMMON_NUMQ:
	case VIRTIO_PCI_COMMON_CFGGENERATION:
		device_violation(d, "common configuration: 0x%x is read-only", offset);
		break;
	default:
		ring_write(d, offset, value);
	}
}

/* Device configuration */

static void
config_read(struct device *d, uint32_t offset, uint8_t *to, uint32_t len)
{
	struct virtio_net_config c = {
		.status = (d->link_up ? VIRTIO_NET_S_LINK_UP : 0) |
			  (d->announce ? VIRTIO_NET_S_ANNOUNCE : 0),
		.max_virtqueue_pairs = d->conf.pairs,
		.mtu = d->conf.mtu,
	};

	memcpy(c.mac, d->mac, sizeof(c.mac));
	memset(to, 0, len);
	if (offset >= sizeof(c))
		return;
	if (len > sizeof(c) - offset)
		len = (uint32_t)sizeof(c) - offset;
	memcpy(to, (const uint8_t *)&c + offset, len);
}

/* With VERSION_1 there is nothing in it that a driver may write. */
static void
config_write(struct device *d, uint32_t offset, uint32_t len)
{
	device_violation(d, "device configuration: %u bytes written at 0x%x", len, offset);
}

/* BAR 4 */

static void
notify_write(struct device *d, uint32_t offset, uint32_t value, uint32_t len)
{
	uint32_t index = offset / regs_notify_step(d);

	if (len != 2 || offset % regs_notify_step(d) != 0 || value != index)
		device_violation(d, "doorbell: %u bytes, %u at 0x%x", len, value, offset);
	device_doorbell(d, index);
}

void
regs_read(struct device *d, uint64_t offset, void *to, uint32_t len)
{
	uint32_t value = 0;

	memset(to, 0, len);
	if (fault_on(d, FAULT_ones)) {
		memset(to, 0xff, len);
	} else if (offset >= REGS_CONFIG && offset < REGS_VENDOR) {
		config_read(d, (uint32_t)offset - REGS_CONFIG, to, len);
	} else if (offset < REGS_ISR && common_field(d, (uint32_t)offset, len)) {
		value = common_read(d, (uint32_t)offset);
		memcpy(to, &value, len);
	} else if (offset == REGS_ISR && len == 1) {
		memcpy(to, &d->isr, 1);
		d->isr = 0;
	} else if (offset >= REGS_VENDOR && offset < REGS_NOTIFY) {
		value = vendor_read(d, (uint32_t)offset - REGS_VENDOR, len);
		memcpy(to, &value, len < sizeof(value) ? len : sizeof(value));
	}
}

void
regs_write(struct device *d, uint64_t offset, const void *from, uint32_t len)
{
	uint32_t value = 0;

	memcpy(&value, from, len < sizeof(value) ? len : sizeof(value));
	if (fault_on(d, FAULT_ones))
		return;
	if (offset < REGS_ISR && common_field(d, (uint32_t)offset, len))
		common_write(d, (uint32_t)offset, value);
	else if (offset >= REGS_CONFIG && offset < REGS_VENDOR)
		config_write(d, (uint32_t)offset - REGS_CONFIG, len);
	else if (offset >= REGS_VENDOR && offset < REGS_NOTIFY)
		vendor_write(d, (uint32_t)offset - REGS_VENDOR, value, len);
	else if (offset >= REGS_NOTIFY)
		notify_write(d, (uint32_t)offset - REGS_NOTIFY, value, len);
}
