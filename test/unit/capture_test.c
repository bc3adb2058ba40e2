/* SPDX-License-Identifier: BSD-3-Clause */
#include "capture_rig.h"

#include <rte_common.h>
#include <rte_eal.h>

#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
test_both_directions(void)
{
	struct pcapng_read f;
	const uint64_t before_ns = clock_wall_ns();
	uint64_t after_ns;

	start(&(struct capture_opts){ .name = "c", .port = 1, .dir = CAPTURE_BOTH, .file = path,
				      .fd = -1 });
	for (uint32_t n = 0; n < 100; n++)
		offer(1, n % N_WORKERS, n % 2 == 0 ? CAPTURE_RX : CAPTURE_TX, n, 60 + n);
	offer(2, 0, CAPTURE_RX, 1000, 60);
	assert(capture_stop(capture, "c") == 0);
	after_ns = clock_wall_ns();
	assert(capture_view(capture, 1) == NULL && info_of("c") == NULL);

	load(path, &f);
	assert(f.n_ifaces == 1 && strcmp(f.ifaces[0].name, "vm1") == 0);
	assert(f.ifaces[0].snaplen == CAPTURE_SNAPLEN_MAX && f.ifaces[0].filter[0] == '\0');
	assert(f.n_frames == 100);
	for (uint32_t n = 0; n < 100; n++) {
		frame_check(&f.frames[n], n, 60 + n, 60 + n);
		assert(f.frames[n].flags == (n % 2 == 0 ? 1 : 2));
		/* the counter's speed is known to a thousandth */
		assert(f.frames[n].time_ns + 1000000 > before_ns);
		assert(f.frames[n].time_ns < after_ns + 1000000);
	}
	assert(f.ifaces[0].closed && f.ifaces[0].received == 100 && f.ifaces[0].accepted == 100);
	assert(f.ifaces[0].dropped == 0 && f.ifaces[0].written == 100);
	pcapng_free(&f);
}

static void
test_one_direction(void)
{
	static const struct { const char *story; enum capture_dir dir; uint32_t flags; } rows[] = {
		{ "what the switch received", CAPTURE_RX, 1 },
		{ "what the switch sent", CAPTURE_TX, 2 },
	};
	struct pcapng_read f;

	for (uint32_t i = 0; i < RTE_DIM(rows); i++) {
		printf("    %s\n", rows[i].story);
		start(&(struct capture_opts){ .name = "c", .port = 1, .dir = rows[i].dir,
					      .file = path, .fd = -1 });
		offer(1, 0, CAPTURE_RX, 1, 60);
		offer(1, 0, CAPTURE_TX, 2, 60);
		assert(capture_stop(capture, "c") == 0);
		load(path, &f);
		assert(f.n_frames == 1 && f.frames[0].flags == rows[i].flags);
		frame_check(&f.frames[0], rows[i].flags, 60, 60);
		pcapng_free(&f);
	}
}

static void
test_filter(void)
{
	struct pcapng_read f;

	start(&(struct capture_opts){ .name = "c", .port = 1, .dir = CAPTURE_RX, .file = path,
				      .fd = -1, .filter = "udp src port 7 or src port 9" });
	for (uint32_t n = 0; n < 20; n++)
		offer(1, 0, CAPTURE_RX, n, 80);
	assert(info_of("c")->filtered == 18);
	assert(strcmp(info_of("c")->filter, "udp src port 7 or src port 9") == 0);
	assert(capture_stop(capture, "c") == 0);
	load(path, &f);
	assert(strcmp(f.ifaces[0].filter, "udp src port 7 or src port 9") == 0);
	assert(f.n_frames == 2);
	frame_check(&f.frames[0], 7, 80, 80);
	frame_check(&f.frames[1], 9, 80, 80);
	assert(f.ifaces[0].received == 20 && f.ifaces[0].accepted == 2);
	pcapng_free(&f);
}

