/* SPDX-License-Identifier: BSD-3-Clause */
#include "ferryd.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ferryctl of the same build, or the one that the path has. */
static void
console_exec(const char *rpc)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - sizeof("ferryctl"));
	char *slash;

	if (n > 0) {
		path[n] = '\0';
		slash = strrchr(path, '/');
		strcpy(slash + 1, "ferryctl");
		execl(path, "ferryctl", "-s", rpc, NULL);
	}
	execlp("ferryctl", "ferryctl", "-s", rpc, NULL);
	fprintf(stderr, "ferryd: ferryctl: %s\n", strerror(errno));
	_exit(127);
}

/* The console is gone, and with it the reason to run. */
static void
on_child(void *arg)
{
	struct ferryd *d = arg;

	if (d->console == 0 || waitpid(d->console, NULL, WNOHANG) != d->console)
		return;
	d->console = 0;
	loop_stop(d->loop);
}

int
console_init(struct ferryd *d)
{
	int rc;

	if (!d->opts.interactive)
		return 0;
	rc = ferryd_signal(d, SIGCHLD, on_child);
	if (rc < 0)
		return rc;
	d->console = fork();
	if (d->console < 0)
		return -errno;
	if (d->console == 0) {
		/* Guests' memory and sockets are not the console's. */
		close_range(STDERR_FILENO + 1, ~0U, 0);
		signal(SIGPIPE, SIG_DFL);
		console_exec(ferryd_rpc_path(d));
	}
	return 0;
}

void
console_fini(struct ferryd *d)
{
	if (d->console == 0)
		return;
	kill(d->console, SIGTERM);
	waitpid(d->console, NULL, 0);
}
