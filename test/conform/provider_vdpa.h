/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_PROVIDER_VDPA_H
#define FERRY_PROVIDER_VDPA_H

/**
 * @file
 * The rows of the provider over librte_vdpa, with the plugin of this tree and the device model: its
 * devices hang on one wire, two for each port.
 *
 * The model's program is named by FERRY_VDEV_MODEL, the plugin by FERRY_VDPA_PLUGIN.
 */

#include "conform.h"

/** Devices that log, and take and tell positions: on the guest's rings wherever that is possible. */
extern const struct provider provider_vdpa_log;

/** Devices that can do neither: shadow rings. */
extern const struct provider provider_vdpa_shadow;

#endif