/* The filter looks into the last piece; the frame is longer than what is kept. */
static void
test_pieces(void)
{
	struct pcapng_read f;
	uint8_t frame[3000];
	struct iovec iov[5];
	uint32_t at = 0;

	frame_make(frame, 5, sizeof(frame));
	for (uint32_t i = 0; i < RTE_DIM(iov); i++) {
		const uint32_t n = i == 4 ? sizeof(frame) - at : 1 + i * 13;

		iov[i] = (struct iovec){ &frame[at], n };
		at += n;
	}
	start(&(struct capture_opts){ .name = "c", .port = 1, .dir = CAPTURE_RX, .file = path,
				      .fd = -1, .snaplen = 100, .filter = "udp src port 5" });
	start(&(struct capture_opts){ .name = "d", .port = 1, .dir = CAPTURE_RX, .file = path2,
				      .fd = -1 });
	capture_frame(capture_view(capture, 1), 3, CAPTURE_RX, iov, RTE_DIM(iov), sizeof(frame));
	assert(capture_stop(capture, "c") == 0);
	assert(capture_stop(capture, "d") == 0);
	load(path, &f);
	assert(f.n_frames == 1 && f.ifaces[0].snaplen == 100);
	frame_check(&f.frames[0], 5, 100, sizeof(frame));
	pcapng_free(&f);
	load(path2, &f);
	assert(f.n_frames == 1);
	frame_check(&f.frames[0], 5, sizeof(frame), sizeof(frame));
	pcapng_free(&f);
}

static void
test_sizes(void)
{
	static const uint32_t lens[] = { 14, 60, 61, 62, 63, 1518, 9000, 65535 };
	struct pcapng_read f;

	start(&(struct capture_opts){ .name = "c", .port = 1, .dir = CAPTURE_RX, .file = path,
				      .fd = -1 });
	for (uint32_t n = 0; n < 4000; n++) {
		const uint32_t len = lens[n * 7 / 3 % RTE_DIM(lens)];

		offer(1, 0, CAPTURE_RX, n, len);
		/* the ring goes round many times, nothing may be lost here */
		while (n % 128 == 127 && info_of("c")->frames <= n)
			sched_yield();
	}
	assert(capture_stop(capture, "c") == 0);
	load(path, &f);
	assert(f.n_frames == 4000);
	for (uint32_t n = 0; n < 4000; n++) {
		const uint32_t len = lens[n * 7 / 3 % RTE_DIM(lens)];

		frame_check(&f.frames[n], n, len, len);
	}
	pcapng_free(&f);
}

static void
test_refused(void)
{
	static const struct {
		const char *story;
		struct capture_opts opts;
		int rc;
		const char *why;
	} rows[] = {
		{ "a filter that is none", { .port = 1, .dir = 3, .file = path, .filter = "udp prot 5" },
		  -EINVAL, "filter: can't parse filter expression: syntax error" },
		{ "a filter for another medium",
		  { .port = 1, .dir = 3, .file = path, .filter = "wlan type data" }, -EINVAL, "filter: " },
		{ "no such port", { .port = 9, .dir = 3, .file = path }, -EINVAL, "port: " },
		{ "a port beyond all", { .port = 60000, .dir = 3, .file = path }, -EINVAL, "port: " },
		{ "no direction", { .port = 1, .file = path }, -EINVAL, "dir: " },
		{ "too long a snaplen", { .port = 1, .dir = 3, .file = path, .snaplen = 65536 },
		  -EINVAL, "snaplen: " },
		{ "too small a file", { .port = 1, .dir = 3, .file = path, .bytes_max = 10 },
		  -EINVAL, "bytes_max: " },
		{ "nowhere to write", { .port = 1, .dir = 3, .fd = -1 }, -EINVAL, "file: " },
		{ "a folder", { .port = 1, .dir = 3, .file = folder }, -EISDIR, folder },
		{ "no such folder", { .port = 1, .dir = 3, .file = "/nowhere/x" }, -ENOENT,
		  "/nowhere/x: No such file" },
		{ "a closed descriptor", { .port = 1, .dir = 3, .fd = 900 }, -EBADF, "descriptor: " },
		{ "an empty name", { .name = "", .port = 1, .dir = 3, .file = path }, -EINVAL,
		  "name: " },
	};

	for (uint32_t i = 0; i < RTE_DIM(rows); i++) {
		printf("    %s\n", rows[i].story);
		assert(capture_start(capture, &rows[i].opts, why, sizeof(why)) == rows[i].rc);
		printf("      %s\n", why);
		assert(strncmp(why, rows[i].why, strlen(rows[i].why)) == 0);
		assert(capture_view(capture, 1) == NULL);
	}
	assert(capture_stop(capture, "c") == -ENOENT);
}

