/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_PROVIDER_QEMU_H
#define FERRY_PROVIDER_QEMU_H

/**
 * @file
 * The row of the provider over librte_vdpa with the plugin of this tree and QEMU's own devices,
 * inside the guest of test/tools/l1 with four of them.
 */

#include "conform.h"

extern const struct provider provider_vdpa_qemu;

#endif
