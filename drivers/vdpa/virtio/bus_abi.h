/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VDPA_VIRTIO_BUS_ABI_H
#define VDPA_VIRTIO_BUS_ABI_H

/**
 * @file
 * What a driver tells DPDK's buses, for packages that come without the drivers' headers: written
 * to the ABI of the library that the build has found.  Where the headers are installed they are
 * used, and the assertions below compare them with what is known here.
 *
 * Source   DPDK 22.11: bus_vdev_driver.h, bus_pci_driver.h, dev_driver.h
 */

#include <rte_common.h>
#include <rte_dev.h>
#include <rte_devargs.h>
#include <rte_os.h>
#include <rte_version.h>

#include <stddef.h>

#if __has_include(<bus_vdev_driver.h>)
#include <bus_vdev_driver.h>
#else

#include <rte_bus_vdev.h>

#if RTE_VERSION < RTE_VERSION_NUM(22, 11, 0, 0) || RTE_VERSION >= RTE_VERSION_NUM(23, 11, 0, 0)
#error "these layouts are those of DPDK 22.11: install the drivers' headers of this version"
#endif

struct rte_driver {
	RTE_TAILQ_ENTRY(rte_driver) next;
	const char *name;
	const char *alias;
};

struct rte_device {
	RTE_TAILQ_ENTRY(rte_device) next;
	const char *name;
	const char *bus_info;
	const struct rte_driver *driver;
	const struct rte_bus *bus;
	int numa_node;
	struct rte_devargs *devargs;
};

struct rte_vdev_device {
	RTE_TAILQ_ENTRY(rte_vdev_device) next;
	struct rte_device device;
};

struct rte_vdev_driver {
	RTE_TAILQ_ENTRY(rte_vdev_driver) next;
	struct rte_driver driver;
	int (*probe)(struct rte_vdev_device *dev);
	int (*remove)(struct rte_vdev_device *dev);
	int (*dma_map)(struct rte_vdev_device *dev, void *addr, uint64_t iova, size_t len);
	int (*dma_unmap)(struct rte_vdev_device *dev, void *addr, uint64_t iova, size_t len);
	uint32_t drv_flags;
};

void rte_vdev_register(struct rte_vdev_driver *driver);
void rte_vdev_unregister(struct rte_vdev_driver *driver);

#endif

#if __has_include(<bus_pci_driver.h>)
#include <bus_pci_driver.h>
#else

#include <rte_bus_pci.h>

/** Only its first members; the bus makes them. */
struct rte_pci_device {
	RTE_TAILQ_ENTRY(rte_pci_device) next;
	struct rte_device device;
	struct rte_pci_addr addr;
	struct rte_pci_id id;
};

struct rte_pci_driver {
	RTE_TAILQ_ENTRY(rte_pci_driver) next;
	struct rte_driver driver;
	int (*probe)(struct rte_pci_driver *driver, struct rte_pci_device *dev);
	int (*remove)(struct rte_pci_device *dev);
	int (*dma_map)(struct rte_pci_device *dev, void *addr, uint64_t iova, size_t len);
	int (*dma_unmap)(struct rte_pci_device *dev, void *addr, uint64_t iova, size_t len);
	const struct rte_pci_id *id_table;
	uint32_t drv_flags;
};

void rte_pci_register(struct rte_pci_driver *driver);
void rte_pci_unregister(struct rte_pci_driver *driver);
const char *rte_pci_get_sysfs_path(void);

#endif

_Static_assert(offsetof(struct rte_device, name) == 16, "ABI of rte_device");
_Static_assert(offsetof(struct rte_device, devargs) == 56, "ABI of rte_device");
_Static_assert(sizeof(struct rte_device) == 64, "ABI of rte_device");
_Static_assert(offsetof(struct rte_vdev_device, device) == 16, "ABI of rte_vdev_device");
_Static_assert(offsetof(struct rte_vdev_driver, probe) == 48, "ABI of rte_vdev_driver");
_Static_assert(offsetof(struct rte_vdev_driver, drv_flags) == 80, "ABI of rte_vdev_driver");
_Static_assert(offsetof(struct rte_pci_device, device) == 16, "ABI of rte_pci_device");
_Static_assert(offsetof(struct rte_pci_device, id) == 88, "ABI of rte_pci_device");
_Static_assert(offsetof(struct rte_pci_driver, probe) == 48, "ABI of rte_pci_driver");
_Static_assert(offsetof(struct rte_pci_driver, drv_flags) == 88, "ABI of rte_pci_driver");

#endif
