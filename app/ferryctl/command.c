/* SPDX-License-Identifier: BSD-3-Clause */
#include "command.h"
#include "fifo.h"
#include "help.h"
#include "own.h"
#include "show.h"
#include "view.h"
#include "watch.h"
#include "words.h"

#include <errno.h>
#include <histedit.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* What ferryd needs to measure a rate that it has not measured before. */
#define AGAIN_MS 300

/* A migration is over in the time in which a counter would be read once. */
#define FOLLOW_S 0.2

static void
print_result(const struct shell *s, const char *method, const json_t *result, FILE *out)
{
	if (!s->json) {
		show_print(method, result, out);
		return;
	}
	json_dumpf(result, out, JSON_COMPACT | JSON_ENCODE_ANY);
	fputc('\n', out);
}

static void
sleep_ms(uint64_t ms)
{
	const struct timespec t = { .tv_sec = (time_t)(ms / 1000),
				    .tv_nsec = (long)(ms % 1000) * 1000000 };

	nanosleep(&t, NULL);
}

static bool
lacks(const json_t *result, const char *member)
{
	const json_t *one = json_is_array(result) ? json_array_get(result, 0) : result;

	return json_is_null(json_object_get(one, member));
}

static enum status
call_and_print(struct shell *s, const struct words *w, FILE *out)
{
	const struct view *v = view_find(w->method, NULL);
	json_t *result = NULL;
	enum status st = client_call(s->client, w->method, json_incref(w->params), &result);

	if (st == STATUS_OK && !s->json && v != NULL && v->again != NULL &&
	    lacks(result, v->again)) {
		json_decref(result);
		sleep_ms(AGAIN_MS);
		st = client_call(s->client, w->method, json_incref(w->params), &result);
	}
	if (st != STATUS_OK)
		return st;
	print_result(s, w->method, result, out);
	if (v != NULL && v->fails != NULL &&
	    json_number_value(json_object_get(result, v->fails)) != 0)
		st = STATUS_FAILED;
	json_decref(result);
	return st;
}

/* Ends the stream by a second connection in a child: ferryd may have to write more of it before
 * it answers, and that has to be read meanwhile. */
