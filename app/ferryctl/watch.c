/* SPDX-License-Identifier: BSD-3-Clause */
#include "watch.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t interrupted;

static void
on_interrupt(int signo)
{
	interrupted = 1;
}

bool
watch_replaces(const struct shell *s)
{
	return isatty(STDOUT_FILENO) && !s->json;
}

/* One picture is made in memory and written at once: it does not flicker. */
static enum status
watch_once(struct shell *s, const struct watch *w)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	enum status st = w->picture(s, w->arg, f);

	fclose(f);
	if (st == STATUS_OK && watch_replaces(s))
		printf("\033[H\033[2Jevery %g s: %s   (Ctrl-C ends)\n\n", w->seconds, w->title);
	if (st == STATUS_OK)
		fputs(text, stdout);
	if (fflush(stdout) == EOF)
		interrupted = 1;
	free(text);
	return st;
}

enum status
watch_run(struct shell *s, const struct watch *w)
{
	const struct timespec pause = {
		.tv_sec = (time_t)w->seconds,
		.tv_nsec = (long)((w->seconds - (double)(time_t)w->seconds) * 1e9),
	};
	const struct sigaction act = { .sa_handler = on_interrupt };
	struct sigaction old;
	enum status st;

	interrupted = 0;
	sigaction(SIGINT, &act, &old);
	do {
		st = watch_once(s, w);
		if (st == STATUS_OK && !interrupted)
			nanosleep(&pause, NULL);
	} while (st == STATUS_OK && !interrupted);
	sigaction(SIGINT, &old, NULL);
	return st;
}