static void
test_in_use(void)
{
	struct capture_opts c = { .name = "c", .port = 1, .dir = 3, .file = path, .fd = -1 };
	struct pcapng_read f;

	start(&c);
	offer(1, 0, CAPTURE_RX, 1, 60);
	assert(capture_start(capture, &c, why, sizeof(why)) == -EEXIST);
	assert(strncmp(why, "name: ", 6) == 0);
	c.name = NULL;
	assert(capture_start(capture, &c, why, sizeof(why)) == -EEXIST);
	assert(strncmp(why, path, strlen(path)) == 0);
	c.file = path2;
	start(&c);
	c.file = "/dev/null";
	c.port = UINT16_MAX;
	start(&c);
	assert(info_of("vm1-1") != NULL && info_of("all-1") != NULL);
	assert(capture_stop(capture, "c") == 0);
	load(path, &f);
	assert(f.n_frames == 1); /* nobody has emptied it */
	pcapng_free(&f);
}

static void
test_many(void)
{
	const struct capture_opts c = { .port = 1, .dir = 3, .file = "/dev/null", .fd = -1 };

	for (uint32_t i = 0; i < 64; i++)
		start(&c);
	assert(capture_start(capture, &c, why, sizeof(why)) == -ENOSPC);
	for (uint32_t n = 0; n < 100; n++)
		offer(1, 0, CAPTURE_RX, n, 60);
	assert(capture_stop(capture, "vm1-5") == 0);
	start(&c);
	assert(info_of("vm1-5") != NULL);
}

static void
test_frames_max(void)
{
	struct pcapng_read f;

	start(&(struct capture_opts){ .name = "c", .port = 1, .dir = 3, .file = path, .fd = -1,
				      .frames_max = 10 });
	for (uint32_t n = 0; n < 25; n++)
		offer(1, 0, CAPTURE_RX, n, 60);
	assert(strstr(ended("c")->reason, "frame limit") != NULL);
	assert(info_of("c")->frames == 10);
	assert(capture_view(capture, 1) == NULL);
	load(path, &f);
	assert(f.n_frames == 10 && f.ifaces[0].closed && f.ifaces[0].written == 10);
	assert(info_of("c")->bytes == f.size);
	pcapng_free(&f);

	/* the name of one that has ended is free */
	start(&(struct capture_opts){ .name = "c", .port = 1, .dir = 3, .file = path, .fd = -1 });
	assert(info_of("c")->running && info_of("c")->frames == 0);
	assert(capture_stop(capture, "c") == 0);
	load(path, &f);
	assert(f.n_frames == 0);
	pcapng_free(&f);
}

static void
test_bytes_max(void)
{
	for (uint32_t max = 1024; max < 1424; max += 20) {
		struct pcapng_read f;

		start(&(struct capture_opts){ .name = "c", .port = 1, .dir = 3, .file = path,
					      .fd = -1, .bytes_max = max });
		for (uint32_t n = 0; n < 25; n++)
			offer(1, 0, CAPTURE_RX, n, 60);
		assert(strstr(ended("c")->reason, "size limit") != NULL);
		load(path, &f);
		assert(f.size <= max && f.size + 60 + 44 > max);
		assert(f.n_frames > 0 && f.ifaces[0].closed);
		pcapng_free(&f);
		assert(capture_stop(capture, "c") == 0);
	}
}

