/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_FUZZ_ARENA_H
#define FERRY_FUZZ_ARENA_H

/**
 * @file
 * Guest memory of a fuzz target: regions as an input wants them, each between pages that nobody
 * may touch, and a model that says which byte has to stand where.
 *
 * The guest writes through arena_write(), the device wherever it likes; arena_same() then tells
 * whether it wrote what the model was told, by arena_model(), and nothing else.
 *
 * Life     one per process; laid out anew for each input
 * Threads  one
 * Units    bytes
 */

#include "fuzz.h"

#include "gmem.h"

#include <stdbool.h>

/** Bytes that an input may have at most. */
#define ARENA_BYTES_MAX (4u << 20)

struct arena {
	uint32_t n;
	struct gmem_region regions[GMEM_REGIONS_MAX];
	uint8_t *models[GMEM_REGIONS_MAX];
};

extern struct arena arena;

void arena_init(void);

/** Lays 1..8 zeroed regions out as the input says.  @return false: they overlap or wrap */
bool arena_lay(struct fuzz_in *in);

/** A guest-physical address of an input: region and offset, which may be outside. */
gpa_t arena_ref(struct fuzz_in *in);

/** Index of the region that holds an address; -1: none does. */
int arena_region(uint64_t gpa);

/** Reads what is there, over region borders.  @return false: not all of it is */
bool arena_read(gpa_t gpa, void *out, uint64_t len);

/** Writes as the guest does, as far as there is memory. */
void arena_write(gpa_t gpa, const void *data, uint64_t len);

/** Notes what the device has to have written. */
void arena_model(gpa_t gpa, const void *data, uint64_t len);

/** Takes over what the device has written into a piece that was offered to it. */
void arena_accept(const uint8_t *host, uint64_t len);

/** Whether memory and model are equal in every byte. */
bool arena_same(void);

#endif
