/* SPDX-License-Identifier: BSD-3-Clause */
#include "stats.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define X(id, name, text) [COUNT_##id] = name,
const char *const count_names[COUNT_N] = { COUNTS(X) };
#undef X

#define X(id, name, text) [COUNT_##id] = text,
const char *const count_texts[COUNT_N] = { COUNTS(X) };
#undef X

#define X(id, name, text) [DROP_##id] = name,
const char *const drop_names[DROP_N] = { DROPS(X) };
#undef X

#define X(id, name, text) [DROP_##id] = text,
const char *const drop_texts[DROP_N] = { DROPS(X) };
#undef X

int
stats_create(uint32_t n_lanes, struct stats **out)
{
	size_t size = sizeof(struct stats) + n_lanes * sizeof(struct stats_lane);
	struct stats *s;

	size = RTE_ALIGN_CEIL(size, RTE_CACHE_LINE_SIZE);
	s = aligned_alloc(RTE_CACHE_LINE_SIZE, size);
	if (s == NULL)
		return -ENOMEM;
	memset(s, 0, size);
	s->n_lanes = n_lanes;
	*out = s;
	return 0;
}

void
stats_destroy(struct stats *s)
{
	free(s);
}

static void
add_all(uint64_t *sum, const uint64_t *from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sum[i] += __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

void
stats_fold(const struct stats *s, struct stats_lane *out)
{
	memset(out, 0, sizeof(*out));
	for (uint32_t i = 0; i < s->n_lanes; i++) {
		add_all(out->counts, s->lanes[i].counts, COUNT_N);
		add_all(out->drops, s->lanes[i].drops, DROP_N);
	}
}
