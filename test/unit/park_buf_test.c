/* SPDX-License-Identifier: BSD-3-Clause */
/* The queue of parked frames: order, contents, the turn at the end of its memory, two threads. */
#include "park_test.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#define LEN_MAX 65557 /* the longest that is forwarded */

/* What is in it, by number: contents, length and tags follow from that. */
struct ledger {
	struct park_buf *buf;
	uint64_t put, taken;
	uint32_t len_max;
};

static uint32_t
len_of(const struct ledger *l, uint64_t n)
{
	return 1 + (uint32_t)(n * 2654435761u % l->len_max);
}

static bool
put(struct ledger *l)
{
	const uint64_t n = l->put;
	const uint32_t len = len_of(l, n);
	struct park_frame *pf = park_buf_room(l->buf, len);

	if (pf == NULL)
		return false;
	pf->src = (uint16_t)n;
	pf->home = (uint16_t)(n >> 16);
	pf->version = n;
	pf->flooded = (n & 1) != 0;
	memset(pf->bytes, (int)(n % 251), len);
	park_buf_put(l->buf, pf, len);
	l->put++;
	return true;
}

static bool
right(const struct ledger *l, const struct park_frame *pf, uint64_t n)
{
	if (pf->len != len_of(l, n) || pf->src != (uint16_t)n || pf->home != (uint16_t)(n >> 16) ||
	    pf->version != n || pf->flooded != ((n & 1) != 0))
		return false;
	for (uint32_t i = 0; i < pf->len; i++)
		if (pf->bytes[i] != n % 251)
			return false;
	return true;
}

/* Takes up to `n`, all of them at once. */
static void
take(struct ledger *l, uint64_t n)
{
	const struct park_frame *pf;
	uint64_t at = 0;

	for (; n > 0 && (pf = park_buf_next(l->buf, &at)) != NULL; n--)
		CHECK(right(l, pf, l->taken++));
	park_buf_take(l->buf, at);
}

static void
ledger_create(struct ledger *l, uint64_t size, uint32_t len_max)
{
	*l = (struct ledger){ .len_max = len_max };
	CHECK(park_buf_create(size, &l->buf) == 0);
	CHECK(park_buf_empty(l->buf));
}

static void
looking(void)
{
	struct ledger l;
	uint64_t at = 0;

	ledger_create(&l, 4096, 100);
	CHECK(park_buf_next(l.buf, &at) == NULL);
	park_buf_take(l.buf, at);
	CHECK(put(&l) && put(&l) && !park_buf_empty(l.buf));
	CHECK(l.buf->first != 0 && l.buf->last >= l.buf->first);
	for (int i = 0; i < 2; i++) {
		at = 0;
		CHECK(right(&l, park_buf_next(l.buf, &at), 0));
		CHECK(right(&l, park_buf_next(l.buf, &at), 1));
		CHECK(park_buf_next(l.buf, &at) == NULL);
	}
	take(&l, 1);
	CHECK(!park_buf_empty(l.buf));
	take(&l, 1);
	CHECK(park_buf_empty(l.buf));
	park_buf_begin(l.buf);
	CHECK(l.buf->first == 0 && l.buf->last == 0);
	park_buf_destroy(l.buf);
	park_buf_destroy(NULL);
}

/* From every place in the memory: it takes frames until it is full, and again when one is gone. */
static void
wrapping(uint64_t size, uint32_t len_max)
{
	for (uint64_t start = 0; start < size; start += 8) {
		struct ledger l;
		struct park_frame *pf;
		uint64_t n;

		ledger_create(&l, size, len_max);
		while (l.buf->head < start) {
			pf = park_buf_room(l.buf, 0);
			park_buf_put(l.buf, pf, 0);
			park_buf_take(l.buf, l.buf->head);
		}
		while (put(&l))
			;
		CHECK(l.put >= (size - len_max - 2 * sizeof(*pf)) / (len_max + sizeof(*pf) + 8));
		CHECK(l.buf->head - l.buf->tail <= size);
		CHECK(!put(&l));
		for (n = l.put; l.taken < n; ) {
			take(&l, 1);
			while (put(&l))
				;
		}
		take(&l, UINT64_MAX);
		CHECK(l.taken == l.put && park_buf_empty(l.buf));
		park_buf_destroy(l.buf);
	}
}

/* The least that a park has holds the longest frame, wherever the last one ended. */
static void
longest(void)
{
	struct park_buf *b;
	bool always = true;

	CHECK(park_buf_create(PARK_BUF_MIN, &b) == 0);
	for (uint64_t i = 0; i < PARK_BUF_MIN / 8 + 1; i++) {
		struct park_frame *pf = park_buf_room(b, LEN_MAX);

		always = always && pf != NULL;
		if (pf == NULL)
			break;
		/* Nothing but a short one is put: the next attempt stands 32 or 40 bytes on. */
		park_buf_put(b, pf, (uint32_t)(i & 1) * 8);
		park_buf_take(b, b->head);
	}
	CHECK(always);
	park_buf_destroy(b);
}

/* One puts, another takes */

#ifdef __SANITIZE_THREAD__
#define N_FRAMES 30000u
#else
#define N_FRAMES 300000u
#endif

static _Atomic bool ending;

static void *
taker(void *arg)
{
	struct ledger *l = arg;

	while (l->taken < N_FRAMES) {
		uint64_t before = l->taken;

		take(l, 1 + before % 7);
		if (l->taken == before)
			sched_yield();
	}
	return NULL;
}

static void *
looker(void *arg)
{
	const struct ledger *l = arg;
	uint64_t n = 0;

	while (!ending) {
		n += park_buf_empty(l->buf);
		sched_yield();
	}
	CHECK(n != UINT64_MAX);
	return NULL;
}

static void
threads(uint64_t size)
{
	struct ledger l, other;
	pthread_t t, look;

	ledger_create(&l, size, 300);
	other = l;
	ending = false;
	pthread_create(&t, NULL, taker, &other);
	pthread_create(&look, NULL, looker, &l);
	while (l.put < N_FRAMES)
		if (!put(&l))
			sched_yield();
	pthread_join(t, NULL);
	ending = true;
	pthread_join(look, NULL);
	CHECK(park_buf_empty(l.buf) && other.taken == l.put);
	park_buf_destroy(l.buf);
}

void
park_buf_stories(void)
{
	looking();
	for (uint32_t len_max = 1; len_max <= 256; len_max = len_max * 2 + 1)
		wrapping(1024, len_max);
	wrapping(1000, 100);
	longest();
	threads(1024);
	threads(64 << 10);
}
