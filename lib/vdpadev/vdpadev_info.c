/* SPDX-License-Identifier: BSD-3-Clause */
#include "vdpadev_impl.h"
#include "vdpa_abi.h"

#include <rte_bus.h>
#include <rte_common.h>
#include <rte_dev.h>
#include <rte_ether.h>

#include <linux/virtio_net.h>
#include <stdio.h>
#include <string.h>

static bool
has(const struct vdpadev_info *info, unsigned int bit)
{
	return (info->features >> bit & 1) != 0;
}

/* The device's own configuration; not all drivers can read it. */
static void
config_get(const struct rte_vdpa_device *device, int vid, struct vdpadev_info *out)
{
	struct virtio_net_config config = { 0 };

	if (device->ops->get_config == NULL ||
	    device->ops->get_config(vid, (uint8_t *)&config, sizeof(config)) != 0)
		return;
	out->config_known = true;
	out->link_up = !has(out, VIRTIO_NET_F_STATUS) ||
		       (rte_le_to_cpu_16(config.status) & VIRTIO_NET_S_LINK_UP) != 0;
	/* Guests are told their address by their front-end, so that drivers do not offer the feature
	 * to us, whatever the device has. */
	memcpy(out->mac, config.mac, sizeof(out->mac));
	out->has_mac = rte_is_valid_assigned_ether_addr((struct rte_ether_addr *)out->mac);
	if (has(out, VIRTIO_NET_F_MTU))
		out->mtu = rte_le_to_cpu_16(config.mtu);
}

static bool
notify_mapped(const struct rte_vdpa_device *device, int vid)
{
	uint64_t off, size;

	return device->ops->get_vfio_device_fd != NULL &&
	       device->ops->get_vfio_device_fd(vid) >= 0 &&
	       device->ops->get_notify_area != NULL &&
	       device->ops->get_notify_area(vid, 0, &off, &size) == 0;
}

static void
device_info(struct rte_vdpa_device *device, int vid, struct vdpadev_info *out)
{
	const struct rte_driver *driver = rte_dev_driver(device->device);
	uint32_t pairs = 0;

	memset(out, 0, sizeof(*out));
	snprintf(out->name, sizeof(out->name), "%s", rte_dev_name(device->device));
	snprintf(out->driver, sizeof(out->driver), "%s", driver != NULL ? rte_driver_name(driver) : "");
	out->port = VDPADEV_PORT_NONE;
	if (rte_vdpa_get_queue_num(device, &pairs) < 0 ||
	    rte_vdpa_get_features(device, &out->features) < 0)
		out->features = 0;
	out->n_pairs = RTE_MIN(pairs, VDEV_RINGS_MAX / 2u);
	out->can_log = has(out, VHOST_F_LOG_ALL);
	out->packed = has(out, VIRTIO_F_RING_PACKED);
	out->positions = vdpadev_device_tells(device, "cap_positions");
	out->notify_mapped = notify_mapped(device, vid);
	config_get(device, vid, out);
}

void
vdpadev_info(const struct vdev *dev, struct vdpadev_info *out)
{
	const struct vdpadev *d = vdpadev_of(dev);

	device_info(d->device, d->vid, out);
	out->port = d->port;
	out->failed = vdpadev_failed(dev);
}

/* Drivers are asked by vid, so a device that nobody has gets one for the moment. */
static void
free_info(struct rte_vdpa_device *device, struct vdpadev_info *out)
{
	struct vdpadev d = { .vid = -1, .device = device, .lock = PTHREAD_MUTEX_INITIALIZER };

	snprintf(d.name, sizeof(d.name), "%s", rte_dev_name(device->device));
	vdpadev_vid_bind(&d);
	device_info(device, d.vid, out);
	out->failed = vdpadev_device_failed(device);
	vdpadev_vid_unbind(&d);
}

bool
vdpadev_next(uint32_t *iter, struct vdpadev_info *out)
{
	struct rte_dev_iterator it;
	struct rte_device *dev;
	uint32_t i = 0;

	RTE_DEV_FOREACH(dev, "class=vdpa", &it) {
		struct rte_vdpa_device *device = rte_vdpa_find_device_by_name(rte_dev_name(dev));
		struct vdpadev *owner;

		if (device == NULL || i++ < *iter)
			continue;
		*iter = i;
		owner = vdpadev_vid_owner(device);
		if (owner != NULL)
			vdpadev_info(&owner->vdev, out);
		else
			free_info(device, out);
		return true;
	}
	return false;
}
