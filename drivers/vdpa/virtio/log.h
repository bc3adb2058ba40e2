/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VDPA_VIRTIO_LOG_H
#define VDPA_VIRTIO_LOG_H

/**
 * @file
 * The plugin's log lines, on DPDK's log under "pmd.vdpa.virtio".
 *
 * Threads  any; nothing in here is written for a chain of a guest
 */

#include <rte_log.h>

extern int vdpa_virtio_log;

/** One line; `level` is ERR, WARNING, NOTICE, INFO or DEBUG. */
#define LOG(level, fmt, ...) \
	rte_log(RTE_LOG_##level, vdpa_virtio_log, "vdpa_virtio: " fmt "\n", ##__VA_ARGS__)

#endif
