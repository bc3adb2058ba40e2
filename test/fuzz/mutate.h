/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_MUTATE_H
#define FERRY_MUTATE_H

/**
 * @file
 * Mutations of inputs, the same ones for the same seed on every machine.
 *
 * Threads  one
 */

#include <stddef.h>
#include <stdint.h>

/** Longest input that mutations make. */
#define MUTATE_MAX 8192

struct mutate_input {
	uint8_t *data;
	size_t size;
};

/**
 * Makes an input of one of `n` others, with pieces of a second one.
 *
 * @param seed  decides everything
 * @param out   MUTATE_MAX bytes
 * @return      size of it
 */
size_t mutate(uint64_t seed, const struct mutate_input *inputs, size_t n, uint8_t *out);

#endif
