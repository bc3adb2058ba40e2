/* SPDX-License-Identifier: BSD-3-Clause */
#include "log.h"
#include "log_limit.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Where the lines of all threads go, ours and those of DPDK's libraries.  A library writes while
 * it holds locks of its own, on threads that every guest's control plane waits for: so a line that
 * nobody takes at once (a pipe that is full, a terminal that is stopped) is lost and counted, and
 * what a stranger makes a library say again and again is told as a number.  Of our own lines that
 * holds for those of LOG_RL().
 */
static struct {
	pthread_mutex_t lock;
	int fd;        /* -1: not opened yet */
	bool torn;     /* only the beginning of the last line was taken */
	uint64_t lost; /* lines since the last one that was taken */
	struct log_limit limit;
} sink = { .lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1 };

/* What all lines of LOG() start with. */
static const char own[] = "ferry: ";

/* This thread is in log_rl(). */
static _Thread_local bool limited;

static bool
fd_ready(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	return poll(&p, 1, 0) == 1;
}

static ssize_t
fd_write(int fd, const char *text, size_t len)
{
	ssize_t n = send(fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	return n < 0 && errno == ENOTSOCK ? write(fd, text, len) : n;
}

/* Returns whether all of it was taken. */
static bool
text_write(const char *text, size_t len)
{
	ssize_t n = fd_ready(sink.fd) ? fd_write(sink.fd, text, len) : 0;

	if (n > 0)
		sink.torn = (size_t)n < len;
	return n == (ssize_t)len;
}

static void
lost_tell(void)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "%s%s%" PRIu64 " lines were lost, nobody took them\n",
			 sink.torn ? "\n" : "", own, sink.lost);

	if (text_write(text, (size_t)n))
		sink.lost = 0;
}

static void
line_write(const char *line, size_t len)
{
	if (sink.lost > 0)
		lost_tell();
	if (sink.lost > 0 || !text_write(line, len))
		sink.lost++;
}

static void
suppressed_tell(uint64_t now)
{
	char sample[LOG_LIMIT_SAMPLE], line[LOG_LIMIT_SAMPLE + 80];
	uint64_t n;

	while ((n = log_limit_next(&sink.limit, now, sample)) > 0) {
		int len = snprintf(line, sizeof(line),
				   "%s%" PRIu64 " similar lines were suppressed: %s\n", own, n, sample);

		line_write(line, (size_t)len);
	}
}

/*
 * What a library says at INFO or DEBUG is there because somebody has asked for it, who wants all
 * of it.  The level is that of the line in hand: the stream has no buffer, so rte_log() is our caller.
 */
static bool
line_passes(const char *line, uint64_t now)
{
	bool ours = strncmp(line, own, sizeof(own) - 1) == 0;

	if (!limited && (ours || rte_log_cur_msg_loglevel() > (int)RTE_LOG_NOTICE))
		return true;
	return log_limit_pass(&sink.limit, (uint32_t)rte_log_cur_msg_logtype(), line, now);
}

/* The stream does not end a text with a zero. */
static ssize_t
on_write(void *cookie, const char *text, size_t len)
{
	char head[512];
	uint64_t now = clock_ns();

	snprintf(head, sizeof(head), "%.*s", (int)len, text);
	pthread_mutex_lock(&sink.lock);
	suppressed_tell(now);
	if (line_passes(head, now))
		line_write(text, len);
	pthread_mutex_unlock(&sink.lock);
	return (ssize_t)len;
}

void
log_rl(uint32_t level, int type, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	limited = true;
	rte_vlog(level, (uint32_t)type, fmt, ap);
	limited = false;
	va_end(ap);
}

void
log_tick(void)
{
	pthread_mutex_lock(&sink.lock);
	if (sink.fd >= 0) {
		suppressed_tell(clock_ns());
		if (sink.lost > 0)
			lost_tell();
	}
	pthread_mutex_unlock(&sink.lock);
}

/*
 * A terminal or a pipe is opened again, so that not to wait is a property of our own descriptor
 * and not of the one that a shell has, too.
 */
static int
stderr_open(void)
{
	struct stat st;
	int fd = -1;

	if (fstat(STDERR_FILENO, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)))
		fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

static int
file_open(const char *path)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0666);

	return fd < 0 ? -errno : fd;
}

/* For the rest of the process: a stream that is closed under a thread that writes is a crash. */
static int
stream_open(void)
{
	static const cookie_io_functions_t calls = { .write = on_write };
	FILE *f = fopencookie(NULL, "w", calls);

	if (f == NULL)
		return -errno;
	setvbuf(f, NULL, _IONBF, 0);
	rte_openlog_stream(f);
	return 0;
}

int
log_open(const char *path)
{
	int fd = path == NULL ? stderr_open() : file_open(path);
	int old, rc = 0;

	if (fd < 0)
		return fd;
	pthread_mutex_lock(&sink.lock);
	old = sink.fd;
	sink.fd = fd;
	sink.torn = false;
	pthread_mutex_unlock(&sink.lock);
	if (old >= 0)
		close(old);
	else
		rc = stream_open();
	return rc;
}
