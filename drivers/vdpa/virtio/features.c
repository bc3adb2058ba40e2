/* SPDX-License-Identifier: BSD-3-Clause */
#include "device.h"

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#define BIT(n) (1ULL << (n))

/* Features of frames, not of rings: what the guest negotiated is what its device does. */
#define FRAME_FEATURES \
	(BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_MRG_RXBUF) | \
	 BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6) | \
	 BIT(VIRTIO_NET_F_GUEST_ECN) | BIT(VIRTIO_NET_F_GUEST_UFO) | \
	 BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6) | \
	 BIT(VIRTIO_NET_F_HOST_ECN) | BIT(VIRTIO_NET_F_HOST_UFO))

#define RING_FEATURES \
	(BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_RING_F_EVENT_IDX) | \
	 BIT(VIRTIO_F_RING_PACKED) | BIT(VIRTIO_F_IN_ORDER))

/* What a split ring of our own uses, where the device has it. */
#define SHADOW_FEATURES (BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_RING_F_EVENT_IDX))

/* What the driver wants for itself. */
#define OWN_FEATURES \
	(BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_STATUS) | BIT(VIRTIO_NET_F_CTRL_VQ) | \
	 BIT(VIRTIO_NET_F_CTRL_RX))

#define MUST_FEATURES (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM))

uint64_t
device_features(const struct device *d)
{
	uint64_t f = d->pci.features & (FRAME_FEATURES | BIT(VIRTIO_NET_F_MTU));
	uint64_t ring = RING_FEATURES;

	if (d->args.mode == MODE_DIRECT) {
		ring &= d->pci.features;
		if (!device_can(d, QUIRK_POSITIONS))
			ring &= ~BIT(VIRTIO_F_RING_PACKED);
	}
	if (d->n_pairs_max > 1)
		f |= BIT(VIRTIO_NET_F_MQ);
	/* Those are between a guest and its front-end. */
	f |= BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX) |
	     BIT(VIRTIO_NET_F_GUEST_ANNOUNCE);
	return f | ring | BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ANY_LAYOUT);
}

uint64_t
device_shadow_features(const struct device *d)
{
	return SHADOW_FEATURES & d->pci.features;
}

uint64_t
device_driver_features(const struct device *d)
{
	uint64_t ring = d->mode == MODE_DIRECT ? d->features & RING_FEATURES : SHADOW_FEATURES;
	uint64_t mq = device_wants_mq(d) ? BIT(VIRTIO_NET_F_MQ) : 0;

	return ((d->features & FRAME_FEATURES) | ring | OWN_FEATURES | mq | MUST_FEATURES) &
	       d->pci.features;
}

static bool
is_fresh(const struct ring *r)
{
	const struct vring_used *used = r->device;

	if (device_has(r->dev, VIRTIO_F_RING_PACKED))
		return r->pos == BIT(15);
	return r->pos == 0 && __atomic_load_n(&used->idx, __ATOMIC_RELAXED) == 0;
}

enum mode
device_mode(struct device *d, const char **why)
{
	struct mode_facts f = {
		.wanted = d->args.mode,
		.kept = d->keep_shadow,
		.logging = d->logging,
		.fresh = true,
		.packed = device_has(d, VIRTIO_F_RING_PACKED),
		.ring_features = (d->features & RING_FEATURES & ~d->pci.features) == 0,
		.sizes = true,
		.positions = device_can(d, QUIRK_POSITIONS),
		.log = device_can(d, QUIRK_LOGGING),
	};
	struct ring *r;

	EACH_STARTED(d, r) {
		if (r->bad != SHADOW_BAD_NONE)
			continue;
		f.fresh = f.fresh && is_fresh(r);
		f.sizes = f.sizes && r->size <= d->queue_sizes[r->queue];
	}
	return mode_choose(&f, why);
}
