/* SPDX-License-Identifier: BSD-3-Clause */
#include "console.h"

#include <errno.h>
#include <histedit.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HISTORY_LINES 1000
#define LIST_WIDTH    80

struct console {
	struct shell *shell;
	EditLine *el;
	History *history;
	char history_file[512];
	bool dropped;  /* the line, by Ctrl-C */
	bool gone;     /* nobody answers any more */
};

static char *
prompt(EditLine *el)
{
	static char text[] = "ferry> ";

	return text;
}

static void
make_folders(char *path)
{
	for (char *at = strchr(path + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
		*at = '\0';
		mkdir(path, 0700);
		*at = '/';
	}
}

/* Below $XDG_STATE_HOME or ~/.local/state; no home, no history file. */
static void
history_path(char *out, size_t size)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

	out[0] = '\0';
	if (state != NULL && state[0] == '/')
		snprintf(out, size, "%s/ferry/ferryctl_history", state);
	else if (home != NULL && home[0] == '/')
		snprintf(out, size, "%s/.local/state/ferry/ferryctl_history", home);
	if (out[0] != '\0')
		make_folders(out);
}

/* What all candidates have in common. */
static size_t
common_length(const json_t *list)
{
	const char *first = json_string_value(json_array_get(list, 0));
	size_t len = strlen(first), i;
	json_t *item;

	json_array_foreach(list, i, item) {
		const char *s = json_string_value(item);
		size_t n = 0;

		while (n < len && s[n] == first[n])
			n++;
		len = n;
	}
	return len;
}

static void
print_candidates(const json_t *list)
{
	size_t width = 0, i, at = 0;
	json_t *item;

	json_array_foreach(list, i, item)
		width = json_string_length(item) > width ? json_string_length(item) : width;
	putchar('\n');
	json_array_foreach(list, i, item) {
		if (at > 0 && at + width + 2 > LIST_WIDTH) {
			putchar('\n');
			at = 0;
		}
		printf("%-*s", (int)width + 2, json_string_value(item));
		at += width + 2;
	}
	putchar('\n');
	fflush(stdout);
}

static unsigned char
insert_candidates(EditLine *el, const json_t *list, size_t typed)
{
	const char *first = json_string_value(json_array_get(list, 0));
	size_t len = common_length(list);
	bool one = json_array_size(list) == 1;
	bool whole = one && len > 0 && first[len - 1] != '=' && first[len - 1] != '/';
	char *rest;
	int n;

	if (len <= typed && !one) {
		print_candidates(list);
		return CC_REDISPLAY;
	}
	n = asprintf(&rest, "%.*s%s", (int)(len - typed), first + typed, whole ? " " : "");
	if (n < 0)
		return CC_ERROR;
	n = el_insertstr(el, rest);
	free(rest);
	return n < 0 ? CC_ERROR : CC_REFRESH;
}

static unsigned char
complete_at(struct console *con, int n, const char *const *words, const char *begun)
{
	json_t *list = complete_words(con->shell->client, n, words, begun);
	unsigned char rc = CC_REFRESH_BEEP;

	if (json_array_size(list) > 0)
		rc = insert_candidates(con->el, list, strlen(begun));
	json_decref(list);
	return rc;
}

static unsigned char
complete(EditLine *el, int key)
{
	const LineInfo *li = el_line(el);
	char *line = strndup(li->buffer, (size_t)(li->cursor - li->buffer));
	size_t len = strlen(line);
	bool fresh = len == 0 || line[len - 1] == ' ';
	unsigned char rc = CC_ERROR;
	struct console *con;
	const char **words;
	Tokenizer *t = tok_init(NULL);
	int n;

	el_get(el, EL_CLIENTDATA, &con);
	if (tok_str(t, line, &n, &words) == 0)
		rc = complete_at(con, fresh || n == 0 ? n : n - 1, words,
				 fresh || n == 0 ? "" : words[n - 1]);
	tok_end(t);
	free(line);
	return rc;
}

static unsigned char
drop(EditLine *el, int key)
{
	struct console *con;

	el_get(el, EL_CLIENTDATA, &con);
	con->dropped = true;
	return CC_EOF;
}

static void
on_interrupt(int signo)
{
}

static int
console_open(struct console *con)
{
	const struct sigaction act = { .sa_handler = on_interrupt };
	HistEvent ev;

	con->el = el_init("ferryctl", stdin, stdout, stderr);
	con->history = history_init();
	if (con->el == NULL || con->history == NULL)
		return -ENOMEM;
	history(con->history, &ev, H_SETSIZE, HISTORY_LINES);
	history(con->history, &ev, H_SETUNIQUE, 1);
	history_path(con->history_file, sizeof(con->history_file));
	if (con->history_file[0] != '\0')
		history(con->history, &ev, H_LOAD, con->history_file);
	el_set(con->el, EL_PROMPT, prompt);
	el_set(con->el, EL_EDITOR, "emacs");
	el_set(con->el, EL_CLIENTDATA, con);
	el_set(con->el, EL_HIST, history, con->history);
	/* el_set() would copy the two texts and lose the copies */
	el_wset(con->el, EL_ADDFN, L"ferry-complete", L"complete the word", complete);
	el_set(con->el, EL_BIND, "^I", "ferry-complete", NULL);
	el_wset(con->el, EL_ADDFN, L"ferry-drop", L"drop the line", drop);
	el_set(con->el, EL_BIND, "^C", "ferry-drop", NULL);
	el_set(con->el, EL_SIGNAL, 1);
	el_source(con->el, NULL);
	sigaction(SIGINT, &act, NULL);
	return 0;
}

static void
console_close(struct console *con)
{
	if (con->el != NULL)
		el_end(con->el);
	if (con->history != NULL)
		history_end(con->history);
}

static void
remember(struct console *con, const char *line)
{
	HistEvent ev;

	if (line[strspn(line, " \t\r\n")] == '\0')
		return;
	history(con->history, &ev, H_ENTER, line);
	if (con->history_file[0] != '\0')
		history(con->history, &ev, H_SAVE, con->history_file);
}

/* False: Ctrl-D, quit, or ferryd has gone. */
static bool
turn(struct console *con)
{
	const char *line;
	int n = 0;

	/* before the prompt is seen, or a quick Ctrl-D is taken by the terminal and lost */
	el_set(con->el, EL_PREP_TERM, 1);
	/* While a line is edited Ctrl-C is a key: a signal that comes just before the editor waits for
	 * the next one would be lost.  The line above takes over what the user's terminal has. */
	el_set(con->el, EL_SETTY, "-d", "intr=", NULL);
	con->dropped = false;
	line = el_gets(con->el, &n);
	if (con->dropped || (line == NULL && n < 0 && errno == EINTR)) {
		putchar('\n');
		el_reset(con->el);
		return true;
	}
	if (line == NULL) {
		putchar('\n');
		return false;
	}
	remember(con, line);
	con->gone = command_line(con->shell, line) == STATUS_NO_FERRYD;
	return !con->gone && !con->shell->quit;
}

enum status
console_run(struct shell *s)
{
	struct console con = { .shell = s };

	if (console_open(&con) < 0) {
		fprintf(stderr, "ferryctl: no line editor on this terminal\n");
		console_close(&con);
		return STATUS_FAILED;
	}
	while (turn(&con))
		;
	console_close(&con);
	return con.gone ? STATUS_NO_FERRYD : STATUS_OK;
}
