/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PARTS         3         /* a command: head, data, answer */
#define SIZE_MAX_OURS 8         /* one command at a time */

/* One page: three areas of the ring, then the command. */
#define AT_DESC   0x000
#define AT_DRIVER 0x100
#define AT_DEVICE 0x200
#define AT_HEAD   0x300
#define AT_DATA   0x310
#define AT_ACK    0x3f0

#define POLL_US   20
#define STATUS_US 2000          /* a device that needs a reset does not answer any more */

struct part {
	uint32_t off;
	uint32_t len;
	uint16_t flags;
};

int
ctrl_init(struct ctrl *c, struct pci *pci, const struct pci_doorbell *door, bool packed,
		uint16_t size, struct own_part mem, struct pci_queue *out)
{
	if (size < PARTS)
		return -EINVAL;
	*c = (struct ctrl){ .pci = pci, .door = door, .mem = mem, .packed = packed, .wrap = true };
	c->size = size < SIZE_MAX_OURS ? size : SIZE_MAX_OURS;
	*out = (struct pci_queue){
		.size = c->size, .vector = VIRTIO_MSI_NO_VECTOR,
		.desc = mem.iova + AT_DESC,
		.driver = mem.iova + AT_DRIVER,
		.device = mem.iova + AT_DEVICE,
	};
	return 0;
}

static uint8_t *
at(const struct ctrl *c, uint32_t off)
{
	return (uint8_t *)c->mem.va + off;
}

static void
split_post(struct ctrl *c, const struct part *parts)
{
	struct vring_desc *d = (struct vring_desc *)at(c, AT_DESC);
	struct vring_avail *avail = (struct vring_avail *)at(c, AT_DRIVER);

	for (uint16_t i = 0; i < PARTS; i++)
		d[i] = (struct vring_desc){
			c->mem.iova + parts[i].off, parts[i].len, parts[i].flags, (uint16_t)(i + 1),
		};
	avail->ring[c->next % c->size] = 0;
	__atomic_store_n(&avail->idx, ++c->next, __ATOMIC_RELEASE);
}

static bool
split_done(const struct ctrl *c, uint16_t first)
{
	const struct vring_used *used = (const struct vring_used *)at(c, AT_DEVICE);

	return __atomic_load_n(&used->idx, __ATOMIC_ACQUIRE) == c->next;
}

static uint16_t
packed_flags(bool wrap)
{
	return wrap ? 1 << VRING_PACKED_DESC_F_AVAIL : 1 << VRING_PACKED_DESC_F_USED;
}

/* The first descriptor's flags come last: with them the chain is there. */
static void
packed_post(struct ctrl *c, const struct part *parts)
{
	struct vring_packed_desc *ring = (struct vring_packed_desc *)at(c, AT_DESC);
	uint16_t first = c->next, first_flags = 0;

	for (uint16_t i = 0; i < PARTS; i++) {
		struct vring_packed_desc *d = &ring[c->next];
		uint16_t flags = parts[i].flags | packed_flags(c->wrap);

		d->addr = c->mem.iova + parts[i].off;
		d->len = parts[i].len;
		if (i == 0)
			first_flags = flags;
		else
			d->flags = flags;
		if (++c->next == c->size) {
			c->next = 0;
			c->wrap = !c->wrap;
		}
	}
	__atomic_store_n(&ring[first].flags, first_flags, __ATOMIC_RELEASE);
}

/* Used: both flags as the wrap counter that the chain began with, which the driver's tells. */
static bool
packed_done(const struct ctrl *c, uint16_t first)
{
	const struct vring_packed_desc *ring = (const struct vring_packed_desc *)at(c, AT_DESC);
	uint16_t flags = __atomic_load_n(&ring[first].flags, __ATOMIC_ACQUIRE);
	bool wrap = c->next > first ? c->wrap : !c->wrap;

	return (flags >> VRING_PACKED_DESC_F_AVAIL & 1) == wrap &&
	       (flags >> VRING_PACKED_DESC_F_USED & 1) == wrap;
}

static int
wait_answer(const struct ctrl *c, uint16_t first)
{
	for (int us = 0; us < CTRL_TIMEOUT_MS * 1000; us += POLL_US) {
		if (c->packed ? packed_done(c, first) : split_done(c, first))
			return *at(c, AT_ACK) == VIRTIO_NET_OK ? 0 : -EIO;
		if (us % STATUS_US == STATUS_US - POLL_US &&
		    (pci_status(c->pci) & VIRTIO_CONFIG_S_NEEDS_RESET) != 0)
			break;
		usleep(POLL_US);
	}
	return -ETIMEDOUT;
}

static int
command(struct ctrl *c, uint8_t class, uint8_t cmd, const void *data, uint32_t len)
{
	const struct part parts[PARTS] = {
		{ AT_HEAD, 2, VRING_DESC_F_NEXT },
		{ AT_DATA, len, VRING_DESC_F_NEXT },
		{ AT_ACK, 1, VRING_DESC_F_WRITE },
	};
	uint16_t first = c->next;
	int rc;

	memcpy(at(c, AT_HEAD), (const uint8_t[]){ class, cmd }, 2);
	memcpy(at(c, AT_DATA), data, len);
	*at(c, AT_ACK) = VIRTIO_NET_ERR;
	if (c->packed)
		packed_post(c, parts);
	else
		split_post(c, parts);
	atomic_thread_fence(memory_order_seq_cst);
	rc = pci_ring(c->pci, c->door);
	return rc < 0 ? rc : wait_answer(c, first);
}

int
ctrl_pairs(struct ctrl *c, uint16_t n)
{
	return command(c, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &n, sizeof(n));
}

int
ctrl_promiscuous(struct ctrl *c)
{
	const uint8_t on = 1;

	return command(c, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, &on, sizeof(on));
}

int
ctrl_mac(struct ctrl *c, const uint8_t mac[6])
{
	const uint8_t on = 1, off = 0;
	uint8_t table[4 + 6 + 4] = { 1 };       /* one address, no groups: little endian counts */
	int rc;

	memcpy(table + 4, mac, 6);
	rc = command(c, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, table, sizeof(table));
	if (rc == 0)
		rc = command(c, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, &off, sizeof(off));
	if (rc == 0)
		rc = command(c, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLMULTI, &on, sizeof(on));
	return rc;
}
