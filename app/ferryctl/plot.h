/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRYCTL_PLOT_H
#define FERRYCTL_PLOT_H

/**
 * @file
 * A migration as a drawing: SVG.
 */

#include <jansson.h>
#include <stdio.h>

/** Draws what migration.show answers about one migration. */
void plot_draw(const json_t *migration, FILE *out);

#endif
