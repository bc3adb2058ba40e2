/* SPDX-License-Identifier: BSD-3-Clause */
#include "device.h"

#include <linux/pci_regs.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_pci.h>
#include <stddef.h>
#include <string.h>

#include "vendor.h"

#define VENDOR_REDHAT    0x1af4
#define DEVICE_NET       (0x1040 + VIRTIO_ID_NET)
#define SUBSYSTEM_PLAIN  0x1100
#define CLASS_ETHERNET   0x0200

/* Where the capabilities lie. */
#define CAP_MSIX   0x40
#define CAP_COMMON 0x50
#define CAP_ISR    0x60
#define CAP_CONFIG 0x70
#define CAP_NOTIFY 0x80
#define CAP_WINDOW 0x98
#define CAP_VENDOR 0xb0

static void
put16(struct device *d, unsigned int at, uint16_t value)
{
	memcpy(&d->config[at], &value, sizeof(value));
}

static void
put32(struct device *d, unsigned int at, uint32_t value)
{
	memcpy(&d->config[at], &value, sizeof(value));
}

static bool
has_vendor(const struct device *d)
{
	return d->conf.positions || d->conf.logging;
}

static void
cap_put(struct device *d, uint8_t at, uint8_t next, uint8_t size, uint8_t type, uint32_t offset,
	uint32_t len)
{
	struct virtio_pci_cap cap = {
		.cap_vndr = PCI_CAP_ID_VNDR, .cap_next = next, .cap_len = size, .cfg_type = type,
		.bar = type == VIRTIO_PCI_CAP_PCI_CFG ? 0 : BAR_REGS,
		.offset = offset, .length = len,
	};

	memcpy(&d->config[at], &cap, sizeof(cap));
}

static void
caps_init(struct device *d)
{
	const uint8_t size = sizeof(struct virtio_pci_cap);
	uint32_t step = regs_notify_step(d);

	d->config[PCI_CAPABILITY_LIST] = CAP_MSIX;
	d->config[CAP_MSIX] = PCI_CAP_ID_MSIX;
	d->config[CAP_MSIX + 1] = CAP_COMMON;
	put16(d, CAP_MSIX + PCI_MSIX_FLAGS, VECTORS_MAX - 1);
	put32(d, CAP_MSIX + PCI_MSIX_TABLE, BAR_MSIX);
	put32(d, CAP_MSIX + PCI_MSIX_PBA, BAR_MSIX_SIZE / 2 | BAR_MSIX);
	cap_put(d, CAP_COMMON, CAP_ISR, size, VIRTIO_PCI_CAP_COMMON_CFG, REGS_COMMON,
		sizeof(struct virtio_pci_common_cfg));
	cap_put(d, CAP_ISR, CAP_CONFIG, size, VIRTIO_PCI_CAP_ISR_CFG, REGS_ISR, 1);
	cap_put(d, CAP_CONFIG, CAP_NOTIFY, size, VIRTIO_PCI_CAP_DEVICE_CFG, REGS_CONFIG,
		offsetof(struct virtio_net_config, mtu) + 2);
	cap_put(d, CAP_NOTIFY, CAP_WINDOW, size + 4, VIRTIO_PCI_CAP_NOTIFY_CFG, REGS_NOTIFY,
		step * d->n_rings);
	put32(d, CAP_NOTIFY + size, step);
	cap_put(d, CAP_WINDOW, has_vendor(d) ? CAP_VENDOR : 0, size + 4, VIRTIO_PCI_CAP_PCI_CFG,
		0, 0);
	if (has_vendor(d))
		cap_put(d, CAP_VENDOR, 0, size, VENDOR_CFG_TYPE, REGS_VENDOR, VENDOR_SIZE);
}

void
pci_init(struct device *d)
{
	put16(d, PCI_VENDOR_ID, VENDOR_REDHAT);
	put16(d, PCI_DEVICE_ID, DEVICE_NET);
	put16(d, PCI_STATUS, PCI_STATUS_CAP_LIST);
	d->config[PCI_REVISION_ID] = 1;
	put16(d, PCI_CLASS_DEVICE, CLASS_ETHERNET);
	put16(d, PCI_SUBSYSTEM_VENDOR_ID, VENDOR_REDHAT);
	put16(d, PCI_SUBSYSTEM_ID, has_vendor(d) ? VENDOR_SUBSYSTEM : SUBSYSTEM_PLAIN);
	put32(d, PCI_BASE_ADDRESS_4, PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH);
	caps_init(d);
}

/* The window: an access to a BAR by way of configuration space (clause 4.1.4.9). */

static bool
window(const struct device *d, uint64_t offset, uint32_t *at, uint32_t *len)
{
	struct virtio_pci_cap cap;

	memcpy(&cap, &d->config[CAP_WINDOW], sizeof(cap));
	*at = cap.offset;
	*len = cap.length;
	return offset == CAP_WINDOW + sizeof(cap) && cap.bar == BAR_REGS &&
	       (cap.length == 1 || cap.length == 2 || cap.length == 4) &&
	       cap.offset % cap.length == 0 && cap.offset < regs_size(d);
}

void
pci_read(struct device *d, uint64_t offset, void *to, uint32_t len)
{
	uint32_t at, size;

	if (fault_on(d, FAULT_ones)) {
		memset(to, 0xff, len);
		return;
	}
	if (window(d, offset, &at, &size))
		regs_read(d, at, &d->config[offset], size);
	memcpy(to, &d->config[offset], len);
}

/* Which bits of a byte a driver can change; sizes of BARs are found out by writing ones. */
static uint8_t
writable(const struct device *d, unsigned int at)
{
	static const uint8_t command[2] = { PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER,
					    PCI_COMMAND_INTX_DISABLE >> 8 };
	uint64_t bar4 = ~((uint64_t)regs_size(d) - 1), bar1 = ~(uint64_t)(BAR_MSIX_SIZE - 1);

	if (at == PCI_COMMAND || at == PCI_COMMAND + 1)
		return command[at - PCI_COMMAND];
	if (at >= PCI_BASE_ADDRESS_1 && at < PCI_BASE_ADDRESS_2)
		return (uint8_t)(bar1 >> 8 * (at - PCI_BASE_ADDRESS_1));
	if (at >= PCI_BASE_ADDRESS_4 && at < PCI_BASE_ADDRESS_5 + 4)
		return (uint8_t)(bar4 >> 8 * (at - PCI_BASE_ADDRESS_4));
	if (at == CAP_MSIX + PCI_MSIX_FLAGS + 1)
		return (PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL) >> 8;
	return at == CAP_WINDOW + 4 || (at >= CAP_WINDOW + 8 && at < CAP_WINDOW + 20) ? 0xff : 0;
}

void
pci_write(struct device *d, uint64_t offset, const void *from, uint32_t len)
{
	const uint8_t *bytes = from;
	uint32_t at, size;

	if (fault_on(d, FAULT_ones))
		return;
	for (uint32_t i = 0; i < len; i++) {
		uint8_t mask = writable(d, (unsigned int)offset + i);
		uint8_t *byte = &d->config[offset + i];

		*byte = (uint8_t)((*byte & ~mask) | (bytes[i] & mask));
	}
	if (window(d, offset, &at, &size))
		regs_write(d, at, &d->config[offset], size);
}
