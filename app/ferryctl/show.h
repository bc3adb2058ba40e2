/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRYCTL_SHOW_H
#define FERRYCTL_SHOW_H

/**
 * @file
 * A method's answer for people: an array of objects is a table, one object a list of its members
 * with its arrays of objects as tables below.
 */

#include <jansson.h>
#include <stdio.h>

/** Prints a method's answer; {} prints nothing. */
void show_print(const char *method, const json_t *result, FILE *out);

#endif
