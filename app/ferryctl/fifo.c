/* SPDX-License-Identifier: BSD-3-Clause */
#include "fifo.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static volatile sig_atomic_t interrupted;

/* The umask may have taken what another user's ferryd needs. */
static int
open_to_others(const struct fifo *f)
{
	return chmod(f->path, 0602) < 0 || chmod(f->folder, 0711) < 0 ? -errno : 0;
}

static int
create_in(const char *folder, int len, bool foreign, struct fifo *out)
{
	if (len <= 0 || snprintf(out->folder, sizeof(out->folder), "%.*s/ferryctl-XXXXXX", len,
				 folder) >= (int)sizeof(out->folder))
		return -ENAMETOOLONG;
	if (mkdtemp(out->folder) == NULL)
		return -errno;
	snprintf(out->path, sizeof(out->path), "%s/pipe", out->folder);
	if (mkfifo(out->path, 0600) == 0 && (!foreign || open_to_others(out) == 0)) {
		out->fd = open(out->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		if (out->fd >= 0)
			return 0;
	}
	fifo_unlink(out);
	return -errno;
}

int
fifo_create(const char *socket_path, bool foreign, struct fifo *out)
{
	const char *slash = strrchr(socket_path, '/');
	const char *run = getenv("XDG_RUNTIME_DIR"), *tmp = getenv("TMPDIR");
	int rc = -ENOENT;

	if (socket_path[0] == '/')
		rc = create_in(socket_path, (int)(slash - socket_path), foreign, out);
	if (rc < 0 && run != NULL && run[0] == '/')
		rc = create_in(run, (int)strlen(run), foreign, out);
	if (rc < 0 && tmp != NULL && tmp[0] == '/')
		rc = create_in(tmp, (int)strlen(tmp), foreign, out);
	return rc < 0 ? create_in("/tmp", 4, foreign, out) : 0;
}

void
fifo_unlink(const struct fifo *f)
{
	int saved = errno;

	unlink(f->path);
	rmdir(f->folder);
	errno = saved;
}

static void
on_signal(int signo)
{
	interrupted = 1;
}

static bool
write_all(const char *buf, size_t len)
{
	while (len > 0) {
		ssize_t n = write(STDOUT_FILENO, buf, len);

		if (n < 0 && errno == EINTR && !interrupted)
			continue;
		if (n < 0)
			return false;
		buf += n;
		len -= (size_t)n;
	}
	return true;
}

/* Waits for something to do; signals come only meanwhile, so that none slips past the check. */
static bool
wait_ready(struct pollfd *p, const sigset_t *stops)
{
	sigset_t open_mask;
	int n = -1;

	sigprocmask(SIG_BLOCK, stops, &open_mask);
	if (!interrupted)
		n = ppoll(p, 2, NULL, &open_mask);
	sigprocmask(SIG_SETMASK, &open_mask, NULL);
	return n > 0;
}

static enum fifo_end
copy(const struct fifo *f, const sigset_t *stops)
{
	struct pollfd p[2] = {
		{ .fd = f->fd, .events = POLLIN },
		{ .fd = STDOUT_FILENO, .events = 0 }, /* only POLLERR: the reader has gone */
	};
	char buf[65536];

	while (!interrupted) {
		ssize_t n;

		if (!wait_ready(p, stops))
			continue;
		if (p[1].revents & (POLLERR | POLLHUP))
			return FIFO_NO_READER;
		n = read(f->fd, buf, sizeof(buf));
		if (n == 0)
			return FIFO_EOF;
		if (n > 0 && !write_all(buf, (size_t)n))
			return interrupted ? FIFO_INTERRUPTED : FIFO_NO_READER;
	}
	return FIFO_INTERRUPTED;
}

enum fifo_end
fifo_copy(const struct fifo *f)
{
	const struct sigaction act = { .sa_handler = on_signal };
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct sigaction old_int, old_term, old_pipe;
	enum fifo_end end;
	sigset_t stops;

	interrupted = 0;
	sigemptyset(&stops);
	sigaddset(&stops, SIGINT);
	sigaddset(&stops, SIGTERM);
	sigaction(SIGINT, &act, &old_int);
	sigaction(SIGTERM, &act, &old_term);
	sigaction(SIGPIPE, &ignore, &old_pipe);
	end = copy(f, &stops);
	sigaction(SIGPIPE, &old_pipe, NULL);
	sigaction(SIGTERM, &old_term, NULL);
	sigaction(SIGINT, &old_int, NULL);
	return end;
}
