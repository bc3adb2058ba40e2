/* SPDX-License-Identifier: BSD-3-Clause */
#include "show.h"
#include "table.h"
#include "view.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define LINE_WIDTH   100
#define COUNTS_INLINE  4 /* more counters than these get a line each */
#define COLUMNS_MAX   32

static char *
text_new(const char *text)
{
	return strdup(text);
}

static char *
number_text(const json_t *value)
{
	char text[64];

	if (json_is_integer(value))
		snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else
		snprintf(text, sizeof(text), "%.6g", json_real_value(value));
	return text_new(text);
}

static char *
si_text(const json_t *value)
{
	static const char *const units[] = { "", "k", "M", "G", "T" };
	double n = json_number_value(value);
	char text[64];
	size_t unit = 0;

	while (fabs(n) >= 999.5 && unit < 4) {
		n /= 1000;
		unit++;
	}
	snprintf(text, sizeof(text), unit == 0 ? "%.0f%s" : n < 9.995 ? "%.2f %s" : n < 99.95 ?
		 "%.1f %s" : "%.0f %s", n, units[unit]);
	return text_new(text);
}

static bool
plain(const json_t *value)
{
	return !json_is_object(value) && !json_is_array(value);
}

static char *
plain_text(const json_t *value)
{
	char *text;

	if (json_is_string(value))
		return text_new(json_string_value(value));
	if (json_is_number(value))
		return number_text(value);
	if (json_is_boolean(value))
		return text_new(json_is_true(value) ? "yes" : "no");
	if (plain(value))
		return text_new("-");
	text = json_dumps(value, JSON_COMPACT);
	return text == NULL ? text_new("?") : text;
}

/* "no_desc 12, runt 1"; `zeros` shows the others too. */
static char *
counts_text(const json_t *counts, bool zeros)
{
	const char *key;
	json_t *value;
	char *text = NULL;
	size_t size;
	bool first = true;
	FILE *f = open_memstream(&text, &size);

	json_object_foreach((json_t *)counts, key, value) {
		char *n = plain_text(value);

		if (zeros || json_number_value(value) != 0 || !json_is_number(value)) {
			fprintf(f, "%s%s %s", first ? "" : ", ", key, n);
			first = false;
		}
		free(n);
	}
	fclose(f);
	return text;
}

static char *
list_text(const json_t *list)
{
	const json_t *item;
	char *text = NULL;
	size_t size, i;
	FILE *f = open_memstream(&text, &size);

	json_array_foreach(list, i, item) {
		char *one = plain_text(item);

		fprintf(f, "%s%s", i == 0 ? "" : " ", one);
		free(one);
	}
	fclose(f);
	return text;
}

static const json_t *
path_get(const json_t *object, const char *path)
{
	char key[64];
	size_t len = strcspn(path, ".");

	while (object != NULL) {
		snprintf(key, sizeof(key), "%.*s", (int)len, path);
		object = json_object_get(object, key);
		if (path[len] == '\0')
			return object;
		path += len + 1;
		len = strcspn(path, ".");
	}
	return NULL;
}

static char *
cell_text(const struct column *col, const json_t *value)
{
	char text[32];

	if (value == NULL || json_is_null(value))
		return text_new("-");
	switch (col->format) {
	case FORMAT_YES:
		return text_new(json_is_true(value) ? "yes" : "no");
	case FORMAT_COUNTS:
		return counts_text(value, false);
	case FORMAT_LIST:
		return list_text(value);
	case FORMAT_LENGTH:
		snprintf(text, sizeof(text), "%zu", json_array_size(value));
		return text_new(text);
	case FORMAT_SI:
		return si_text(value);
	case FORMAT_PERCENT:
		snprintf(text, sizeof(text), "%.1f", json_number_value(value));
		return text_new(text);
	case FORMAT_PLAIN:
		break;
	}
	return plain_text(value);
}

static void
print_rows(const struct column *columns, const json_t *list, FILE *out)
{
	struct table *t;
	size_t n = 0, i;
	json_t *object;

	while (columns[n].title != NULL)
		n++;
	t = table_create(n);
	for (i = 0; i < n; i++)
		table_add(t, text_new(columns[i].title), false);
	json_array_foreach(list, i, object)
		for (size_t j = 0; j < n; j++) {
			const json_t *value = path_get(object, columns[j].path);
			bool numeric = value == NULL || json_is_null(value) ||
				       json_is_number(value) ||
				       columns[j].format == FORMAT_LENGTH;

			table_add(t, cell_text(&columns[j], value), numeric);
		}
	table_print(t, out);
	table_destroy(t);
}

