/* SPDX-License-Identifier: BSD-3-Clause */
#include "device.h"

#include "bus.h"
#include "log.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

uint16_t
device_pairs(const struct device *d)
{
	uint16_t n = 1;

	for (uint16_t i = 0; i < d->n_rings; i++)
		if (d->rings[i].started)
			n = (uint16_t)(i / 2 + 1);
	return n;
}

static uint16_t
pairs_enabled(const struct device *d)
{
	uint16_t n = 1;

	for (uint16_t i = 0; i < d->n_rings; i += 2)
		if (d->rings[i].enabled && d->rings[i].on_device)
			n = (uint16_t)(i / 2 + 1);
	return n;
}

/* Always, where it can be: so the control queue's place does not depend on the guest's pairs. */
bool
device_wants_mq(const struct device *d)
{
	return device_offers(d, VIRTIO_NET_F_MQ) && device_offers(d, VIRTIO_NET_F_CTRL_VQ) &&
	       2 * d->config.n_pairs_max < d->n_queues;
}

int
control_start(struct device *d)
{
	uint16_t queue = device_wants_mq(d) ? (uint16_t)(2 * d->config.n_pairs_max) : 2;
	bool packed = d->mode == MODE_DIRECT && device_has(d, VIRTIO_F_RING_PACKED);
	struct pci_queue q;
	int rc;

	d->has_ctrl = device_offers(d, VIRTIO_NET_F_CTRL_VQ) && queue < d->n_queues;
	if (!d->has_ctrl)
		return 0;
	rc = ctrl_init(&d->ctrl, &d->pci, &d->doors[queue], packed, d->queue_sizes[queue],
		own_take(&d->own, CTRL_BYTES), &q);
	if (rc < 0)
		return rc;
	pci_queue_set(&d->pci, queue, &q);
	pci_queue_enable(&d->pci, queue);
	return 0;
}

int
device_pairs_set(struct device *d)
{
	if (!d->has_ctrl || !device_wants_mq(d) || device_pairs(d) == 1)
		return 0;       /* one pair is what a device begins with */
	return ctrl_pairs(&d->ctrl, pairs_enabled(d));
}

/* The guest's address is its own: without being told it, the device hears all. */
int
control_commands(struct device *d)
{
	int rc = device_pairs_set(d);

	if (rc < 0 || !d->has_ctrl || !device_offers(d, VIRTIO_NET_F_CTRL_RX))
		return rc;
	rc = d->args.has_mac ? ctrl_mac(&d->ctrl, d->args.mac) : ctrl_promiscuous(&d->ctrl);
	if (rc != -EIO)
		return rc;
	LOG(WARNING, "%s: does not take %s; it hears what it hears", d->bus->name,
	    d->args.has_mac ? "a MAC address" : "promiscuous mode");
	return 0;
}
