/* SPDX-License-Identifier: BSD-3-Clause */
/* Where captures go: pipes, sockets and disks that are slow, full or gone. */
#include "capture_rig.h"

#undef NDEBUG
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* Reads a descriptor to its end. */
struct drain {
	int fd;
	uint8_t *bytes;
	size_t size;
};

static void *
drainer(void *arg)
{
	struct drain *d = arg;
	ssize_t n;

	d->bytes = malloc(64 << 20);
	assert(d->bytes != NULL);
	while ((n = read(d->fd, d->bytes + d->size, (64 << 20) - d->size)) > 0)
		d->size += n;
	assert(n == 0);
	close(d->fd);
	return NULL;
}

static void
stream_check(int in, int out)
{
	struct drain d = { .fd = out };
	struct pcapng_read f;
	pthread_t thread;

	assert(pthread_create(&thread, NULL, drainer, &d) == 0);
	start(&(struct capture_opts){ .name = "c", .port = 1, .dir = 3, .fd = in });
	assert(fcntl(in, F_GETFL) < 0 && errno == EBADF); /* it is the capture's now */
	for (uint32_t n = 0; n < 1000; n++)
		offer(1, 0, CAPTURE_RX, n, 1500);
	while (info_of("c")->frames < 1000)
		usleep(1000);
	assert(capture_stop(capture, "c") == 0);
	pthread_join(thread, NULL);
	pcapng_parse(d.bytes, d.size, &f);
	assert(f.n_frames == 1000 && f.ifaces[0].closed);
	for (uint32_t n = 0; n < 1000; n++)
		frame_check(&f.frames[n], n, 1500, 1500);
	pcapng_free(&f);
}

void
test_pipe(void)
{
	int fds[2], other;

	assert(pipe2(fds, O_CLOEXEC) == 0);
	other = fcntl(fds[1], F_DUPFD_CLOEXEC, 0);
	start(&(struct capture_opts){ .name = "flags", .port = 1, .dir = 3, .fd = fds[1] });
	assert((fcntl(other, F_GETFL) & O_NONBLOCK) == 0); /* whoever else writes there */
	assert(capture_stop(capture, "flags") == 0);
	close(other);
	close(fds[0]);

	assert(pipe2(fds, O_CLOEXEC) == 0);
	stream_check(fds[1], fds[0]);
	assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	stream_check(fds[1], fds[0]);
}

/* The pipe and the ring are full before the reader begins: he gets the rest and the count. */
void
test_pipe_late(void)
{
	struct drain d = { 0 };
	struct pcapng_read f;
	pthread_t thread;
	uint32_t n = 0;
	int fds[2];

	assert(pipe2(fds, O_CLOEXEC) == 0);
	start(&(struct capture_opts){ .name = "c", .port = 1, .dir = 3, .fd = fds[1] });
	for (; info_of("c")->drops < 1000; n++)
		offer(1, n % N_WORKERS, CAPTURE_TX, n, 1500);
	d.fd = fds[0];
	assert(pthread_create(&thread, NULL, drainer, &d) == 0);
	while (info_of("c")->frames + info_of("c")->drops < n)
		usleep(1000);
	assert(capture_stop(capture, "c") == 0);
	pthread_join(thread, NULL);
	pcapng_parse(d.bytes, d.size, &f);
	assert(f.ifaces[0].received == n && f.ifaces[0].dropped >= 1000);
	assert(f.n_frames + f.ifaces[0].dropped == n);
	pcapng_free(&f);
}

void
test_pipe_stuck(void)
{
	struct pcapng_read f;
	uint64_t n = 0;
	int fds[2];

	assert(pipe2(fds, O_CLOEXEC) == 0);
	start(&(struct capture_opts){ .name = "stuck", .port = 1, .dir = 3, .fd = fds[1] });
	start(&(struct capture_opts){ .name = "c", .port = 1, .dir = 3, .file = path, .fd = -1 });
	while (info_of("stuck")->drops < 1000) {
		offer(1, 0, CAPTURE_RX, n++, 1500);
		while (n % 64 == 0 && info_of("c")->frames < n)
			sched_yield(); /* the file has all of them, however stuck the pipe is */
	}
	assert(info_of("stuck")->running);
	assert(capture_stop(capture, "stuck") == 0);
	assert(capture_stop(capture, "c") == 0);
	close(fds[0]);
	load(path, &f);
	assert(f.n_frames == n && f.ifaces[0].dropped == 0);
	pcapng_free(&f);
}

