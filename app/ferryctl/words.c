/* SPDX-License-Identifier: BSD-3-Clause */
#include "words.h"
#include "help.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum status
usage(const char *text, const char *word)
{
	fprintf(stderr, "ferryctl: %s%s \"%s\"\n", client_where, text, word);
	return STATUS_USAGE;
}

json_t *
words_param(const json_t *row, const char *name)
{
	json_t *param;
	size_t i;

	json_array_foreach(json_object_get(row, "params"), i, param) {
		const char *is = json_string_value(json_object_get(param, "name"));

		if (is != NULL && strcmp(is, name) == 0)
			return param;
	}
	return NULL;
}

size_t
words_key(const char *word)
{
	size_t n = strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");

	return word[n] == '=' ? n : 0;
}

bool
words_method(int n, const char *const *words, char *method, size_t size, int *rest)
{
	bool show = n > 0 && strcmp(words[0], "show") == 0;

	if (n < 2)
		return false;
	snprintf(method, size, "%s.%s", show ? words[1] : words[0], show ? "show" : words[1]);
	*rest = 2;
	return true;
}

static json_t *
integer_json(const char *text)
{
	bool hex = strncmp(text, "0x", 2) == 0;
	char *end;
	long long n;

	errno = 0;
	n = strtoll(text, &end, hex ? 16 : 10);
	return *text == '\0' || *end != '\0' || errno != 0 ? NULL : json_integer(n);
}

static json_t *
boolean_json(const char *text)
{
	static const char *const yes[] = { "yes", "true", "on" };
	static const char *const no[] = { "no", "false", "off" };

	for (int i = 0; i < 3; i++) {
		if (strcmp(text, yes[i]) == 0)
			return json_true();
		if (strcmp(text, no[i]) == 0)
			return json_false();
	}
	return NULL;
}

/* ferryd has another working folder. */
static json_t *
path_json(const char *text)
{
	char *cwd = text[0] == '/' || text[0] == '\0' || strcmp(text, "-") == 0 ? NULL :
		    getcwd(NULL, 0);
	json_t *value;

	if (cwd == NULL)
		return json_string(text);
	value = json_sprintf("%s/%s", strcmp(cwd, "/") == 0 ? "" : cwd, text);
	free(cwd);
	return value;
}

static bool
is_path(const json_t *param)
{
	const char *completes = json_string_value(json_object_get(param, "completes"));

	return completes != NULL && strcmp(completes, "file") == 0;
}

/* What does not fit its type goes as a string: ferryd says what it expected. */
static json_t *
typed_json(const json_t *param, const char *text)
{
	const char *type = json_string_value(json_object_get(param, "type"));
	json_t *value = NULL;

	if (type == NULL)
		return json_string(text);
	if (strcmp(type, "integer") == 0)
		value = integer_json(text);
	else if (strcmp(type, "boolean") == 0)
		value = boolean_json(text);
	else if (strcmp(type, "object") == 0 || strcmp(type, "array") == 0)
		value = json_loads(text, JSON_DECODE_ANY, NULL);
	else if (is_path(param))
		value = path_json(text);
	return value == NULL ? json_string(text) : value;
}

/* The method that another ferryd is asked for the value, where `text` is no JSON; NULL: none. */
static const char *
asks(const json_t *param, const char *text)
{
	return text[0] == '{' ? NULL : json_string_value(json_object_get(param, "asks"));
}

static enum status
param_add(struct words *w, const char *name, const char *text)
{
	const json_t *param = words_param(w->row, name);
	const char *asked = asks(param, text);
	json_t *value = NULL;
	enum status st;

	if (asked != NULL) {
		st = client_call_at(text, asked, &value);
		if (st != STATUS_OK)
			return st;
	} else {
		value = typed_json(param, text);
	}
	if (json_object_get(w->params, name) != NULL) {
		json_decref(value);
		return usage("given twice:", name);
	}
	if (value == NULL)
		return usage("no UTF-8:", name);
	w->wants_stdout |= asked == NULL && is_path(param) && strcmp(text, "-") == 0;
	json_object_set_new(w->params, name, value);
	return STATUS_OK;
}

static enum status
word_add(struct words *w, const char *word, bool *named)
{
	const char *positional = json_string_value(json_object_get(w->row, "positional"));
	size_t len = words_key(word);
	enum status st;
	char *key;

	if (len == 0) {
		if (positional == NULL || *named)
			return usage("expected key=value, not", word);
		*named = true;
		return param_add(w, positional, word);
	}
	key = strndup(word, len);
	st = param_add(w, key, word + len + 1);
	free(key);
	return st;
}

enum status
words_parse(struct client *c, int n, const char *const *words, struct words *out)
{
	enum status st = STATUS_OK;
	bool named = false;
	int rest;

	*out = (struct words){ 0 };
	if (client_methods(c) == NULL)
		return STATUS_NO_FERRYD;
	if (words_method(n, words, out->method, sizeof(out->method), &rest))
		out->row = client_method(c, out->method);
	if (out->row == NULL) {
		help_unknown(c, n, words);
		return STATUS_USAGE;
	}
	out->params = json_object();
	for (int i = rest; i < n && st == STATUS_OK; i++)
		st = word_add(out, words[i], &named);
	if (st != STATUS_OK)
		words_fini(out);
	return st;
}

void
words_fini(struct words *w)
{
	json_decref(w->params);
	w->params = NULL;
}
