/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRYCTL_TABLE_H
#define FERRYCTL_TABLE_H

/**
 * @file
 * Text in aligned columns.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct table;

/** @param n  columns */
struct table *table_create(size_t n);
void table_destroy(struct table *t);

/** Adds the next cell, row by row; takes `text` over (NULL: empty).  A column whose cells are all
 *  numeric, its title not counted, is aligned to the right. */
void table_add(struct table *t, char *text, bool numeric);

/** Prints; the first row is the titles.  Control characters never reach a terminal. */
void table_print(const struct table *t, FILE *out);

/** Prints a text with control characters made visible as '?'. */
void text_print(const char *text, FILE *out);

#endif
