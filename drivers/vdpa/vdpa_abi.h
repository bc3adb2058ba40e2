/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_VDPA_ABI_H
#define FERRY_VDPA_ABI_H

/**
 * @file
 * What a vDPA driver and who drives it need of librte_vhost besides rte_vdpa.h.
 *
 * The library exports all of it, but distributions do not install its header.  Where the SDK's
 * own is there it is used; else these are the same declarations, and what they promise of layouts
 * is asserted here.
 *
 * Life     a device is registered by its driver's probe() and goes with its remove().
 * Threads  each operation's caller serialises those of one device; a driver's own threads besides
 * Source   librte_vhost 22.11, ABI 23
 */

#include <rte_config.h>
#include <rte_version.h>

#if RTE_VERSION < RTE_VERSION_NUM(22, 11, 0, 0) || RTE_VERSION >= RTE_VERSION_NUM(22, 12, 0, 0)
#error "vdpa_abi.h is written to DPDK 22.11: compare struct rte_vdpa_dev_ops with this version's"
#endif

#include <rte_dev.h>
#include <rte_vdpa.h>
#include <rte_vhost.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if __has_include(<vdpa_driver.h>)
#include <vdpa_driver.h>
#else

#include <sys/queue.h>

/** For rte_vhost_host_notifier_ctrl(): all rings. */
#define RTE_VHOST_QUEUE_ALL UINT16_MAX

/** All return 0 or negative; those with a vid act on the device that is attached to it. */
struct rte_vdpa_dev_ops {
	/* must be there */
	int (*get_queue_num)(struct rte_vdpa_device *dev, uint32_t *queue_num); /* pairs */
	int (*get_features)(struct rte_vdpa_device *dev, uint64_t *features);
	int (*get_protocol_features)(struct rte_vdpa_device *dev, uint64_t *features);
	int (*dev_conf)(int vid);
	int (*dev_close)(int vid);
	/* NULL: nothing to do */
	int (*dev_cleanup)(int vid);
	/* must be there */
	int (*set_vring_state)(int vid, int vring, int state);
	int (*set_features)(int vid);
	/* NULL: none */
	int (*migration_done)(int vid);
	int (*get_vfio_group_fd)(int vid);
	int (*get_vfio_device_fd)(int vid);
	int (*get_notify_area)(int vid, int qid, uint64_t *offset, uint64_t *size);
	int (*get_stats_names)(struct rte_vdpa_device *dev, struct rte_vdpa_stat_name *names,
			       unsigned int size);
	int (*get_stats)(struct rte_vdpa_device *dev, int qid, struct rte_vdpa_stat *stats,
			 unsigned int n);
	int (*reset_stats)(struct rte_vdpa_device *dev, int qid);
	int (*get_config)(int vid, uint8_t *config, uint32_t size);
	int (*set_config)(int vid, uint8_t *config, uint32_t offset, uint32_t size,
			  uint32_t flags);
	int (*get_dev_type)(struct rte_vdpa_device *dev, uint32_t *type);
};

struct rte_vdpa_device {
	struct {
		struct rte_vdpa_device *tqe_next;
		struct rte_vdpa_device **tqe_prev;
	} next;
	struct rte_device *device;
	struct rte_vdpa_dev_ops *ops;
	uint32_t type;
};

/** Registers a device; NULL: its name is taken, or an operation is missing. */
struct rte_vdpa_device *rte_vdpa_register_device(struct rte_device *dev,
						 struct rte_vdpa_dev_ops *ops);

/** @return 0 or above; -1: not registered */
int rte_vdpa_unregister_device(struct rte_vdpa_device *dev);

/** Maps a ring's doorbell into the guest, or no longer.  @return 0; negative: not done */
int rte_vhost_host_notifier_ctrl(int vid, uint16_t qid, bool enable);

#endif

_Static_assert(offsetof(struct rte_vdpa_device, device) == 16 &&
	       offsetof(struct rte_vdpa_device, ops) == 24 &&
	       offsetof(struct rte_vdpa_device, type) == 32, "struct rte_vdpa_device");
_Static_assert(sizeof(struct rte_vdpa_dev_ops) == 18 * sizeof(void *) &&
	       offsetof(struct rte_vdpa_dev_ops, get_stats_names) == 12 * sizeof(void *),
	       "struct rte_vdpa_dev_ops");

#endif
