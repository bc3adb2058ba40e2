/* SPDX-License-Identifier: BSD-3-Clause */
#include "help.h"
#include "member.h"

#include <stdbool.h>
#include <string.h>

static bool
holds(const json_t *list, const char *word, size_t len)
{
	json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
		if (json_string_length(item) == len &&
		    strncmp(json_string_value(item), word, len) == 0)
			return true;
	return false;
}

json_t *
help_words(struct client *c, const char *noun, const char *verb)
{
	json_t *list = json_array(), *row;
	size_t i;

	json_array_foreach(client_methods(c), i, row) {
		const char *method = text_of(row, "method");
		size_t len = strcspn(method, ".");

		if (method[len] == '\0')
			continue;
		if (noun != NULL) {
			if (strlen(noun) == len && strncmp(noun, method, len) == 0)
				json_array_append_new(list, json_string(method + len + 1));
		} else if ((verb == NULL || strcmp(verb, method + len + 1) == 0) &&
			   !holds(list, method, len)) {
			json_array_append_new(list, json_stringn(method, len));
		}
	}
	return list;
}

static void
print_words(FILE *out, const char *text, json_t *list)
{
	json_t *item;
	size_t i;

	fputs(text, out);
	json_array_foreach(list, i, item)
		fprintf(out, "%s%s", i == 0 ? " " : ", ", json_string_value(item));
	fputc('\n', out);
	json_decref(list);
}

void
help_unknown(struct client *c, int n, const char *const *words)
{
	bool show = n > 0 && strcmp(words[0], "show") == 0;
	json_t *verbs = n > 0 && !show ? help_words(c, words[0], NULL) : NULL;
	char text[256];

	if (json_array_size(verbs) > 0) {
		snprintf(text, sizeof(text), "ferryctl: %s\"%.64s\" has the verbs", client_where,
			 words[0]);
		print_words(stderr, text, json_incref(verbs));
	} else {
		if (n > show)
			fprintf(stderr, "ferryctl: %s%s \"%s\"\n", client_where,
				show ? "nothing to show by the name" : "no noun", words[show]);
		snprintf(text, sizeof(text), "ferryctl: %s%s", client_where,
			 show ? "show takes" : "nouns are");
		print_words(stderr, text, help_words(c, NULL, show ? "show" : NULL));
	}
	json_decref(verbs);
}

static void
print_choices(const json_t *param, FILE *out)
{
	json_t *choices = json_object_get(param, "choices"), *item;
	size_t i;

	json_array_foreach(choices, i, item)
		fprintf(out, "%s%s", i == 0 ? "" : "|", json_string_value(item));
	if (choices == NULL)
		fputs(text_of(param, "type"), out);
}

static void
print_param(const json_t *param, FILE *out)
{
	const json_t *max = json_object_get(param, "max");
	bool integer = strcmp(text_of(param, "type"), "integer") == 0;

	fprintf(out, "    %-12s %s", text_of(param, "name"), text_of(param, "help"));
	fputs(" (", out);
	print_choices(param, out);
	if (max != NULL && integer)
		fprintf(out, " from %" JSON_INTEGER_FORMAT " to %" JSON_INTEGER_FORMAT,
			json_integer_value(json_object_get(param, "min")), json_integer_value(max));
	fprintf(out, "%s)\n", json_is_true(json_object_get(param, "required")) ? ", required" : "");
}

/* "show port [NAME]", as it is typed. */
static void
print_synopsis(const json_t *row, FILE *out)
{
	const char *method = text_of(row, "method"), *verb = strchr(method, '.');
	const char *positional = json_string_value(json_object_get(row, "positional"));
	int len = (int)strcspn(method, ".");
	char line[128];
	size_t n;

	if (verb != NULL && strcmp(verb, ".show") == 0)
		snprintf(line, sizeof(line), "show %.*s", len, method);
	else
		snprintf(line, sizeof(line), "%.*s %s", len, method, verb == NULL ? "" : verb + 1);
	n = strlen(line);
	if (positional != NULL)
		n += (size_t)snprintf(line + n, sizeof(line) - n, " [%s]", positional);
	if (json_array_size(json_object_get(row, "params")) > (positional != NULL))
		snprintf(line + n, sizeof(line) - n, " [key=value...]");
	fprintf(out, "%-40s %s\n", line, text_of(row, "help"));
}

static void
print_method(const json_t *row, bool with_params, FILE *out)
{
	json_t *param;
	size_t i;

	print_synopsis(row, out);
	if (with_params)
		json_array_foreach(json_object_get(row, "params"), i, param)
			print_param(param, out);
}

static bool
row_matches(const json_t *row, int n, const char *const *words)
{
	const char *method = text_of(row, "method");
	size_t len = strcspn(method, ".");

	if (n > 0 && (strlen(words[0]) != len || strncmp(words[0], method, len) != 0))
		return false;
	return n < 2 || (method[len] == '.' && strcmp(method + len + 1, words[1]) == 0);
}

enum status
help_print(struct client *c, int n, const char *const *words, FILE *out)
{
	const char *swapped[2];
	bool found = false;
	json_t *row;
	size_t i;

	/* `help show port` means the method as well as `help port show` does */
	if (n == 2 && strcmp(words[0], "show") == 0) {
		swapped[0] = words[1];
		swapped[1] = words[0];
		words = swapped;
	}
	if (client_methods(c) == NULL)
		return STATUS_NO_FERRYD;
	json_array_foreach(client_methods(c), i, row)
		if (row_matches(row, n, words)) {
			print_method(row, n > 0, out);
			found = true;
		}
	if (!found) {
		help_unknown(c, n, words);
		return STATUS_USAGE;
	}
	if (n == 0)
		fputs("watch [SECONDS] COMMAND                  repeat a command, live\n"
		      "watch [SECONDS] migration [PORT]         follow migrations, live\n"
		      "help [NOUN [VERB]]                       what can be done, in detail\n"
		      "quit                                     leave\n", out);
	return STATUS_OK;
}
