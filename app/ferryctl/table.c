/* SPDX-License-Identifier: BSD-3-Clause */
#include "table.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define GAP 2

struct cell {
	char *text;
	bool numeric;
};

struct table {
	size_t n_columns;
	size_t n_cells;
	size_t room;
	struct cell *cells;
};

static void *
must(void *p)
{
	if (p == NULL) {
		fprintf(stderr, "ferryctl: out of memory\n");
		exit(1);
	}
	return p;
}

struct table *
table_create(size_t n)
{
	struct table *t = must(calloc(1, sizeof(*t)));

	t->n_columns = n;
	return t;
}

void
table_destroy(struct table *t)
{
	for (size_t i = 0; i < t->n_cells; i++)
		free(t->cells[i].text);
	free(t->cells);
	free(t);
}

void
table_add(struct table *t, char *text, bool numeric)
{
	if (t->n_cells == t->room) {
		t->room = t->room == 0 ? 64 : t->room * 2;
		t->cells = must(realloc(t->cells, t->room * sizeof(*t->cells)));
	}
	t->cells[t->n_cells++] = (struct cell){
		.text = text == NULL ? must(strdup("")) : text,
		.numeric = numeric,
	};
}

void
text_print(const char *text, FILE *out)
{
	for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
		bool c1 = c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0;

		fputc(*c < ' ' || *c == 0x7f || c1 ? '?' : *c, out);
		c += c1;
	}
}

/* Characters, not bytes: the followers of UTF-8 take no room. */
static size_t
width_of(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += (*text & 0xc0) != 0x80;
	return n;
}

static void
column_measure(const struct table *t, size_t column, size_t *width, bool *right)
{
	*width = 0;
	*right = t->n_cells > t->n_columns;
	for (size_t i = column; i < t->n_cells; i += t->n_columns) {
		size_t w = width_of(t->cells[i].text);

		*width = w > *width ? w : *width;
		if (i >= t->n_columns)
			*right &= t->cells[i].numeric;
	}
}

static void
pad(FILE *out, size_t n)
{
	while (n-- > 0)
		fputc(' ', out);
}

void
table_print(const struct table *t, FILE *out)
{
	size_t *widths = must(calloc(t->n_columns, sizeof(*widths)));
	bool *right = must(calloc(t->n_columns, sizeof(*right)));

	for (size_t i = 0; i < t->n_columns; i++)
		column_measure(t, i, &widths[i], &right[i]);
	for (size_t i = 0, ahead = 0; i < t->n_cells; i++) {
		size_t column = i % t->n_columns;
		size_t missing = widths[column] - width_of(t->cells[i].text);
		const char *text = t->cells[i].text;

		if (text[0] != '\0') {
			pad(out, ahead + (right[column] ? missing : 0));
			text_print(text, out);
			ahead = right[column] ? 0 : missing;
		} else {
			ahead += missing;
		}
		ahead += GAP;
		if (column == t->n_columns - 1) {
			fputc('\n', out);
			ahead = 0;
		}
	}
	free(widths);
	free(right);
}
