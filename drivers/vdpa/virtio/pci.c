/* SPDX-License-Identifier: BSD-3-Clause */
#include "pci.h"

#include "bus.h"

#include <rte_io.h>

#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_pci.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define VENDOR_VIRTIO       0x1af4
#define DEVICE_NET          0x1041
#define DEVICE_NET_TRANSIT  0x1000      /* transitional: has the modern structures, too */
#define CAP_VENDOR          9           /* cfg_type: vendor data */
#define CAPS_MAX            48
#define POLL_US             100

static uint64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static uint64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

void
pci_begin(struct pci *p)
{
	p->error = 0;
	p->deadline_ms = now_ms() + PCI_BUDGET_MS;
}

int
pci_error(const struct pci *p)
{
	return p->error;
}

static bool
may_access(struct pci *p)
{
	if (p->error == 0 && now_ms() > p->deadline_ms)
		p->error = -ETIMEDOUT;
	return p->error == 0;
}

uint32_t
pci_read(struct pci *p, const struct pci_cap *cap, uint32_t off, uint32_t len)
{
	uint32_t v = 0;

	if (!may_access(p))
		return UINT32_MAX;
	p->error = off + len <= cap->len ?
		bus_bar_read(p->bus, cap->bar, cap->off + off, &v, len) : -EINVAL;
	return p->error == 0 ? v : UINT32_MAX;
}

void
pci_write(struct pci *p, const struct pci_cap *cap, uint32_t off, uint32_t len, uint32_t value)
{
	if (!may_access(p))
		return;
	p->error = off + len <= cap->len ?
		bus_bar_write(p->bus, cap->bar, cap->off + off, &value, len) : -EINVAL;
}

void
pci_write64(struct pci *p, const struct pci_cap *cap, uint32_t off, uint64_t value)
{
	pci_write(p, cap, off, 4, (uint32_t)value);
	pci_write(p, cap, off + 4, 4, (uint32_t)(value >> 32));
}

static uint32_t
common(struct pci *p, uint32_t off, uint32_t len)
{
	return pci_read(p, &p->common, off, len);
}

static void
common_set(struct pci *p, uint32_t off, uint32_t len, uint32_t value)
{
	pci_write(p, &p->common, off, len, value);
}

/* No device has all bits of its status: 0xff is what a bus gives for one that has left. */
uint8_t
pci_status(struct pci *p)
{
	uint8_t s = (uint8_t)common(p, VIRTIO_PCI_COMMON_STATUS, 1);

	if (s == 0xff && p->error == 0)
		p->error = -ENODEV;
	return s;
}

void
pci_status_add(struct pci *p, uint8_t bits)
{
	uint8_t s = pci_status(p);

	common_set(p, VIRTIO_PCI_COMMON_STATUS, 1, (uint32_t)s | bits);
}

/* Most devices are there at once; after a millisecond it no longer pays to ask all the time. */
static int
wait_reset(struct pci *p)
{
	uint64_t begin = now_us();

	for (;;) {
		uint8_t s = pci_status(p);
		uint64_t us = now_us() - begin;

		if (p->error != 0)
			return p->error;
		if (s == 0)
			return 0;
		if (us > PCI_RESET_MS * 1000ULL)
			return -ETIMEDOUT;
		if (us > 1000)
			usleep(POLL_US);
	}
}

static void
bus_master(struct pci *p)
{
	uint16_t command = 0;

	if (bus_cfg_read(p->bus, PCI_COMMAND, &command, 2) < 0)
		return;
	command |= PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	bus_cfg_write(p->bus, PCI_COMMAND, &command, 2);
}

