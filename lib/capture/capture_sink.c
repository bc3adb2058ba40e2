/* SPDX-License-Identifier: BSD-3-Clause */
#include "capture_sink.h"

#include "pcapng.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int
kind_find(struct capture_sink *s)
{
	struct stat st;

	if (fstat(s->fd, &st) < 0)
		return -errno;
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	if (S_ISREG(st.st_mode))
		s->kind = SINK_FILE;
	else if (S_ISSOCK(st.st_mode))
		s->kind = SINK_SOCKET;
	else
		s->kind = SINK_STREAM;
	return 0;
}

int
sink_open(struct capture_sink *s, const char *path)
{
	const int flags = O_WRONLY | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

	/* Frames are other people's letters: nobody else may read them by default. */
	s->fd = open(path, flags, 0600);
	return s->fd < 0 ? -errno : kind_find(s);
}

/* A description of our own where that can be had: the other users of theirs stay blocking. */
static int
reopen(int fd)
{
	char path[32];
	int own;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	own = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (own >= 0)
		return own;
	own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (own >= 0)
		fcntl(own, F_SETFL, fcntl(own, F_GETFL) | O_NONBLOCK);
	return own;
}

int
sink_share(struct capture_sink *s, int fd)
{
	const int flags = fcntl(fd, F_GETFL);
	int rc;

	if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY)
		return -EBADF;
	s->fd = fd;
	rc = kind_find(s);
	s->fd = -1;
	if (rc < 0)
		return rc;
	s->fd = s->kind == SINK_STREAM ? reopen(fd) : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return s->fd < 0 ? -errno : 0;
}

int
sink_empty(struct capture_sink *s)
{
	if (s->kind != SINK_FILE)
		return 0;
	return ftruncate(s->fd, 0) < 0 ? -errno : 0;
}

void
sink_close(struct capture_sink *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	free(s->buf);
	s->buf = NULL;
	s->size = s->len = s->sent = 0;
}

uint8_t *
sink_extend(struct capture_sink *s, size_t len)
{
	if (s->len + len > s->size) {
		const size_t size = 2 * (s->len + len);
		uint8_t *buf = realloc(s->buf, size);

		if (buf == NULL) {
			s->short_of_memory = true;
			return NULL;
		}
		s->buf = buf;
		s->size = size;
	}
	s->len += len;
	return &s->buf[s->len - len];
}

/* SIGPIPE is blocked in the writer's thread, so that a pipe says EPIPE and nothing more. */
static ssize_t
sink_write(struct capture_sink *s)
{
	const uint8_t *from = &s->buf[s->sent];

	if (s->kind == SINK_SOCKET)
		return send(s->fd, from, sink_pending(s), MSG_DONTWAIT | MSG_NOSIGNAL);
	return write(s->fd, from, sink_pending(s));
}

int
sink_flush(struct capture_sink *s)
{
	if (s->short_of_memory)
		return -ENOMEM;
	if (s->gone)
		return -EPIPE;
	while (sink_pending(s) > 0) {
		const ssize_t n = sink_write(s);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		s->sent += n;
		s->taken += n;
	}
	s->len = s->sent = 0;
	return 0;
}

void
sink_discard(struct capture_sink *s)
{
	const size_t whole = pcapng_whole(s->buf, s->sent);

	if (s->kind == SINK_FILE && ftruncate(s->fd, lseek(s->fd, 0, SEEK_CUR) -
					      (off_t)(s->sent - whole)) == 0)
		s->taken -= s->sent - whole;
	s->len = s->sent = 0;
}
