/* SPDX-License-Identifier: BSD-3-Clause */
#include "mutate.h"
#include "fuzz.h"

#include <rte_common.h>

/* Splitmix64: small, and the same everywhere. */
struct dice {
	uint64_t state;
};

static uint64_t
roll(struct dice *d)
{
	uint64_t z = d->state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static size_t
below(struct dice *d, size_t n)
{
	return n == 0 ? 0 : roll(d) % n;
}

/* The input that is being made, and another one to take pieces of. */
struct work {
	struct dice dice;
	uint8_t *data;
	size_t size;
	const struct mutate_input *other;
};

/* Lengths of pieces: short ones mostly. */
static size_t
piece(struct work *w, size_t most)
{
	size_t len = 1 + below(&w->dice, (size_t)1 << (1 + below(&w->dice, 8)));

	return len < most ? len : most;
}

static void
put(struct work *w, size_t at, const void *from, size_t len)
{
	if (at < w->size)
		memcpy(w->data + at, from, len < w->size - at ? len : w->size - at);
}

static void
insert(struct work *w, size_t at, const void *from, size_t len)
{
	uint8_t copy[MUTATE_MAX];

	if (len > MUTATE_MAX - w->size)
		return;
	memcpy(copy, from, len); /* it may be a piece of what is about to move */
	memmove(w->data + at + len, w->data + at, w->size - at);
	memcpy(w->data + at, copy, len);
	w->size += len;
}

static void
flip_bit(struct work *w)
{
	if (w->size > 0)
		w->data[below(&w->dice, w->size)] ^= (uint8_t)(1u << below(&w->dice, 8));
}

static void
set_byte(struct work *w)
{
	if (w->size > 0)
		w->data[below(&w->dice, w->size)] = (uint8_t)roll(&w->dice);
}

static void
set_integer(struct work *w)
{
	static const uint64_t edges[] = {
		0, 1, 2, 3, 4, 7, 8, 12, 16, 31, 32, 63, 64, 127, 128, 255, 256, 1023, 1024, 4095,
		4096, 32767, 32768, 65534, 65535, 65536, INT32_MAX, 1ULL << 31, UINT32_MAX,
		1ULL << 32, INT64_MAX, 1ULL << 63, UINT64_MAX - 1, UINT64_MAX,
	};
	uint64_t v = edges[below(&w->dice, RTE_DIM(edges))];

	if (below(&w->dice, 4) == 0)
		v = __builtin_bswap64(v);
	put(w, below(&w->dice, w->size), &v, (size_t)1 << below(&w->dice, 4));
}

static void
add_integer(struct work *w)
{
	size_t at = below(&w->dice, w->size);
	uint16_t v = 0;

	if (w->size - at < sizeof(v))
		return;
	memcpy(&v, w->data + at, sizeof(v));
	v = (uint16_t)(v + 35 - below(&w->dice, 71));
	put(w, at, &v, sizeof(v));
}

static void
cut_piece(struct work *w)
{
	size_t at = below(&w->dice, w->size);
	size_t len = piece(w, w->size - at);

	memmove(w->data + at, w->data + at + len, w->size - at - len);
	w->size -= len;
}

static void
repeat_piece(struct work *w)
{
	size_t at = below(&w->dice, w->size);
	size_t len = piece(w, w->size - at);

	insert(w, below(&w->dice, w->size + 1), w->data + at, len);
}

static void
insert_bytes(struct work *w)
{
	uint8_t bytes[16];
	size_t len = 1 + below(&w->dice, sizeof(bytes));

	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)roll(&w->dice);
	insert(w, below(&w->dice, w->size + 1), bytes, len);
}

static void
insert_other(struct work *w)
{
	size_t at = below(&w->dice, w->other->size);
	size_t len = piece(w, w->other->size - at);

	insert(w, below(&w->dice, w->size + 1), w->other->data + at, len);
}

static void
put_other(struct work *w)
{
	size_t at = below(&w->dice, w->other->size);

	put(w, below(&w->dice, w->size), w->other->data + at, piece(w, w->other->size - at));
}

/* Its beginning, and the end of the other. */
static void
splice(struct work *w)
{
	size_t at = below(&w->dice, w->other->size);
	size_t len = w->other->size - at;

	w->size = below(&w->dice, w->size + 1);
	insert(w, w->size, w->other->data + at, len);
}

static void
insert_token(struct work *w)
{
	size_t n = 0;

	while (fuzz_tokens[n] != NULL)
		n++;
	if (n > 0) {
		const char *token = fuzz_tokens[below(&w->dice, n)];

		insert(w, below(&w->dice, w->size + 1), token, strlen(token));
	}
}

static void (*const mutations[])(struct work *) = {
	flip_bit, set_byte, set_integer, set_integer, add_integer, cut_piece, repeat_piece,
	insert_bytes, insert_other, put_other, splice, insert_token,
};

size_t
mutate(uint64_t seed, const struct mutate_input *inputs, size_t n, uint8_t *out)
{
	struct work w = { .dice = { seed }, .data = out };
	const struct mutate_input *from = &inputs[below(&w.dice, n)];
	size_t times = (size_t)1 << below(&w.dice, 5);

	w.other = &inputs[below(&w.dice, n)];
	w.size = from->size < MUTATE_MAX ? from->size : MUTATE_MAX;
	if (w.size > 0)
		memcpy(out, from->data, w.size);
	for (size_t i = 0; i < times; i++)
		mutations[below(&w.dice, RTE_DIM(mutations))](&w);
	return w.size;
}
