/* SPDX-License-Identifier: BSD-3-Clause */
#include "check.h"
#include "log.h"
#include "log_limit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

LOG_REGISTER(log_test);
LOG_USE(log_test);
RTE_LOG_REGISTER(library_type, library, NOTICE);

#define LIBRARY(level, fmt, ...) \
	rte_log(RTE_LOG_##level, (uint32_t)library_type, fmt, ##__VA_ARGS__)

#define PERIOD LOG_LIMIT_PERIOD_NS

/* How many of `n` lines pass that a format makes of the numbers from 0. */
static uint32_t
passed(struct log_limit *l, uint32_t type, const char *fmt, uint32_t n, uint64_t now)
{
	uint32_t pass = 0;
	char line[128];

	for (uint32_t i = 0; i < n; i++) {
		snprintf(line, sizeof(line), fmt, i, i);
		pass += log_limit_pass(l, type, line, now);
	}
	return pass;
}

static const struct { const char *story, *fmt; uint32_t n, pass; } limit_rows[] = {
	{ "a few pass",              "no fd %u\n",       LOG_LIMIT_LINES, LOG_LIMIT_LINES },
	{ "numbers tell none apart", "no fd %u of %u\n", 1000, LOG_LIMIT_LINES },
	{ "nor addresses",           "it is at 0x7f%x00ab\n", 1000, LOG_LIMIT_LINES },
	{ "the same line",           "out of memory\n",  1000, LOG_LIMIT_LINES },
	{ "others who say it",       "vm%u: no fd\n",    20, 20 },
	{ "too many others",         "vm%u: no fd\n",    1000, LOG_LIMIT_KINDS - 1 + LOG_LIMIT_LINES },
};

static void
limit_stories(void)
{
	for (size_t i = 0; i < RTE_DIM(limit_rows); i++) {
		struct log_limit l = { 0 };
		uint32_t pass = passed(&l, 1, limit_rows[i].fmt, limit_rows[i].n, 1);

		if (pass != limit_rows[i].pass)
			fprintf(stderr, "%s: %u passed\n", limit_rows[i].story, pass);
		CHECK(pass == limit_rows[i].pass);
	}
}

static void
limit_tells(void)
{
	struct log_limit l = { 0 };
	char sample[LOG_LIMIT_SAMPLE];

	CHECK(passed(&l, 1, "no fd %u\n", 100, 1) == LOG_LIMIT_LINES);
	CHECK(passed(&l, 2, "no fd %u\n", 1, 1) == 1);
	CHECK(passed(&l, 1, "no socket %u\n", 1, 1) == 1);
	CHECK(log_limit_next(&l, PERIOD, sample) == 0);
	CHECK(log_limit_next(&l, PERIOD + 1, sample) == 100 - LOG_LIMIT_LINES);
	CHECK_STR("the first one stands for all", sample, "no fd 0");
	CHECK(log_limit_next(&l, PERIOD + 1, sample) == 0);
	CHECK(passed(&l, 1, "no fd %u\n", 100, PERIOD + 1) == LOG_LIMIT_LINES);
}

/* What was suppressed is told before its place is taken, however many kinds there are. */
static void
limit_kinds(void)
{
	struct log_limit l = { 0 };
	char sample[LOG_LIMIT_SAMPLE], line[] = "..: no fd %u\n";
	uint64_t pass = 0, told = 0, n;

	for (int round = 0; round < 3; round++) {
		uint64_t now = 1 + (uint64_t)round * PERIOD;

		for (int kind = 0; kind < 26 * 26; kind++) {
			line[0] = (char)('A' + kind / 26);
			line[1] = (char)('A' + kind % 26);
			pass += passed(&l, 1, line, 10, now);
		}
		while ((n = log_limit_next(&l, now + PERIOD, sample)) > 0)
			told += n;
	}
	CHECK(pass <= 3 * LOG_LIMIT_KINDS * LOG_LIMIT_LINES && pass + told == 3ULL * 26 * 26 * 10);
}

static char path[] = "/tmp/ferry-log-XXXXXX";

static char *
file_read(void)
{
	static char text[1 << 18];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	text[RTE_MAX(n, 0)] = '\0';
	return text;
}

static uint32_t
count(const char *text, const char *what)
{
	uint32_t n = 0;

	for (; (text = strstr(text, what)) != NULL; text++)
		n++;
	return n;
}

static void
file_new(void)
{
	close(open(path, O_WRONLY | O_TRUNC | O_CLOEXEC));
	CHECK(log_open(path) == 0);
}

static void
file_gets_lines(void)
{
	file_new();
	for (int i = 0; i < 1000; i++) {
		LIBRARY(ERR, "LIB: failed to add fd %d\n", i);
		LOG(INFO, "ours %d", i);
	}
	CHECK(count(file_read(), "LIB: ") == LOG_LIMIT_LINES);
	CHECK(count(file_read(), "ferry: ours ") == 1000);
}

/* Who has switched a level on wants all of it. */
static void
asked_for_passes(void)
{
	file_new();
	CHECK(log_set("library", "debug") == 0);
	for (int i = 0; i < 100; i++)
		LIBRARY(DEBUG, "LIB: message %d\n", i);
	CHECK(log_set("library", "notice") == 0);
	CHECK(count(file_read(), "LIB: message") == 100);
}

static void
strangers_are_limited(void)
{
	const char *text;

	file_new();
	for (int i = 0; i < 100; i++) {
		LOG_RL(INFO, "vm1: refused %d", i);
		LOG_RL(INFO, "vm2: refused %d", i);
	}
	text = file_read();
	CHECK(count(text, "vm1: refused") == LOG_LIMIT_LINES);
	CHECK(count(text, "vm2: refused") == LOG_LIMIT_LINES);
}

#define THREADS 4
#define LINES   500

static void *
write_lines(void *arg)
{
	for (int i = 0; i < LINES; i++) {
		LOG(INFO, "thread %c writes its line, number %d, whole", *(const char *)arg, i);
		LIBRARY(ERR, "LIB: %c %d\n", *(const char *)arg, i);
		if (i % 100 == 0)
			log_open(path); /* what SIGHUP does */
	}
	return NULL;
}

static void
threads_keep_lines_whole(void)
{
	pthread_t threads[THREADS];
	uint32_t whole = 0;
	char *save, *line;
	int n;

	file_new();
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, write_lines, &"wxyz"[i]) == 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	line = strtok_r(file_read(), "\n", &save);
	for (; line != NULL; line = strtok_r(NULL, "\n", &save)) {
		n = 0;
		sscanf(line, "ferry: thread %*c writes its line, number %*d, whole%n", &n);
		whole += n > 0 && line[n] == '\0';
	}
	CHECK(whole == THREADS * LINES);
}

