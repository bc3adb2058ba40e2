/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How DPDK finds the driver: as a PCI driver for functions that are asked for with vdpa=1, and as
 * a virtual device for those behind a vfio-user socket.
 */
#include "bus_abi.h"
#include "bus.h"
#include "device.h"
#include "log.h"

#include <rte_common.h>
#include <rte_ether.h>
#include <rte_kvargs.h>
#include <rte_log.h>

#include <errno.h>
#include <string.h>

#define CLASS_ETHERNET    0x020000
#define VENDOR_INTEL      0x8086

RTE_LOG_REGISTER(vdpa_virtio_log, pmd.vdpa.virtio, NOTICE);

static const char *const vdev_keys[] = { "socket", "mode", "mac", NULL };

static int
mode_parse(const char *key, const char *value, void *opaque)
{
	static const char *const words[] = {
		[MODE_AUTO] = "auto", [MODE_DIRECT] = "direct", [MODE_SHADOW] = "shadow",
	};
	enum mode *mode = opaque;

	for (size_t i = 0; value != NULL && i < RTE_DIM(words); i++) {
		if (strcmp(words[i], value) != 0)
			continue;
		*mode = (enum mode)i;
		return 0;
	}
	LOG(ERR, "mode=%s: expected auto, direct or shadow", value != NULL ? value : "");
	return -EINVAL;
}

static int
mac_parse(const char *key, const char *value, void *opaque)
{
	struct device_args *args = opaque;
	struct rte_ether_addr mac;

	if (value == NULL || rte_ether_unformat_addr(value, &mac) != 0) {
		LOG(ERR, "mac=%s: expected XX:XX:XX:XX:XX:XX", value != NULL ? value : "");
		return -EINVAL;
	}
	memcpy(args->mac, mac.addr_bytes, sizeof(args->mac));
	args->has_mac = true;
	return 0;
}

static int
args_parse(const struct rte_kvargs *kv, struct device_args *args)
{
	*args = (struct device_args){ .mode = MODE_AUTO };
	if (rte_kvargs_process(kv, "mode", mode_parse, &args->mode) < 0 ||
	    rte_kvargs_process(kv, "mac", mac_parse, args) < 0)
		return -EINVAL;
	return 0;
}

/* devices behind a socket */

static int
vdev_open(struct rte_vdev_device *dev, const struct rte_kvargs *kv)
{
	const char *name = dev->device.name;
	const char *path = rte_kvargs_get(kv, "socket");
	struct device_args args;
	struct bus *bus;
	int rc = args_parse(kv, &args);

	if (rc < 0)
		return rc;
	if (path == NULL) {
		LOG(ERR, "%s: expected socket=PATH of a vfio-user device", name);
		return -EINVAL;
	}
	rc = bus_user_open(path, name, &bus);
	if (rc < 0) {
		LOG(ERR, "%s: %s: %s", name, path, strerror(-rc));
		return rc;
	}
	return device_create(&dev->device, bus, &args);
}

static int
vdev_probe(struct rte_vdev_device *dev)
{
	const char *devargs = dev->device.devargs != NULL ? dev->device.devargs->args : "";
	struct rte_kvargs *kv = rte_kvargs_parse(devargs, vdev_keys);
	int rc;

	if (kv == NULL) {
		LOG(ERR, "%s: %s: expected socket=PATH[,mode=auto|direct|shadow][,mac=MAC]",
		    dev->device.name, devargs);
		return -EINVAL;
	}
	rc = vdev_open(dev, kv);
	rte_kvargs_free(kv);
	return rc;
}

static int
vdev_remove(struct rte_vdev_device *dev)
{
	return device_remove(&dev->device);
}

static struct rte_vdev_driver vdev_driver = {
	.probe = vdev_probe,
	.remove = vdev_remove,
};

/* PCI functions */

/* Those of Intel have a driver of their own, which asks for the same argument. */
static bool
is_wanted(const struct rte_pci_device *dev, const struct rte_kvargs *kv)
{
	const char *vdpa = kv != NULL ? rte_kvargs_get(kv, "vdpa") : NULL;

	return vdpa != NULL && strcmp(vdpa, "1") == 0 &&
	       dev->id.subsystem_vendor_id != VENDOR_INTEL;
}

static int
pci_probe_args(struct rte_pci_device *dev, const struct rte_kvargs *kv)
{
	struct device_args args;
	struct bus *bus;
	int rc;

	if (!is_wanted(dev, kv))
		return 1;
	rc = args_parse(kv, &args);
	if (rc == 0)
		rc = bus_vfio_open(dev->device.name, &bus);
	return rc < 0 ? rc : device_create(&dev->device, bus, &args);
}

static int
pci_probe(struct rte_pci_driver *driver, struct rte_pci_device *dev)
{
	struct rte_kvargs *kv = NULL;
	int rc;

	if (dev->device.devargs != NULL)
		kv = rte_kvargs_parse(dev->device.devargs->args, NULL);
	rc = pci_probe_args(dev, kv);
	rte_kvargs_free(kv);
	return rc;
}

static int
pci_remove(struct rte_pci_device *dev)
{
	return device_remove(&dev->device);
}

/* Every network device: whether it speaks virtio is seen when it is asked for. */
static const struct rte_pci_id pci_ids[] = {
	{
		.class_id = CLASS_ETHERNET, .vendor_id = RTE_PCI_ANY_ID,
		.device_id = RTE_PCI_ANY_ID, .subsystem_vendor_id = RTE_PCI_ANY_ID,
		.subsystem_device_id = RTE_PCI_ANY_ID,
	},
	{ .vendor_id = 0 },
};

static struct rte_pci_driver pci_driver = {
	.id_table = pci_ids,
	.probe = pci_probe,
	.remove = pci_remove,
};

RTE_INIT(vdpa_virtio_register)
{
	vdev_driver.driver.name = "vdpa_virtio";
	rte_vdev_register(&vdev_driver);
	pci_driver.driver.name = "vdpa_virtio_pci";
	rte_pci_register(&pci_driver);
}
