/* SPDX-License-Identifier: BSD-3-Clause */
/* Addresses at every border, and memory that vanishes. */
#include "gmem.h"

#include "check.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096u

static uint8_t low[0x3000], high[0x1000], top[0x1000];

/* Two regions that meet, and the last page of all addresses. */
static struct gmem_region regions[] = {
	{ .gpa = 0x1000, .size = sizeof(low), .uva = 0x70001000, .host = low },
	{ .gpa = 0x4000, .size = sizeof(high), .uva = 0x70004000, .host = high },
	{ .gpa = UINT64_MAX - 0xfff, .size = sizeof(top), .uva = UINT64_MAX - 0xfff, .host = top },
};

#define N_REGIONS (sizeof(regions) / sizeof(regions[0]))

static struct gmem *
table_make(void)
{
	struct gmem *m = NULL;

	CHECK(gmem_create(regions, N_REGIONS, 7, &m) == 0 && m->port == 7 && !m->faulted);
	return m;
}

static const struct {
	const char *story;
	uint64_t gpa, len, span;   /* span: bytes that follow; 0: none */
	const uint8_t *host;
} span_rows[] = {
	{ "first byte", 0x1000, 1, 1, low },
	{ "before the first", 0xfff, 1, 0, NULL },
	{ "before, and into it", 0xfff, 100, 0, NULL },
	{ "all of a region", 0x1000, 0x3000, 0x3000, low },
	{ "last byte of a region", 0x3fff, 1, 1, low + 0x2fff },
	{ "over the border", 0x3fff, 2, 1, low + 0x2fff },
	{ "far over the border", 0x2000, 0x3000, 0x2000, low + 0x1000 },
	{ "behind the border", 0x4000, 2, 2, high },
	{ "over the end", 0x4fff, 100, 1, high + 0xfff },
	{ "behind the end", 0x5000, 1, 0, NULL },
	{ "last byte there is", UINT64_MAX, 1, 1, top + 0xfff },
	{ "over the last byte there is", UINT64_MAX, 2, 1, top + 0xfff },
	{ "longest length", 0x1000, UINT64_MAX, 0x3000, low },
	{ "address 0", 0, 1, 0, NULL },
	{ "no byte", 0x1000, 0, 0, low },
};

static void
spans(void)
{
	struct gmem *m = table_make();

	for (size_t i = 0; i < sizeof(span_rows) / sizeof(span_rows[0]); i++) {
		uint64_t len = span_rows[i].len;
		const uint8_t *p = gmem_span(m, (gpa_t){ span_rows[i].gpa }, &len);
		const uint8_t *whole = gmem_at(m, (gpa_t){ span_rows[i].gpa }, span_rows[i].len);
		bool same = p == span_rows[i].host && (p == NULL || len == span_rows[i].span);
		bool all = span_rows[i].host != NULL && span_rows[i].span == span_rows[i].len;

		CHECK_STR(span_rows[i].story, same ? "as said" : "other span", "as said");
		CHECK_STR(span_rows[i].story, whole == (all ? p : NULL) ? "as said" : "other", "as said");
	}
	gmem_destroy(m);
}

static void
uvas(void)
{
	struct gmem *m = table_make();
	gpa_t gpa = { 1 };

	CHECK(gmem_gpa(m, (uva_t){ 0x70001000 }, 0x3000, &gpa) == 0 && gpa.v == 0x1000);
	CHECK(gmem_gpa(m, (uva_t){ 0x70003fff }, 1, &gpa) == 0 && gpa.v == 0x3fff);
	CHECK(gmem_gpa(m, (uva_t){ 0x70003fff }, 2, &gpa) == -EFAULT);
	CHECK(gmem_gpa(m, (uva_t){ 0x70004fff }, 1, &gpa) == 0 && gpa.v == 0x4fff);
	CHECK(gmem_gpa(m, (uva_t){ 0x70005000 }, 1, &gpa) == -EFAULT);
	CHECK(gmem_gpa(m, (uva_t){ 0x70000fff }, 1, &gpa) == -EFAULT);
	CHECK(gmem_gpa(m, (uva_t){ 0x70001000 }, UINT64_MAX, &gpa) == -EFAULT);
	CHECK(gmem_gpa(m, (uva_t){ UINT64_MAX }, 1, &gpa) == 0 && gpa.v == UINT64_MAX);
	gmem_destroy(m);
}