static void
stream_stop(const struct shell *s, const struct stream *how, const json_t *started,
	    const struct fifo *f)
{
	pid_t pid = fork();
	struct client *c;
	json_t *result;

	if (pid == 0) {
		close(f->fd);
		if (client_open(s->path, &c) != STATUS_OK)
			_exit(STATUS_NO_FERRYD);
		_exit(client_call(c, how->stop, json_pack("{s:O}", how->key,
				  json_object_get(started, how->key)), &result));
	}
	fifo_copy(f);
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

static enum status
stream_run(struct shell *s, struct words *w, const struct stream *how)
{
	json_t *started = NULL, *param;
	const char *key;
	struct fifo f;
	enum status st;
	int rc = fifo_create(s->path, client_foreign(s->client), &f);

	if (rc < 0) {
		fprintf(stderr, "ferryctl: %sno pipe: %s\n", client_where, strerror(-rc));
		return STATUS_FAILED;
	}
	json_object_foreach(w->params, key, param)
		if (json_is_string(param) && strcmp(json_string_value(param), "-") == 0)
			json_string_set(param, f.path);
	st = client_call(s->client, w->method, json_incref(w->params), &started);
	fifo_unlink(&f);
	if (st == STATUS_OK && fifo_copy(&f) != FIFO_EOF)
		stream_stop(s, how, started, &f);
	close(f.fd);
	json_decref(started);
	return st;
}

static enum status
usage(const char *text)
{
	fprintf(stderr, "ferryctl: %s%s\n", client_where, text);
	return STATUS_USAGE;
}

static enum status
run_method(struct shell *s, int n, const char *const *words, FILE *out)
{
	const struct stream *how;
	struct words w;
	enum status st = words_parse(s->client, n, words, &w);

	if (st != STATUS_OK)
		return st;
	how = w.wants_stdout ? stream_find(w.method) : NULL;
	if (own_find(w.method) != NULL)
		st = own_find(w.method)->run(s, w.params, out);
	else if (!w.wants_stdout)
		st = call_and_print(s, &w, out);
	else if (how == NULL)
		st = usage("this command has no output for stdout: name a file in place of \"-\"");
	else if (isatty(STDOUT_FILENO))
		st = usage("stdout is a terminal: redirect it, or name a file in place of \"-\"");
	else
		st = stream_run(s, &w, how);
	words_fini(&w);
	return st;
}

/* The words of a command that is watched. */
struct watched {
	int n;
	const char *const *words;
};

static enum status
picture(struct shell *s, void *arg, FILE *out)
{
	const struct watched *w = arg;

	return run_method(s, w->n, w->words, out);
}

static enum status
watch_words(struct shell *s, struct watched *watched, double seconds)
{
	char title[256];
	const struct watch w = {
		.seconds = seconds, .title = title, .picture = picture, .arg = watched,
	};
	size_t len = 0;

	for (int i = 0; i < watched->n && len < sizeof(title); i++)
		len += (size_t)snprintf(title + len, sizeof(title) - len, "%s%s",
					i == 0 ? "" : " ", watched->words[i]);
	return watch_run(s, &w);
}

/* `watch migration [PORT]` follows migrations; all others repeat a command. */
static bool
follows(struct shell *s, int n, const char *const *words)
{
	char method[64];
	int rest;

	if (n > 2 || strcmp(words[0], "migration") != 0)
		return false;
	return !words_method(n, words, method, sizeof(method), &rest) ||
	       client_method(s->client, method) == NULL;
}

static enum status
watch(struct shell *s, int n, const char *const *words)
{
	struct watched watched;
	double given, seconds = 0;
	char *end;

	if (n > 0) {
		given = strtod(words[0], &end);
		if (end != words[0] && *end == '\0') {
			if (!(given >= 0.1 && given <= 3600))
				return usage("watch repeats every 0.1 to 3600 seconds");
			seconds = given;
			n--;
			words++;
		}
	}
	if (n == 0)
		return usage("watch [SECONDS] COMMAND");
	if (follows(s, n, words))
		return follow_run(s, n == 2 ? words[1] : NULL, seconds > 0 ? seconds : FOLLOW_S);
	watched = (struct watched){ n, words };
	return watch_words(s, &watched, seconds > 0 ? seconds : 1);
}

enum status
command_run(struct shell *s, int n, const char *const *words)
{
	enum status st = STATUS_OK;

	if (n == 0)
		return STATUS_OK;
	if (n == 1 && strcmp(words[0], "quit") == 0)
		s->quit = true;
	else if (strcmp(words[0], "help") == 0)
		st = help_print(s->client, n - 1, words + 1, stdout);
	else if (strcmp(words[0], "watch") == 0)
		st = watch(s, n - 1, words + 1);
	else
		st = run_method(s, n, words, stdout);
	fflush(stdout);
	return st;
}

/* Where a comment begins: a '#' at the start of a word, outside of quotes. */
static size_t
comment_at(const char *line)
{
	char quote = '\0';
	size_t i;

	for (i = 0; line[i] != '\0'; i++) {
		if (quote != '\0')
			quote = line[i] == quote ? '\0' : quote;
		else if (line[i] == '"' || line[i] == '\'')
			quote = line[i];
		else if (line[i] == '#' && (i == 0 || line[i - 1] == ' ' || line[i - 1] == '\t'))
			break;
	}
	return i;
}

enum status
command_line(struct shell *s, const char *line)
{
	Tokenizer *t = tok_init(NULL);
	char *code = strndup(line, comment_at(line));
	enum status st;
	const char **words;
	int n = 0;

	code[strcspn(code, "\r\n")] = '\0';
	if (tok_str(t, code, &n, &words) != 0)
		st = usage("a quote is not closed");
	else
		st = command_run(s, n, words);
	free(code);
	tok_end(t);
	return st;
}
