/* SPDX-License-Identifier: BSD-3-Clause */
#include "nearest.h"

#include <string.h>

#define WORD_MAX 64

static size_t
min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

/* Damerau-Levenshtein with adjacent transpositions: one typing mistake counts one. */
static size_t
distance(const char *a, size_t n_a, const char *b, size_t n_b)
{
	size_t d[3][WORD_MAX + 1];

	for (size_t j = 0; j <= n_b; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= n_a; i++) {
		size_t *now = d[i % 3], *last = d[(i + 2) % 3], *before = d[(i + 1) % 3];

		now[0] = i;
		for (size_t j = 1; j <= n_b; j++) {
			now[j] = min3(last[j] + 1, now[j - 1] + 1,
				      last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < now[j])
				now[j] = before[j - 2] + 1;
		}
	}
	return d[n_a % 3][n_b];
}

void
nearest_offer(struct nearest *n, const char *known)
{
	size_t n_word = strlen(n->word), n_known = strlen(known), d;

	if (n_word == 0 || n_word > WORD_MAX || n_known > WORD_MAX)
		return;
	d = distance(n->word, n_word, known, n_known);
	if (n_word >= 2 && strncmp(known, n->word, n_word) == 0)
		d = 1;
	if (d > 1 + n_word / 4 || d >= n_known)
		return;
	if (n->best == NULL || d < n->distance) {
		n->best = known;
		n->distance = d;
	}
}