static const struct {
	const char *story;
	uint32_t n;
	struct gmem_region r[2];
	int rc;
} table_rows[] = {
	{ "none", 0, { { 0, 1, 0, low } }, -EINVAL },
	{ "one", 1, { { 0, 1, 0, low } }, 0 },
	{ "empty", 1, { { 0, 0, 0, low } }, -EINVAL },
	{ "nowhere", 1, { { 0, 1, 0, NULL } }, -EINVAL },
	{ "up to the last byte", 1, { { UINT64_MAX, 1, 0, low } }, 0 },
	{ "addresses wrap", 1, { { UINT64_MAX, 2, 0, low } }, -EINVAL },
	{ "front-end addresses wrap", 1, { { 0, 2, UINT64_MAX, low } }, -EINVAL },
	{ "next to each other", 2, { { 0, 8, 0, low }, { 8, 8, 8, high } }, 0 },
	{ "overlap by a byte", 2, { { 0, 8, 0, low }, { 7, 8, 8, high } }, -EINVAL },
	{ "overlap by a byte, other order", 2, { { 7, 8, 8, low }, { 0, 8, 0, high } }, -EINVAL },
	{ "one in the other", 2, { { 0, 8, 0, low }, { 2, 2, 8, high } }, -EINVAL },
	{ "the same", 2, { { 0, 8, 0, low }, { 0, 8, 0, high } }, -EINVAL },
};

static void
tables(void)
{
	struct gmem_region many[GMEM_REGIONS_MAX + 1];
	struct gmem *m;

	for (size_t i = 0; i < sizeof(table_rows) / sizeof(table_rows[0]); i++) {
		m = NULL;
		CHECK_STR(table_rows[i].story,
			  gmem_create(table_rows[i].r, table_rows[i].n, 0, &m) == table_rows[i].rc ?
			  "as said" : "other", "as said");
		gmem_destroy(m);
	}
	for (uint32_t i = 0; i <= GMEM_REGIONS_MAX; i++)
		many[i] = (struct gmem_region){ i, 1, i, low };
	CHECK(gmem_create(many, GMEM_REGIONS_MAX + 1, 0, &m) == -EINVAL);
	CHECK(gmem_create(many, GMEM_REGIONS_MAX, 0, &m) == 0);
	gmem_destroy(m);
	gmem_destroy(NULL);
}

/* Memory that vanishes */

struct file {
	int fd;
	uint8_t *host;
	uint64_t size;
	struct gmem *mem;
};

static struct gmem *
file_table(const struct file *f)
{
	const struct gmem_region r = { .gpa = 0, .size = f->size, .uva = 0, .host = f->host };
	struct gmem *m = NULL;

	CHECK(gmem_create(&r, 1, 0, &m) == 0 && gmem_guard(m) == 0);
	return m;
}

static struct file
file_make(uint64_t size)
{
	struct file f = { .fd = memfd_create("gmem_test", MFD_CLOEXEC), .size = size };

	CHECK(ftruncate(f.fd, (off_t)size) == 0);
	f.host = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, f.fd, 0);
	CHECK(f.host != MAP_FAILED);
	f.mem = file_table(&f);
	return f;
}

static void
file_destroy(struct file *f)
{
	gmem_destroy(f->mem);
	munmap(f->host, f->size);
	close(f->fd);
}

static uint8_t
look(const uint8_t *p)
{
	return *(const volatile uint8_t *)p;
}

static void
vanishes(void)
{
	struct file f = file_make(8 * PAGE), other = file_make(PAGE);

	memset(f.host, 0x5a, f.size);
	CHECK(ftruncate(f.fd, 4 * PAGE) == 0);
	CHECK(look(f.host + 4 * PAGE - 1) == 0x5a && !f.mem->faulted);
	CHECK(look(f.host + 4 * PAGE) == 0 && f.mem->faulted);
	CHECK(look(f.host + 8 * PAGE - 1) == 0);
	*(volatile uint8_t *)(f.host + 5 * PAGE) = 1;
	CHECK(look(f.host + 5 * PAGE) == 1 && look(f.host) == 0x5a);
	CHECK(!other.mem->faulted);
	file_destroy(&other);
	file_destroy(&f);
}

