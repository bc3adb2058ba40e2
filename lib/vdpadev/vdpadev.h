/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_VDPADEV_H
#define FERRY_VDPADEV_H

/**
 * @file
 * The provider of the vring-state contract over librte_vdpa: a guest's rings moved by a device.
 *
 * A vendor driver asks librte_vhost about the guest by a vid.  Each device of ours has a vid of its
 * own, which the library does not know; the few rte_vhost_* functions that drivers call are defined
 * in this executable, answer for those vids from what the session has checked, and pass all others
 * on to the library (vdpadev_vid.c).  So a device can come and go under a connection, the library's
 * locks do not matter, and no driver has to know.
 *
 * Life     devices belong to their drivers; a vdev holds one exclusively from create to destroy.
 * Threads  vdpadev_init(), _create(), _next() and destruction: control.  The contract's calls: as
 *          vdev.h says.  Failures come from a driver's own thread, as an event to control.
 * Units    queue pairs; MTU in bytes
 * Source   rte_vdpa.h; drivers/vdpa/vdpa_abi.h
 */

#include "cross.h"
#include "vdev.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** vids of devices begin here; librte_vhost's are small. */
#define VDPADEV_VID_BASE 0x40000000

#define VDPADEV_NAME_MAX 64

/** No port has the device. */
#define VDPADEV_PORT_NONE UINT16_MAX

/** What vdpadev_create() is told. */
struct vdpadev_opts {
	const char *device;    /**< name of a registered device, or devargs to make one:
				    "0000:03:00.0", "vdpa_virtio0,socket=PATH" */
	uint16_t port;         /**< number of the port */
	uint16_t n_pairs_max;  /**< of the port: a device with fewer is refused; 0: as the device */
	uint16_t mtu;          /**< of the port: a device with a smaller one is refused; 0: any */
	struct cross *cross;   /**< where events go */
};

/** A registered device. */
struct vdpadev_info {
	char name[VDPADEV_NAME_MAX];
	char driver[VDPADEV_NAME_MAX];
	uint16_t port;         /**< who has it; VDPADEV_PORT_NONE: nobody */
	uint16_t n_pairs;
	uint64_t features;     /**< virtio features, as the driver offers them */
	bool can_log;          /**< writes of the device can be logged: it migrates in hardware */
	bool packed;
	bool positions;        /**< the device takes and tells positions by itself; else the driver
				    keeps them, or the rings have to be fresh */
	bool notify_mapped;    /**< its doorbells can be mapped into the guest */
	bool config_known;     /**< the next four were read from the device */
	bool link_up;
	bool has_mac;
	uint16_t mtu;          /**< 0: the device names none */
	uint8_t mac[6];
	const char *failed;    /**< why it is of no use any more; NULL: it is */
};

/** One of the driver's own counters. */
struct vdpadev_stat {
	char name[VDPADEV_NAME_MAX];
	uint64_t value;
};

/* life */

/**
 * Proves that drivers of this process reach us and that librte_vhost still reaches itself, and
 * listens for devices that go.  After rte_eal_init(), before the first call of any other; may be
 * repeated.
 *
 * @return  0; -ENOEXEC: the executable does not export what it has to, and a line says which;
 *          -ENOTSUP: not the librte_vhost that this was built for
 */
int vdpadev_init(void);

/**
 * Creates the provider over a device, which is looked up by its name or else probed.
 *
 * @param why   a line that names the device and says what to do, on failure
 * @param size  of `why`
 * @return      0; -ENODEV: there is no such device or no driver took it; -EBUSY: another port has
 *              it; -ENOTSUP: it has fewer queues or a smaller MTU, or is no network device;
 *              -ENOMEM; -errno of a driver's probe
 */
int vdpadev_create(const struct vdpadev_opts *opts, char *why, size_t size, struct vdev **out);

/* show */

/** Walks over registered devices: start with 0; false at the end. */
bool vdpadev_next(uint32_t *iter, struct vdpadev_info *out);

/** The same of a vdev's own device. */
void vdpadev_info(const struct vdev *dev, struct vdpadev_info *out);

/**
 * Why the device is of no use any more: EVENT_DEVICE_FAILED came when that was found.
 *
 * @return  a word ("removed", "reset", "control", ...) that lives as long as the process; NULL: it
 *          is fine
 */
const char *vdpadev_failed(const struct vdev *dev);

/**
 * Walks over the driver's counters of a ring: start with 0; false at the end.
 *
 * @role  any but a worker, under the port's mutex
 */
bool vdpadev_stats_next(const struct vdev *dev, uint16_t qid, uint32_t *iter,
			struct vdpadev_stat *out);

#endif
