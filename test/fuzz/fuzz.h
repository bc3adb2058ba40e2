/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_FUZZ_H
#define FERRY_FUZZ_H

/**
 * @file
 * What a fuzz target is: one place where a stranger's bytes enter, fed with bytes.
 *
 * A target that sees a broken promise aborts; so do the sanitizers and the guard pages.  It notes
 * what an input has reached, so that the corpus can be held to reaching everything: see `reached`.
 *
 * Life     one target per executable, built against libFuzzer or against driver.c
 * Threads  one input at a time
 */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Called by whoever drives: libFuzzer or driver.c. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** Names of what the corpus has to reach, at most 64 of them; NULL: a bit without a promise.
 *  An input whose file is called NAME.anything has to reach NAME. */
extern const char *fuzz_names[];
extern const size_t fuzz_n_names;

/** Words that mutations of text put in; ends with NULL. */
extern const char *const fuzz_tokens[];

/** One bit per name, set by the target while an input runs, cleared by the driver. */
__attribute__((weak)) uint64_t fuzz_reached;

static inline void
fuzz_reach(unsigned int bit)
{
	__atomic_or_fetch(&fuzz_reached, 1ULL << bit, __ATOMIC_RELAXED);
}

/** Ends the process with the line that tells which promise was broken. */
#define FUZZ_CHECK(cond) do { \
	if (!(cond)) { \
		fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #cond); \
		abort(); \
	} \
} while (0)

/** An input, read front to back; what is missing at its end reads as zero. */
struct fuzz_in {
	const uint8_t *at;
	size_t left;
};

static inline void
fuzz_take(struct fuzz_in *in, void *out, size_t len)
{
	size_t some = len < in->left ? len : in->left;

	memset(out, 0, len);
	if (some > 0)
		memcpy(out, in->at, some);
	in->at += some;
	in->left -= some;
}

static inline uint8_t
fuzz_u8(struct fuzz_in *in)
{
	uint8_t v;

	fuzz_take(in, &v, sizeof(v));
	return v;
}

static inline uint16_t
fuzz_u16(struct fuzz_in *in)
{
	uint16_t v;

	fuzz_take(in, &v, sizeof(v));
	return v;
}

static inline uint32_t
fuzz_u32(struct fuzz_in *in)
{
	uint32_t v;

	fuzz_take(in, &v, sizeof(v));
	return v;
}

static inline uint64_t
fuzz_u64(struct fuzz_in *in)
{
	uint64_t v;

	fuzz_take(in, &v, sizeof(v));
	return v;
}

#endif
