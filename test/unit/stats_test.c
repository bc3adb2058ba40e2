/* SPDX-License-Identifier: BSD-3-Clause */
/* Lanes, their sum, and names that do not meet. */
#include "stats.h"

#include "check.h"

#include <pthread.h>
#include <stdlib.h>

#define LANES 4
#define TIMES 1000000

static struct stats *s;

static void
sums(void)
{
	struct stats_lane sum;

	CHECK(stats_create(LANES, &s) == 0 && s->n_lanes == LANES);
	stats_fold(s, &sum);
	for (int i = 0; i < COUNT_N; i++)
		CHECK(sum.counts[i] == 0);
	for (uint32_t lane = 0; lane < LANES; lane++) {
		for (int i = 0; i < COUNT_N; i++)
			stats_count(&s->lanes[lane], (enum count)i, 1000u * lane + (uint32_t)i);
		for (int i = 0; i < DROP_N; i++)
			stats_drop(&s->lanes[lane], (enum drop)i, 7u * lane + (uint32_t)i);
	}
	stats_fold(s, &sum);
	for (uint32_t i = 0; i < COUNT_N; i++)
		CHECK(sum.counts[i] == 6000 + LANES * i);
	for (uint32_t i = 0; i < DROP_N; i++)
		CHECK(sum.drops[i] == 42 + LANES * i);
	stats_destroy(s);
	stats_destroy(NULL);
}

/* One name is one counter: it is a JSON field. */
static void
names(const char *const *list, const char *const *texts, int n)
{
	for (int i = 0; i < n; i++) {
		CHECK(list[i] != NULL && list[i][0] != '\0' && texts[i][0] != '\0');
		CHECK(strspn(list[i], "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(list[i]));
		for (int k = 0; k < i; k++)
			CHECK(strcmp(list[i], list[k]) != 0);
	}
}

static void *
writer(void *arg)
{
	struct stats_lane *lane = arg;

	for (int i = 0; i < TIMES; i++)
		stats_count(lane, COUNT_RX_FRAMES, 1);
	return NULL;
}

/* Whoever folds sees counters that only grow, and in the end all of them. */
static void
folds_while_written(void)
{
	struct stats_lane sum;
	pthread_t threads[LANES];
	uint64_t last = 0;

	CHECK(stats_create(LANES, &s) == 0);
	for (int i = 0; i < LANES; i++)
		CHECK(pthread_create(&threads[i], NULL, writer, &s->lanes[i]) == 0);
	while (last < (uint64_t)LANES * TIMES) {
		stats_fold(s, &sum);
		CHECK(sum.counts[COUNT_RX_FRAMES] >= last);
		last = sum.counts[COUNT_RX_FRAMES];
	}
	for (int i = 0; i < LANES; i++)
		pthread_join(threads[i], NULL);
	CHECK(last == (uint64_t)LANES * TIMES);
	stats_destroy(s);
}

int
main(void)
{
	sums();
	names(count_names, count_texts, COUNT_N);
	names(drop_names, drop_texts, DROP_N);
	folds_while_written();
	return check_done("stats");
}
