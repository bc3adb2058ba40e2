/* SPDX-License-Identifier: BSD-3-Clause */
#include "console.h"
#include "help.h"
#include "words.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void
offer(json_t *list, const char *prefix, const char *word, const char *suffix, const char *begun)
{
	char text[4096];

	snprintf(text, sizeof(text), "%s%s%s", prefix, word, suffix);
	if (strncmp(text, begun, strlen(begun)) == 0)
		json_array_append_new(list, json_string(text));
}

/* Takes the reference of `words`. */
static void
offer_all(json_t *list, json_t *words, const char *prefix, const char *begun)
{
	json_t *word;
	size_t i;

	json_array_foreach(words, i, word)
		if (json_is_string(word))
			offer(list, prefix, json_string_value(word), "", begun);
	json_decref(words);
}

static void
offer_files(json_t *list, const char *prefix, const char *typed, const char *begun)
{
	const char *slash = strrchr(typed, '/');
	char folder[2048], path[4096];
	struct dirent *e;
	struct stat st;
	DIR *d;

	snprintf(folder, sizeof(folder), "%.*s", slash == NULL ? 0 : (int)(slash - typed + 1),
		 typed);
	d = opendir(folder[0] == '\0' ? "." : folder);
	if (d == NULL)
		return;
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s%s", folder, e->d_name);
		offer(list, prefix, path, stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? "/" : "",
		      begun);
	}
	closedir(d);
}

/* The names of what a noun has, asked from ferryd: names, else numbers. */
static void
offer_names(struct client *c, json_t *list, const char *noun, const char *prefix,
	    const char *begun)
{
	char method[64], number[32];
	json_t *objects, *object;
	size_t i;

	snprintf(method, sizeof(method), "%s.show", noun);
	objects = client_ask(c, method, NULL);
	json_array_foreach(objects, i, object) {
		const json_t *name = json_object_get(object, "name");
		const json_t *index = json_object_get(object, "index");

		snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT,
			 json_integer_value(index));
		if (json_is_string(name))
			offer(list, prefix, json_string_value(name), "", begun);
		else if (json_is_integer(index))
			offer(list, prefix, number, "", begun);
	}
	json_decref(objects);
}

static void
offer_values(struct client *c, json_t *list, const json_t *param, const char *prefix,
	     const char *begun)
{
	const char *completes = json_string_value(json_object_get(param, "completes"));
	const char *type = json_string_value(json_object_get(param, "type"));

	offer_all(list, json_incref(json_object_get(param, "choices")), prefix, begun);
	if (type != NULL && strcmp(type, "boolean") == 0)
		offer_all(list, json_pack("[s, s]", "yes", "no"), prefix, begun);
	if (completes != NULL && strcmp(completes, "file") == 0)
		offer_files(list, prefix, begun + strlen(prefix), begun);
	else if (completes != NULL)
		offer_names(c, list, completes, prefix, begun);
}

static bool
given(const char *name, int n, const char *const *words)
{
	size_t len = strlen(name);

	for (int i = 0; i < n; i++)
		if (words_key(words[i]) == len && strncmp(words[i], name, len) == 0)
			return true;
	return false;
}

static bool
positional_given(int n, const char *const *words)
{
	for (int i = 0; i < n; i++)
		if (words_key(words[i]) == 0)
			return true;
	return false;
}

/* Parameters after the method: [NAME] or a key that is not there yet, or the value of one. */
static void
offer_params(struct client *c, json_t *list, const json_t *row, int n, const char *const *words,
	     const char *begun)
{
	const char *positional = json_string_value(json_object_get(row, "positional"));
	size_t key = words_key(begun), i;
	char prefix[128];
	json_t *param;

	if (key > 0) {
		snprintf(prefix, sizeof(prefix), "%.*s", (int)key, begun);
		param = words_param(row, prefix);
		snprintf(prefix, sizeof(prefix), "%.*s=", (int)key, begun);
		offer_values(c, list, param, prefix, begun);
		return;
	}
	if (positional != NULL && !positional_given(n, words) && !given(positional, n, words))
		offer_values(c, list, words_param(row, positional), "", begun);
	json_array_foreach(json_object_get(row, "params"), i, param) {
		const char *name = json_string_value(json_object_get(param, "name"));

		if (name != NULL && (positional == NULL || strcmp(name, positional) != 0) &&
		    !given(name, n, words))
			offer(list, "", name, "=", begun);
	}
}

static void
offer_commands(struct client *c, json_t *list, int n, const char *const *words,
	       const char *begun)
{
	bool show = n > 0 && strcmp(words[0], "show") == 0;
	char method[64];
	int rest;

	if (n == 0) {
		offer(list, "", "show", "", begun);
		offer_all(list, help_words(c, NULL, NULL), "", begun);
	} else if (n == 1) {
		offer_all(list, help_words(c, show ? NULL : words[0], "show"), "", begun);
	} else if (words_method(n, words, method, sizeof(method), &rest)) {
		offer_params(c, list, client_method(c, method), n - rest, words + rest, begun);
	}
}

json_t *
complete_words(struct client *c, int n, const char *const *words, const char *begun)
{
	json_t *list = json_array();

	if (n > 0 && strcmp(words[0], "help") == 0) {
		if (n <= 2)
			offer_all(list, help_words(c, n == 1 ? NULL : words[1], NULL), "", begun);
		return list;
	}
	if (n > 0 && strcmp(words[0], "watch") == 0) {
		int skip = n > 1 && strspn(words[1], "0123456789.") == strlen(words[1]) ? 2 : 1;

		n -= skip;
		words += skip;
		if (n == 1 && strcmp(words[0], "migration") == 0)
			offer_names(c, list, "port", "", begun);
	} else if (n == 0) {
		offer_all(list, json_pack("[s, s, s]", "help", "watch", "quit"), "", begun);
	}
	offer_commands(c, list, n, words, begun);
	return list;
}