static void
test_all_ports(void)
{
	static const struct { uint32_t iface, n; const char *name; } rows[] = {
		{ 0, 1, "vm1" }, { 1, 2, "vm2" }, { 2, 3, "late" }, { 0, 4, "vm1" }, { 3, 5, "again" },
	};
	struct pcapng_read f;

	start(&(struct capture_opts){ .name = "c", .port = UINT16_MAX, .dir = 3, .file = path,
				      .fd = -1 });
	offer(1, 0, CAPTURE_RX, 1, 60);
	offer(2, 0, CAPTURE_RX, 2, 60);
	capture_port_set(capture, 700, "late");
	offer(700, 0, CAPTURE_TX, 3, 60);
	offer(1, 0, CAPTURE_RX, 4, 60);
	capture_port_set(capture, 2, NULL);
	assert(capture_view(capture, 2) == NULL);
	capture_port_set(capture, 2, "again");
	offer(2, 0, CAPTURE_RX, 5, 60);
	assert(capture_stop(capture, "c") == 0);
	load(path, &f);
	assert(f.n_frames == RTE_DIM(rows) && f.n_ifaces == 4);
	for (uint32_t i = 0; i < RTE_DIM(rows); i++) {
		assert(f.frames[i].iface == rows[i].iface);
		assert(strcmp(f.ifaces[rows[i].iface].name, rows[i].name) == 0);
		frame_check(&f.frames[i], rows[i].n, 60, 60);
	}
	pcapng_free(&f);
}

static void
test_port_goes(void)
{
	struct pcapng_read f;

	start(&(struct capture_opts){ .name = "c", .port = 1, .dir = 3, .file = path, .fd = -1 });
	offer(1, 0, CAPTURE_RX, 1, 60);
	capture_port_set(capture, 1, NULL);
	capture_port_set(capture, 1, "other");
	assert(capture_view(capture, 1) == NULL);
	assert(!info_of("c")->running && strstr(info_of("c")->reason, "port") != NULL);
	load(path, &f);
	assert(f.n_frames == 1 && f.ifaces[0].closed && strcmp(f.ifaces[0].name, "vm1") == 0);
	pcapng_free(&f);
}

/* What each worker offers until it is told to end, or until nobody captures. */
static _Atomic uint64_t n_offered[N_WORKERS];
static _Atomic bool offerers_end;

static void *
offerer(void *arg)
{
	const uint32_t worker = (uintptr_t)arg;
	uint8_t frame[64];
	struct iovec iov = { frame, sizeof(frame) };
	uint64_t n = 0;

	cross_online(cross, worker);
	while (!atomic_load(&offerers_end)) {
		for (uint32_t i = 0; i < 32; i++) {
			const struct capture_view *v = capture_view(capture, 1);

			frame_make(frame, worker << 24 | (n & 0xffffff), sizeof(frame));
			capture_frame(v, worker, CAPTURE_RX, &iov, 1, sizeof(frame));
			n += v != NULL;
		}
		atomic_store(&n_offered[worker], n);
		cross_quiescent(cross, worker);
		if (n % 1024 == 0)
			sched_yield();
	}
	cross_offline(cross, worker);
	return NULL;
}

static void
offerers_start(pthread_t *threads, uint32_t n)
{
	atomic_store(&offerers_end, false);
	for (uintptr_t i = 0; i < n; i++) {
		atomic_store(&n_offered[i], 0);
		assert(pthread_create(&threads[i], NULL, offerer, (void *)i) == 0);
	}
}

static uint64_t
offerers_stop(const pthread_t *threads, uint32_t n)
{
	uint64_t sum = 0;

	atomic_store(&offerers_end, true);
	for (uint32_t i = 0; i < n; i++) {
		pthread_join(threads[i], NULL);
		sum += atomic_load(&n_offered[i]);
	}
	return sum;
}

