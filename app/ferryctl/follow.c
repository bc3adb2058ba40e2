/* SPDX-License-Identifier: BSD-3-Clause */
/* Migrations as they go on: a picture on a terminal, else a line per change. */
#include "member.h"
#include "own.h"
#include "table.h"
#include "watch.h"

#include <stdlib.h>
#include <string.h>

#define BAR_WIDTH 30

struct follow {
	const char *port;  /* NULL: all */
	json_t *seen;      /* "vm1 3": what was told of it last; NULL: nothing was looked at yet */
};

static void
print_bar(double done, double of, FILE *out)
{
	int full = of > 0 ? (int)(done * BAR_WIDTH / of) : 0;

	fputc('[', out);
	for (int i = 0; i < BAR_WIDTH; i++)
		fputc(i < full ? '#' : '.', out);
	fprintf(out, "] %.0f of %.0f", done, of);
}

static const json_t *
last_moment(const json_t *m)
{
	const json_t *list = json_object_get(m, "moments");

	return json_array_get(list, json_array_size(list) - 1);
}

static void
print_one(const json_t *m, FILE *out)
{
	text_print(text_of(m, "port"), out);
	fprintf(out, "  migration %.0f %s  ", number_of(m, "number"), text_of(m, "direction"));
	text_print(text_of(m, "state"), out);
	fputs("\n  ", out);
	print_bar(number_of(m, "done"), number_of(m, "of"), out);
	fprintf(out, "  %.1f s\n  dirty ", number_of(m, "us") / 1e6);
	fprintf(out, "%.0f pages/s, %.0f pages, log harvested %.0f times\n",
		number_of(m, "pages_per_s"), number_of(m, "pages"), number_of(m, "harvests"));
	fprintf(out, "  last  %.3f ms ", number_of(last_moment(m), "us") / 1e3);
	text_print(text_of(last_moment(m), "text"), out);
	fputs("\n  ", out);
	text_print(text_of(m, "verdict"), out);
	fputs("\n\n", out);
}

/* The newest of each port: they come port by port, oldest first. */
static void
print_picture(const json_t *list, FILE *out)
{
	size_t n = json_array_size(list);

	for (size_t i = 0; i < n; i++) {
		const json_t *m = json_array_get(list, i), *next = json_array_get(list, i + 1);

		if (next == NULL || strcmp(text_of(m, "port"), text_of(next, "port")) != 0)
			print_one(m, out);
	}
	if (n == 0)
		fputs("no migration yet\n", out);
}

static bool
holds(const json_t *list, const json_t *item)
{
	const json_t *one;
	size_t i;

	json_array_foreach(list, i, one)
		if (json_equal(one, item))
			return true;
	return false;
}

static void
line_begin(const json_t *m, FILE *out)
{
	text_print(text_of(m, "port"), out);
	fprintf(out, " %.0f ", number_of(m, "number"));
}

/* Lines for what `before` (NULL: nothing of it is known) does not have. */
static void
print_changes(const json_t *m, const json_t *before, FILE *out)
{
	const json_t *moment;
	size_t i;

	json_array_foreach(json_object_get(m, "moments"), i, moment) {
		if (holds(json_object_get(before, "moments"), moment))
			continue;
		line_begin(m, out);
		fprintf(out, "+%.3f ms ", number_of(moment, "us") / 1e3);
		text_print(text_of(moment, "text"), out);
		fputc('\n', out);
	}
	if (strcmp(text_of(m, "state"), text_of(before, "state")) != 0) {
		line_begin(m, out);
		text_print(text_of(m, "state"), out);
		fputs(": ", out);
		text_print(text_of(m, "verdict"), out);
		fputc('\n', out);
	}
}

static bool
changed(const json_t *m, const json_t *before)
{
	return !json_equal(json_object_get(m, "moments"), json_object_get(before, "moments")) ||
	       strcmp(text_of(m, "state"), text_of(before, "state")) != 0;
}

/* At the first look, what has come to its end is no change. */
static void
follow_lines(const struct shell *s, struct follow *f, json_t *list, FILE *out)
{
	bool first = f->seen == NULL;
	json_t *seen = json_object(), *m;
	char key[96];
	size_t i;

	json_array_foreach(list, i, m) {
		const json_t *before;

		snprintf(key, sizeof(key), "%.64s %.0f", text_of(m, "port"),
			 number_of(m, "number"));
		before = json_object_get(f->seen, key);
		json_object_set(seen, key, m);
		if ((first && number_of(m, "done") >= number_of(m, "of")) || !changed(m, before))
			continue;
		if (s->json) {
			json_dumpf(m, out, JSON_COMPACT);
			fputc('\n', out);
		} else {
			print_changes(m, before, out);
		}
	}
	json_decref(f->seen);
	f->seen = seen;
}

static enum status
picture(struct shell *s, void *arg, FILE *out)
{
	struct follow *f = arg;
	json_t *list = NULL;
	enum status st = client_call(s->client, "migration.show",
				     json_pack("{s:s*}", "port", f->port), &list);

	if (st != STATUS_OK)
		return st;
	if (watch_replaces(s))
		print_picture(list, out);
	else
		follow_lines(s, f, list, out);
	json_decref(list);
	return STATUS_OK;
}

enum status
follow_run(struct shell *s, const char *port, double seconds)
{
	struct follow f = { .port = port };
	const struct watch w = {
		.seconds = seconds, .title = "migrations", .picture = picture, .arg = &f,
	};
	enum status st = watch_run(s, &w);

	json_decref(f.seen);
	return st;
}
