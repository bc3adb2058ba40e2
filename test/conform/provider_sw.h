/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_PROVIDER_SW_H
#define FERRY_PROVIDER_SW_H

/**
 * @file
 * The software provider's row.
 */

#include "conform.h"

extern const struct provider provider_sw;

#endif