/* Nobody reads: whoever writes goes on, and the reader learns how much it has missed. */
static void
full_pipe_blocks_nobody(void)
{
	static char text[1 << 20];
	int fds[2], old = dup(STDERR_FILENO);
	ssize_t n, len = 0;

	CHECK(pipe2(fds, O_CLOEXEC) == 0);
	dup2(fds[1], STDERR_FILENO);
	CHECK(log_open(NULL) == 0);
	for (int i = 0; i < 10000; i++)
		LOG(INFO, "line %d of many that nobody reads", i);
	CHECK((fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK) == 0);
	dup2(old, STDERR_FILENO);
	close(old);
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	while ((n = read(fds[0], text + len, sizeof(text) - 1 - (size_t)len)) > 0)
		len += n;
	log_tick();
	LOG(INFO, "the last one");
	n = read(fds[0], text + len, sizeof(text) - 1 - (size_t)len);
	CHECK(n > 0);
	text[len + n] = '\0';
	CHECK(count(text, "lines were lost") == 1 && count(text, "the last one") == 1);
	CHECK(count(text, "nobody reads") > 100 && count(text, "nobody reads") < 10000);
	close(fds[0]);
	close(fds[1]);
}

static void
open_stories(void)
{
	file_new();
	CHECK(log_open("/nowhere/at/all") == -ENOENT);
	LOG(INFO, "still here");
	CHECK(count(file_read(), "still here") == 1);
	CHECK(log_set("not.yet.*", "info") == 0);
	CHECK(log_set("ferry.*", "loud") == -EINVAL);
	CHECK(log_set("ferry.log_test", "warning") == 0);
	LOG(INFO, "not asked for");
	CHECK(count(file_read(), "not asked for") == 0);
	CHECK(log_set("ferry.log_test", "info") == 0);
}

int
main(void)
{
	int fd = mkstemp(path);

	if (fd < 0)
		return 1;
	close(fd);
	limit_stories();
	limit_tells();
	limit_kinds();
	file_gets_lines();
	asked_for_passes();
	strangers_are_limited();
	threads_keep_lines_whole();
	open_stories();
	full_pipe_blocks_nobody();
	log_open(NULL);
	unlink(path);
	return check_done("log");
}