int
pci_reset(struct pci *p)
{
	int rc;

	common_set(p, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	rc = wait_reset(p);
	if (rc != -ETIMEDOUT || bus_reset(p->bus) < 0)
		return rc;
	bus_master(p);
	pci_begin(p);
	return wait_reset(p);
}

static uint64_t
features_read(struct pci *p)
{
	uint64_t v;

	common_set(p, VIRTIO_PCI_COMMON_DFSELECT, 4, 0);
	v = common(p, VIRTIO_PCI_COMMON_DF, 4);
	common_set(p, VIRTIO_PCI_COMMON_DFSELECT, 4, 1);
	return v | (uint64_t)common(p, VIRTIO_PCI_COMMON_DF, 4) << 32;
}

int
pci_negotiate(struct pci *p, uint64_t features)
{
	int rc = pci_reset(p);

	if (rc < 0)
		return rc;
	pci_status_add(p, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	pci_status_add(p, VIRTIO_CONFIG_S_DRIVER);
	common_set(p, VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
	common_set(p, VIRTIO_PCI_COMMON_GF, 4, (uint32_t)features);
	common_set(p, VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	common_set(p, VIRTIO_PCI_COMMON_GF, 4, (uint32_t)(features >> 32));
	pci_status_add(p, VIRTIO_CONFIG_S_FEATURES_OK);
	if ((pci_status(p) & VIRTIO_CONFIG_S_FEATURES_OK) == 0)
		return -ENOTSUP;
	return p->error;
}

/* discovery */

/* A structure that reaches over the end of its BAR is found at the first access. */
static void
cap_load(struct pci *p, uint8_t at, const struct virtio_pci_cap *c)
{
	struct pci_cap cap = { true, c->bar, c->offset, c->length };
	struct pci_cap *to = NULL;

	switch (c->cfg_type) {
	case VIRTIO_PCI_CAP_COMMON_CFG:
		to = &p->common;
		break;
	case VIRTIO_PCI_CAP_NOTIFY_CFG:
		to = &p->notify;
		break;
	case VIRTIO_PCI_CAP_DEVICE_CFG:
		to = &p->device;
		break;
	case CAP_VENDOR:
		to = &p->vendor;
		break;
	}
	if (to == NULL || to->found || cap.bar >= BUS_BARS || cap.off + cap.len < cap.off)
		return;         /* the first of a type is the one to use (4.1.4.1) */
	*to = cap;
	if (to == &p->notify)
		bus_cfg_read(p->bus, at + VIRTIO_PCI_NOTIFY_CAP_MULT, &p->notify_mult, 4);
}

static int
caps_load(struct pci *p)
{
	uint8_t at = 0;
	int rc = bus_cfg_read(p->bus, PCI_CAPABILITY_LIST, &at, 1);

	for (int steps = 0; rc == 0 && at >= 0x40 && steps < CAPS_MAX; steps++) {
		struct virtio_pci_cap c;

		at &= 0xfc;
		rc = bus_cfg_read(p->bus, at, &c, 2);
		if (rc == 0 && c.cap_vndr == PCI_CAP_ID_VNDR && at + sizeof(c) <= 256) {
			rc = bus_cfg_read(p->bus, at, &c, sizeof(c));
			if (rc == 0)
				cap_load(p, at, &c);
		}
		at = c.cap_next;
	}
	return rc;
}

static int
ids_check(struct pci *p, const char **why)
{
	uint16_t id[2] = { 0 }, sub[2] = { 0 };
	int rc = bus_cfg_read(p->bus, PCI_VENDOR_ID, id, sizeof(id));

	if (rc == 0)
		rc = bus_cfg_read(p->bus, PCI_SUBSYSTEM_VENDOR_ID, sub, sizeof(sub));
	if (rc < 0)
		return rc;
	p->subsystem_vendor = sub[0];
	p->subsystem = sub[1];
	if (id[0] != VENDOR_VIRTIO || id[1] == DEVICE_NET || id[1] == DEVICE_NET_TRANSIT)
		return 0;       /* others' devices are known by their structures */
	*why = "is a virtio device, but not for networking";
	return -ENOTSUP;
}

static int
structures_check(struct pci *p, const char **why)
{
	if (p->common.found && p->notify.found && p->device.found &&
	    p->common.len >= VIRTIO_PCI_COMMON_Q_USEDHI + 4)
		return 0;
	*why = "has no virtio 1.x structures in its configuration space";
	return -ENOTSUP;
}

static int
features_check(struct pci *p, const char **why)
{
	p->features = features_read(p);
	p->n_queues = (uint16_t)common(p, VIRTIO_PCI_COMMON_NUMQ, 2);
	if (p->error != 0)
		return p->error;
	if ((p->features & 1ULL << VIRTIO_F_VERSION_1) == 0)
		*why = "does not offer VERSION_1";
	else if ((p->features & 1ULL << VIRTIO_F_ACCESS_PLATFORM) == 0)
		*why = "does not offer ACCESS_PLATFORM: its DMA would pass by the IOMMU";
	else if (p->n_queues < 2)
		*why = "has no pair of queues";
	else if (p->n_vectors < 3)
		*why = "has fewer than 3 MSI-X vectors";
	else
		return 0;
	return -ENOTSUP;
}

int
pci_open(struct pci *p, struct bus *bus, const char **why)
{
	int rc;

	*p = (struct pci){ .bus = bus, .n_vectors = bus_irq_max(bus) };
	*why = "does not answer";
	rc = ids_check(p, why);
	if (rc == 0)
		rc = caps_load(p);
	if (rc == 0)
		rc = structures_check(p, why);
	if (rc < 0)
		return rc;
	bus_master(p);
	pci_begin(p);
	rc = pci_reset(p);
	return rc == 0 ? features_check(p, why) : rc;
}

/* configuration */

int
pci_config_read(struct pci *p, uint32_t off, void *buf, uint32_t len)
{
	uint8_t *bytes = buf;

	if (off > p->device.len || len > p->device.len - off)
		return -EINVAL;
	for (int tries = 0; tries < 8; tries++) {
		uint32_t gen = common(p, VIRTIO_PCI_COMMON_CFGGENERATION, 1);

		for (uint32_t i = 0; i < len; i++)
			bytes[i] = (uint8_t)pci_read(p, &p->device, off + i, 1);
		if (p->error != 0)
			return p->error;
		if (common(p, VIRTIO_PCI_COMMON_CFGGENERATION, 1) == gen)
			return p->error;
	}
	return -ETIMEDOUT;
}

static uint16_t
config_u16(struct pci *p, uint32_t off)
{
	return (uint16_t)pci_read(p, &p->device, off, 2);
}

static bool
offers(const struct pci *p, unsigned int bit)
{
	return (p->features >> bit & 1) != 0;
}

void
pci_net_config(struct pci *p, struct pci_net_config *out)
{
	*out = (struct pci_net_config){ .link = true, .n_pairs_max = 1 };
	if (offers(p, VIRTIO_NET_F_MAC))
		pci_config_read(p, offsetof(struct virtio_net_config, mac), out->mac, 6);
	if (offers(p, VIRTIO_NET_F_STATUS))
		out->link = (config_u16(p, offsetof(struct virtio_net_config, status)) &
			     VIRTIO_NET_S_LINK_UP) != 0;
	if (offers(p, VIRTIO_NET_F_MQ))
		out->n_pairs_max = config_u16(p, offsetof(struct virtio_net_config,
			max_virtqueue_pairs));
	if (offers(p, VIRTIO_NET_F_MTU))
		out->mtu = config_u16(p, offsetof(struct virtio_net_config, mtu));
}

/* A device that has no room for a vector says so when it is asked (4.1.5.1.2.2). */
static void
vector_set(struct pci *p, uint32_t off, uint16_t vector)
{
	common_set(p, off, 2, vector);
	if (vector != VIRTIO_MSI_NO_VECTOR && common(p, off, 2) != vector && p->error == 0)
		p->error = -ENOSPC;
}

void
pci_config_vector(struct pci *p, uint16_t vector)
{
	vector_set(p, VIRTIO_PCI_COMMON_MSIX, vector);
}

/* queues */

static void
queue_select(struct pci *p, uint16_t queue)
{
	common_set(p, VIRTIO_PCI_COMMON_Q_SELECT, 2, queue);
}

uint16_t
pci_queue_size(struct pci *p, uint16_t queue)
{
	queue_select(p, queue);
	return p->error == 0 ? (uint16_t)common(p, VIRTIO_PCI_COMMON_Q_SIZE, 2) : 0;
}

void
pci_queue_set(struct pci *p, uint16_t queue, const struct pci_queue *q)
{
	queue_select(p, queue);
	common_set(p, VIRTIO_PCI_COMMON_Q_SIZE, 2, q->size);
	vector_set(p, VIRTIO_PCI_COMMON_Q_MSIX, q->vector);
	pci_write64(p, &p->common, VIRTIO_PCI_COMMON_Q_DESCLO, q->desc);
	pci_write64(p, &p->common, VIRTIO_PCI_COMMON_Q_AVAILLO, q->driver);
	pci_write64(p, &p->common, VIRTIO_PCI_COMMON_Q_USEDLO, q->device);
}

void
pci_queue_enable(struct pci *p, uint16_t queue)
{
	queue_select(p, queue);
	common_set(p, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
}

void
pci_doorbell(struct pci *p, uint16_t queue, struct pci_doorbell *out)
{
	uint64_t off;

	queue_select(p, queue);
	off = (uint64_t)common(p, VIRTIO_PCI_COMMON_Q_NOFF, 2) * p->notify_mult;
	*out = (struct pci_doorbell){ .queue = queue, .fd = -1 };
	if (p->error == 0 && off + 2 > p->notify.len)
		p->error = -EINVAL;
	if (p->error != 0)
		return;
	out->bar = p->notify.bar;
	out->off = p->notify.off + (uint32_t)off;
	out->fd = bus_doorbell_fd(p->bus, out->bar, out->off, 2);
	if (out->fd < 0)
		out->reg = bus_bar_map(p->bus, out->bar, out->off, 2);
}

int
pci_ring(const struct pci *p, const struct pci_doorbell *d)
{
	if (d->fd >= 0)
		return eventfd_write(d->fd, 1) == 0 ? 0 : -errno;
	if (d->reg != NULL) {
		rte_write16(d->queue, d->reg);  /* a write barrier, then the store */
		return 0;
	}
	return bus_bar_write(p->bus, d->bar, d->off, &d->queue, 2);
}