/* While memory changes an address is in two tables, and both ports' states depend on it. */
static void
vanishes_from_two(void)
{
	struct file f = file_make(4 * PAGE);
	struct gmem *second = file_table(&f);

	CHECK(ftruncate(f.fd, 0) == 0);
	CHECK(look(f.host) == 0);
	CHECK(f.mem->faulted && second->faulted);
	gmem_destroy(second);
	file_destroy(&f);
}

static unsigned int
mappings_count(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned int n = 0;
	int c;

	while (maps != NULL && (c = fgetc(maps)) != EOF)
		n += c == '\n';
	if (maps != NULL)
		fclose(maps);
	return n;
}

/* A process has some 65,000 mappings: one for every page that a guest cuts away is too many. */
static void
vanishes_in_many_places(bool up)
{
	struct file f = file_make(4000 * PAGE);
	unsigned int before = mappings_count();
	uint32_t zeros = 0;

	CHECK(ftruncate(f.fd, 0) == 0);
	for (uint32_t i = 0; i < 4000; i += 2)
		zeros += look(f.host + (up ? i : 3999 - i) * (uint64_t)PAGE) == 0;
	CHECK(zeros == 2000);
	CHECK(mappings_count() < before + 8);
	file_destroy(&f);
}

static void *
reader(void *arg)
{
	struct file *f = arg;

	for (uint32_t i = 0; i < 64; i++)
		if (look(f->host + i * PAGE) != 0)
			return f;
	return NULL;
}

static void
vanishes_under_two_threads(void)
{
	for (int i = 0; i < 50; i++) {
		struct file f = file_make(64 * PAGE);
		pthread_t threads[2];
		void *wrong;

		CHECK(ftruncate(f.fd, 0) == 0);
		for (int k = 0; k < 2; k++)
			CHECK(pthread_create(&threads[k], NULL, reader, &f) == 0);
		for (int k = 0; k < 2; k++) {
			pthread_join(threads[k], &wrong);
			CHECK(wrong == NULL);
		}
		CHECK(f.mem->faulted);
		file_destroy(&f);
	}
}

static void
thread_guard(void)
{
	struct file f = file_make(4 * PAGE);

	gmem_unguard(f.mem);
	CHECK(ftruncate(f.fd, 0) == 0);
	CHECK(!gmem_guard_thread(true));
	CHECK(look(f.host + PAGE) == 0);
	CHECK(gmem_guard_thread(false) && !f.mem->faulted);
	CHECK(!gmem_guard_thread(false));
	file_destroy(&f);
}

/* What is nobody's guest memory still ends the process: it is a bug of ours. */
static void
unguarded(void)
{
	struct file f = file_make(4 * PAGE);
	int status = 0;
	pid_t child;

	gmem_unguard(f.mem);
	CHECK(ftruncate(f.fd, 0) == 0);
	fflush(NULL);
	child = fork();
	if (child == 0)
		_exit(look(f.host));
	CHECK(waitpid(child, &status, 0) == child);
	/* A sanitizer's own handler, where there is one, ends it by an exit. */
	CHECK(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
	file_destroy(&f);
}

/* As many tables as there may be, and a place that is free again. */
static void
guards_full(void)
{
	static struct gmem *many[5000];
	uint32_t n = 0;
	int rc = 0;

	while (rc == 0 && n < 5000) {
		CHECK(gmem_create(regions, N_REGIONS, 0, &many[n]) == 0);
		rc = gmem_guard(many[n++]);
	}
	CHECK(rc == -ENOSPC && n > 2048);
	gmem_destroy(many[0]);
	CHECK(gmem_guard(many[n - 1]) == 0);
	for (uint32_t i = 1; i < n; i++)
		gmem_destroy(many[i]);
}

int
main(void)
{
	spans();
	uvas();
	tables();
	CHECK(gmem_guard_init() == 0);
	vanishes();
	vanishes_from_two();
	vanishes_in_many_places(true);
	vanishes_in_many_places(false);
	vanishes_under_two_threads();
	thread_guard();
	guards_full();
	unguarded();
	return check_done("gmem");
}
