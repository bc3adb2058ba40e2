/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_SHAPES_H
#define FERRY_SHAPES_H

/**
 * @file
 * The matrix that the cases run over.
 */

#include "conform.h"

/** The i-th of all shapes of a format.  @return false: no more */
bool shapes_next(bool packed, unsigned int i, struct shape *out);

/** The i-th of the few that are enough for cases which do not depend on the shape. */
bool shapes_few_next(bool packed, unsigned int i, struct shape *out);

#endif