void
test_pipe_closes(void)
{
	static const char *const stories[] = { "while frames come", "while nothing comes" };

	for (uint32_t quiet = 0; quiet < 2; quiet++) {
		const struct capture_info *i;
		uint64_t n = 0;
		int fds[2];

		printf("    %s\n", stories[quiet]);
		assert(pipe2(fds, O_CLOEXEC) == 0);
		start(&(struct capture_opts){ .name = "c", .port = 1, .dir = 3, .fd = fds[1] });
		offer(1, 0, CAPTURE_RX, n++, 60);
		while (info_of("c")->bytes == 0)
			usleep(1000);
		close(fds[0]);
		while (quiet == 0 && info_of("c")->running)
			offer(1, 0, CAPTURE_RX, n++, 60);
		i = ended("c");
		assert(strstr(i->reason, "reader") != NULL);
		assert(i->frames <= n && capture_view(capture, 1) == NULL);
		assert(capture_stop(capture, "c") == 0);
	}
}

/* Pipe, buffer and ring are full when the reader goes: all that was queued is counted as lost. */
void
test_pipe_closes_full(void)
{
	const struct capture_info *i;
	uint32_t n = 0;
	int fds[2];

	assert(pipe2(fds, O_CLOEXEC) == 0);
	start(&(struct capture_opts){ .name = "c", .port = 1, .dir = 3, .fd = fds[1] });
	for (; info_of("c")->drops == 0; n++)
		offer(1, 0, CAPTURE_RX, n, 1000);
	assert(info_of("c")->running);
	close(fds[0]);
	i = ended("c");
	assert(i->frames < 100 && i->frames + i->drops == n);
}

void
test_disk_full(void)
{
	const struct rlimit tight = { .rlim_cur = 100000, .rlim_max = RLIM_INFINITY };
	const struct capture_info *i;
	struct rlimit old;
	struct pcapng_read f;
	uint32_t n = 0;

	start(&(struct capture_opts){ .name = "c", .port = 1, .dir = 3, .file = "/dev/full",
				      .fd = -1 });
	offer(1, 0, CAPTURE_RX, 0, 60);
	assert(strstr(ended("c")->reason, "No space left") != NULL);

	/* a file that can grow no more keeps whole blocks */
	assert(getrlimit(RLIMIT_FSIZE, &old) == 0 && setrlimit(RLIMIT_FSIZE, &tight) == 0);
	start(&(struct capture_opts){ .name = "d", .port = 1, .dir = 3, .file = path, .fd = -1 });
	while (n < 200)
		offer(1, 0, CAPTURE_RX, n++, 1000);
	i = ended("d");
	assert(setrlimit(RLIMIT_FSIZE, &old) == 0);
	assert(strstr(i->reason, "File too large") != NULL);
	load(path, &f);
	assert(f.size > 98000 && f.size == i->bytes && f.n_frames == i->frames);
	assert(i->frames > 0 && i->frames + i->drops <= n); /* those after the end are nobody's */
	pcapng_free(&f);
}

/* How often the writer has gone to sleep so far. */
static uint64_t
writer_naps(void)
{
	DIR *tasks = opendir("/proc/self/task");
	uint64_t naps = UINT64_MAX;
	struct dirent *task;

	while ((task = readdir(tasks)) != NULL) {
		char file[300], line[200];
		bool found = false;
		FILE *f;

		snprintf(file, sizeof(file), "/proc/self/task/%s/status", task->d_name);
		f = fopen(file, "r");
		while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
			found = found || strcmp(line, "Name:\tferry-capture\n") == 0;
			if (found && sscanf(line, "voluntary_ctxt_switches: %ju", &naps) == 1)
				break;
		}
		if (f != NULL)
			fclose(f);
	}
	closedir(tasks);
	assert(naps != UINT64_MAX);
	return naps;
}

void
test_idle(void)
{
	struct pcapng_read f;
	uint64_t naps;

	start(&(struct capture_opts){ .name = "c", .port = 1, .dir = 3, .file = path, .fd = -1 });
	offer(1, 0, CAPTURE_RX, 1, 60);
	while (info_of("c")->bytes < 150)
		usleep(1000); /* a single frame reaches the file without a stop */
	assert(capture_stop(capture, "c") == 0);
	load(path, &f);
	assert(f.n_frames == 1);
	pcapng_free(&f);

	usleep(100000);
	naps = writer_naps();
	usleep(500000);
	assert(writer_naps() == naps);
}
