/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VDPA_VIRTIO_OPS_H
#define VDPA_VIRTIO_OPS_H

/**
 * @file
 * What librte_vhost calls, or whoever uses a vDPA device in its place.
 *
 * Threads  any, one at a time for a device
 */

struct rte_vdpa_dev_ops;

extern struct rte_vdpa_dev_ops device_ops;

#endif
