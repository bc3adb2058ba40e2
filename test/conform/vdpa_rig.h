/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_VDPA_RIG_H
#define FERRY_VDPA_RIG_H

/**
 * @file
 * What rows of the provider over librte_vdpa have in common: the plugin of this tree, named by
 * FERRY_VDPA_PLUGIN, and four devices, two for each port so that it can be handed over.
 *
 * Life     one row a process
 * Threads  one
 */

#include "vdev.h"

#define VDPA_RIG_PORTS   2
#define VDPA_RIG_DEVICES (2 * VDPA_RIG_PORTS)

struct cross;

/** How a row calls its devices. */
typedef void vdpa_rig_name(char *out, size_t size, unsigned int device);

/** Loads the plugin and starts EAL.  @param pci  its option for PCI devices  @return 0; -errno */
int vdpa_rig_start(const char *pci);

/**
 * Makes a vdev of the device of a port that nobody has.
 *
 * @param device  out: which one
 * @return        0; -errno, after a line on standard error
 */
int vdpa_rig_make(vdpa_rig_name *name, struct cross *cross, uint16_t port, uint16_t n_pairs,
		  unsigned int *device, struct vdev **out);

/** Removes all devices. */
void vdpa_rig_remove(vdpa_rig_name *name, const char *bus);

/** Sum of one of the plugin's counters over all rings of all devices. */
uint64_t vdpa_rig_sum(vdpa_rig_name *name, const char *counter);

/** One of the plugin's counters of a vdev's first ring; 0: there is none. */
uint64_t vdpa_rig_stat(const struct vdev *dev, const char *counter);

#endif
