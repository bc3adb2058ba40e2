/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_VDPA_PCI_H
#define FERRY_VDPA_PCI_H

/**
 * @file
 * PCI functions that could move a guest's rings, as the kernel shows them, and how to get them.
 *
 * Threads  any
 * Source   Documentation/ABI/testing/sysfs-bus-pci
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vdpa_pci {
	char name[16];         /**< "0000:03:00.0" */
	uint16_t vendor, device;
	const char *what;      /**< kind of device */
	const char *plugin;    /**< DPDK driver that makes a vDPA device of it */
	const char *argument;  /**< that the driver wants to hear; "": none */
	bool bifurcated;       /**< it stays with the kernel's own driver */
	char bound[32];        /**< kernel driver; "": none */
	char group[16];        /**< IOMMU group; "": there is no IOMMU for it */
	char interface[32];    /**< kernel's network interface; "": none */
};

/**
 * Lists them.
 *
 * @param sysfs  where it is mounted: "/sys"
 * @return       how many, at most `max`
 */
uint32_t vdpa_pci_list(const char *sysfs, struct vdpa_pci *out, uint32_t max);

/** Whether the kernel has done its part for a function: DPDK can probe it. */
bool vdpa_pci_ready(const struct vdpa_pci *d);

/** What is in the way, in one line; "": nothing. */
void vdpa_pci_reason(const struct vdpa_pci *d, char *out, size_t size);

/**
 * The next command, as root, that brings a function to vfio-pci.
 *
 * @param step  starts at 0
 * @return      false: no more
 */
bool vdpa_pci_command(const struct vdpa_pci *d, uint32_t *step, char *out, size_t size);

#endif