/* Columns for an array that has no view: whatever members its objects have. */
static void
print_generic(const json_t *list, FILE *out)
{
	struct column columns[COLUMNS_MAX + 1] = { 0 };
	json_t *all = json_object(), *object, *value;
	const char *key;
	size_t n = 0, i;

	json_array_foreach(list, i, object)
		json_object_update_missing(all, object);
	json_object_foreach(all, key, value)
		if (n < COLUMNS_MAX)
			columns[n++] = (struct column){ key, key,
				json_is_array(value) ? FORMAT_LIST :
				json_is_object(value) ? FORMAT_COUNTS : FORMAT_PLAIN };
	if (n > 0)
		print_rows(columns, list, out);
	json_decref(all);
}

static bool
of_objects(const json_t *value)
{
	return json_is_array(value) && json_is_object(json_array_get(value, 0));
}

static void
print_table(const char *method, const char *member, const json_t *list, FILE *out)
{
	const struct view *v = view_find(method, member);

	if (v != NULL)
		print_rows(v->columns, list, out);
	else if (of_objects(list))
		print_generic(list, out);
}

/* Words after a key, continued under the first one. */
static void
print_wrapped(const char *text, size_t indent, FILE *out)
{
	size_t at = indent;

	for (const char *word = text; *word != '\0';) {
		size_t len = strcspn(word, " ");
		char *one = strndup(word, len);

		if (word != text && at + 1 + len > LINE_WIDTH) {
			fprintf(out, "\n%*s", (int)indent, "");
			at = indent;
		} else if (word != text) {
			fputc(' ', out);
			at++;
		}
		text_print(one, out);
		free(one);
		at += len;
		word += len + (word[len] == ' ');
	}
	fputc('\n', out);
}

static size_t
key_width(const json_t *object)
{
	const char *key;
	json_t *value;
	size_t width = 0;

	json_object_foreach((json_t *)object, key, value)
		width = strlen(key) > width ? strlen(key) : width;
	return width;
}

static void
print_counts(const json_t *counts, FILE *out)
{
	size_t width = key_width(counts);
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)counts, key, value) {
		char *text = plain_text(value);

		fprintf(out, "  %s%*s ", key, (int)(width - strlen(key)), "");
		text_print(text, out);
		fputc('\n', out);
		free(text);
	}
}

static void
print_member(const char *key, const json_t *value, size_t width, FILE *out)
{
	char *text;

	if (of_objects(value))
		return;
	if (json_is_object(value) && json_object_size(value) > COUNTS_INLINE) {
		fprintf(out, "%s:\n", key);
		print_counts(value, out);
		return;
	}
	fprintf(out, "%s:%*s ", key, (int)(width - strlen(key)), "");
	text = json_is_object(value) ? counts_text(value, true) : json_is_array(value) ?
	       list_text(value) : plain_text(value);
	print_wrapped(text[0] == '\0' ? "-" : text, width + 2, out);
	free(text);
}

static void
print_object(const char *method, const json_t *object, FILE *out)
{
	size_t width = key_width(object);
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)object, key, value)
		print_member(key, value, width, out);
	json_object_foreach((json_t *)object, key, value)
		if (of_objects(value)) {
			fprintf(out, "\n%s:\n", key);
			print_table(method, key, value, out);
		}
}

static void
print_items(const json_t *list, FILE *out)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		char *text = plain_text(item);

		text_print(text, out);
		fputc('\n', out);
		free(text);
	}
}

void
show_print(const char *method, const json_t *result, FILE *out)
{
	const struct view *v = view_find(method, NULL);
	char *text;

	if (v != NULL && v->json) {
		json_dumpf(result, out, JSON_INDENT(2));
		fputc('\n', out);
	} else if (json_is_object(result)) {
		print_object(method, result, out);
	} else if (json_is_array(result) && json_array_size(result) > 0 && !of_objects(result)) {
		print_items(result, out);
	} else if (json_is_array(result)) {
		print_table(method, NULL, result, out);
	} else {
		text = plain_text(result);
		text_print(text, out);
		fputc('\n', out);
		free(text);
	}
}