/* A worker's frames stand in the file in its own order, whatever was dropped between. */
static void
order_check(const struct pcapng_read *f)
{
	uint32_t next[N_WORKERS] = { 0 };

	for (uint32_t i = 0; i < f->n_frames; i++) {
		uint32_t n;

		memcpy(&n, &f->frames[i].data[38], sizeof(n));
		assert(n >> 24 < N_WORKERS && (n & 0xffffff) >= next[n >> 24]);
		next[n >> 24] = (n & 0xffffff) + 1;
		frame_check(&f->frames[i], n, 64, 64);
	}
}

static void
test_stop_exact(void)
{
	for (uint32_t round = 0; round < 4; round++) {
		struct pcapng_read f;
		pthread_t threads[N_WORKERS];
		uint64_t offered;

		start(&(struct capture_opts){ .name = "c", .port = 1, .dir = 3, .file = path,
					      .fd = -1 });
		offerers_start(threads, N_WORKERS);
		while (info_of("c")->frames < 20000)
			usleep(1000);
		assert(capture_stop(capture, "c") == 0);
		offered = offerers_stop(threads, N_WORKERS);
		load(path, &f);
		order_check(&f);
		printf("    %ju offered, %u written, %ju dropped\n", (uintmax_t)offered, f.n_frames,
		       (uintmax_t)f.ifaces[0].dropped);
		assert(f.ifaces[0].received == offered);
		assert(f.n_frames + f.ifaces[0].dropped == offered);
		assert(f.ifaces[0].written == f.n_frames);
		pcapng_free(&f);
	}
}

static void
test_destroyed_while_running(void)
{
	struct pcapng_read f;

	start(&(struct capture_opts){ .name = "c", .port = UINT16_MAX, .dir = 3, .file = path,
				      .fd = -1 });
	offer(2, 1, CAPTURE_TX, 5, 60);
	capture_destroy(capture);
	load(path, &f);
	assert(f.n_frames == 1 && f.ifaces[0].closed && f.ifaces[1].closed);
	pcapng_free(&f);
	capture = NULL;
}

static const struct {
	const char *story;
	void (*run)(void);
} rows[] = {
	{ "both directions of a port, to the nanosecond", test_both_directions },
	{ "one direction of a port", test_one_direction },
	{ "a filter chooses", test_filter },
	{ "a frame in pieces, filtered and cut", test_pieces },
	{ "frames of all sizes, round the ring", test_sizes },
	{ "bad requests name what is wrong", test_refused },
	{ "names and files belong to one capture", test_in_use },
	{ "as many captures as there may be", test_many },
	{ "a capture ends with its frames", test_frames_max },
	{ "a capture ends before its file is too large", test_bytes_max },
	{ "all ports, those to come too", test_all_ports },
	{ "a capture ends with its port", test_port_goes },
	{ "what was offered before the stop is written or counted", test_stop_exact },
	{ "a pipe and a socket", test_pipe },
	{ "a reader who comes late", test_pipe_late },
	{ "a reader that does not read holds nobody", test_pipe_stuck },
	{ "a reader goes", test_pipe_closes },
	{ "a reader goes who has not read", test_pipe_closes_full },
	{ "the disk is full", test_disk_full },
	{ "without a capture the writer sleeps", test_idle },
	{ "destroyed while it runs", test_destroyed_while_running },
};

int
main(void)
{
	char *eal[] = { "capture_test", "--no-huge", "--no-shconf", "--no-pci", "-m", "64",
			"--no-telemetry", "--log-level=error" };

	setvbuf(stdout, NULL, _IOLBF, 0);
	assert(rte_eal_init(RTE_DIM(eal), eal) >= 0);
	assert(mkdtemp(folder) != NULL);
	snprintf(path, sizeof(path), "%s/a.pcapng", folder);
	snprintf(path2, sizeof(path2), "%s/b.pcapng", folder);
	for (uint32_t i = 0; i < RTE_DIM(rows); i++) {
		printf("%s\n", rows[i].story);
		fflush(stdout);
		rig_create();
		rows[i].run();
		rig_destroy();
	}
	rmdir(folder);
	return 0;
}
