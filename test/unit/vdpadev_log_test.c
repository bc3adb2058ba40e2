/* SPDX-License-Identifier: BSD-3-Clause */
/* The dirty log as drivers use it: its base, marks through the library's calls, marks at a stop. */
#include "vdpadev_test.h"

#include "dirty.h"

#include <errno.h>
#include <linux/virtio_ring.h>
#include <sys/mman.h>
#include <unistd.h>

#define LOG_ALL (1ULL << 26)

static struct dirty *
log_make(const struct side *s)
{
	const struct gmem_region *end = &s->mem->regions[s->mem->n_regions - 1];
	size_t size = (end->gpa + end->size) / 4096 / 8 + 8;
	int fd = memfd_create("log", MFD_CLOEXEC);
	struct dirty *log = NULL;

	CHECK(ftruncate(fd, (off_t)size) == 0);
	CHECK(dirty_map(fd, 0, size & ~7ULL, 3, &log) == 0);
	CHECK(dirty_covers(log, s->mem));
	close(fd);
	return log;
}

static bool
marked(const struct dirty *log, gpa_t gpa)
{
	uint64_t page = gpa.v / 4096;

	return (log->words[page / 64] >> page % 64 & 1) != 0;
}

static uint64_t
all_marked(const struct dirty *log)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < log->n_pages / 64; i++)
		n += (uint64_t)__builtin_popcountll(log->words[i]);
	return n;
}

static uint64_t
pages(const struct rig *r)
{
	struct vdev_ring_stats st;
	uint64_t n = 0;

	for (uint16_t q = 0; q < r->s.n_rings; q++) {
		CHECK(vdev_stats(r->dev, q, &st) == 0);
		n += st.pages;
	}
	return n;
}

/* On under way, off and another one between a stop and a start of the device. */
static void
switched(void)
{
	struct dirty *first, *second;
	struct rig r;

	rig_open(&r, &(struct rig_opts){ .pairs = 1 });
	first = log_make(&r.s);
	second = log_make(&r.s);
	CHECK(side_start(&r.s) == 0);
	fake->notes[0] = '\0';
	CHECK(vdev_log_set(r.dev, first) == 0);
	notes_check("on", "features ");
	CHECK((fake->features & LOG_ALL) != 0 && fake->log_base == (uintptr_t)first->words);
	CHECK(fake->log_size == first->n_pages / 8);
	CHECK(vdev_log_set(r.dev, second) == 0);
	notes_check("another", "close state 0 0 state 1 0 state 0 1 state 1 1 features conf ");
	CHECK(fake->log_base == (uintptr_t)second->words && (fake->features & LOG_ALL) != 0);
	CHECK(marked(first, r.s.rings[0].device) && marked(second, r.s.rings[0].device));
	CHECK(vdev_log_set(r.dev, NULL) == 0);
	notes_check("off", "close state 0 0 state 1 0 state 0 1 state 1 1 features conf ");
	CHECK((fake->features & LOG_ALL) == 0 && fake->log_base == 0 && fake->log_size == 0);
	fake->features_rc = -1;
	CHECK(vdev_log_set(r.dev, first) == -ENOTSUP);
	fake->features_rc = 0;
	CHECK(vdev_log_set(r.dev, first) == 0);
	side_stop(&r.s);
	dirty_destroy(first);
	dirty_destroy(second);
	rig_close(&r);
}

static void
marks(bool packed)
{
	const gpa_t far = { 3 * 4096 + 100 };
	struct dirty *log;
	struct vdev_ring *ring;
	struct rig r;
	uint64_t n;

	rig_open(&r, &(struct rig_opts){ .pairs = 1, .packed = packed });
	log = log_make(&r.s);
	r.s.log = log;
	CHECK(side_start(&r.s) == 0);
	CHECK((fake->features & LOG_ALL) != 0 && fake->log_base == (uintptr_t)log->words);
	n = all_marked(log);
	CHECK(pages(&r) == n);
	memset((void *)(uintptr_t)log->words, 0, log->n_pages / 8);
	ring = &r.s.rings[1];
	fake->log_write(fake->vid, far.v, 4096);
	CHECK(all_marked(log) == 2 && marked(log, far) && marked(log, (gpa_t){ far.v + 4096 }));
	fake->log_write(fake->vid, far.v, 8);
	CHECK(pages(&r) == n + 2);
	fake->log_used(fake->vid, 1, 4, 8);
	CHECK(marked(log, packed ? ring->desc : ring->device));
	/* Past the end of the log, and by a vid that is nobody's: nothing. */
	fake->log_write(fake->vid, UINT64_MAX - 4096, 4097);
	fake->log_write(fake->vid + 1, 9 * 4096, 1);
	CHECK(!marked(log, (gpa_t){ 9 * 4096 }));
	memset((void *)(uintptr_t)log->words, 0, log->n_pages / 8);
	side_stop(&r.s);
	CHECK(marked(log, ring->device) && (!packed || marked(log, ring->desc)));
	memset((void *)(uintptr_t)log->words, 0, log->n_pages / 8);
	fake->log_write(fake->vid, far.v, 1);
	CHECK(all_marked(log) == 0);
	r.s.log = NULL;
	dirty_destroy(log);
	rig_close(&r);
}

/* The front-end has taken the marks when the index's page is clean once more. */
static void
rounds(void)
{
	struct vdev_ring_stats st;
	struct dirty *log;
	struct rig r;

	rig_open(&r, &(struct rig_opts){ .pairs = 1 });
	log = log_make(&r.s);
	r.s.log = log;
	CHECK(side_start(&r.s) == 0);
	for (uint64_t i = 0; i < 4; i++) {
		memset((void *)(uintptr_t)log->words, 0, log->n_pages / 8);
		fake->log_used(fake->vid, 1, 2, 2);
		fake->log_used(fake->vid, 1, 2, 2);
		CHECK(vdev_stats(r.dev, 1, &st) == 0 && st.rounds == i + 1);
	}
	side_stop(&r.s);
	r.s.log = NULL;
	dirty_destroy(log);
	rig_close(&r);
}

/* A ring that stands in for the guest's used ring: entries, marks of what chains let be written. */
static void
relayed(void)
{
	static uint8_t stand_in[4096] __attribute__((aligned(16)));
	struct vring mediated;
	struct dirty *log;
	struct vring_used *used;
	struct vring_desc *desc;
	struct rig r;

	rig_open(&r, &(struct rig_opts){ .pairs = 1 });
	log = log_make(&r.s);
	r.s.log = log;
	CHECK(side_start(&r.s) == 0);
	memset((void *)(uintptr_t)log->words, 0, log->n_pages / 8);
	vring_init(&mediated, r.s.rings[0].size, stand_in, 16);
	used = gmem_at(r.s.mem, r.s.rings[0].device, 4);
	desc = gmem_at(r.s.mem, r.s.rings[0].desc, 16);
	desc[5] = (struct vring_desc){
		.addr = 4096 * 2, .len = 8192, .flags = VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, .next = 6,
	};
	desc[6] = (struct vring_desc){ .addr = 4096 * 5, .len = 1 };
	mediated.used->ring[0] = (struct vring_used_elem){ .id = 5, .len = 100 };
	mediated.used->idx = 1;
	CHECK(fake->relay(fake->vid, 0, &mediated) == 1);
	CHECK(used->idx == 1 && used->ring[0].id == 5 && used->ring[0].len == 100);
	CHECK(marked(log, (gpa_t){ 4096 * 2 }) && marked(log, (gpa_t){ 4096 * 3 }));
	CHECK(all_marked(log) == 2);
	/* A head that the table does not have, and a chain that goes round. */
	mediated.used->ring[1].id = r.s.rings[0].size;
	mediated.used->idx = 2;
	CHECK(fake->relay(fake->vid, 0, &mediated) == -1 && used->idx == 1);
	mediated.used->ring[1].id = 7;
	desc[7] = (struct vring_desc){ .addr = 0, .len = 1, .flags = VRING_DESC_F_NEXT, .next = 7 };
	CHECK(fake->relay(fake->vid, 0, &mediated) == -1 && used->idx == 1);
	side_stop(&r.s);
	r.s.log = NULL;
	dirty_destroy(log);
	rig_close(&r);
}

/* What keeps a guest from kicking is taken back at a start, and written down when it logs. */
static void
armed(void)
{
	struct dirty *log;
	struct vring_used *used;
	struct rig r;

	rig_open(&r, &(struct rig_opts){ .pairs = 1 });
	log = log_make(&r.s);
	r.s.log = log;
	used = gmem_at(r.s.mem, r.s.rings[1].device, 4);
	used->flags = VRING_USED_F_NO_NOTIFY;
	CHECK(side_start(&r.s) == 0);
	CHECK(used->flags == 0 && marked(log, r.s.rings[1].device));
	CHECK(fake->notify(fake->vid, 1, 0) == 0 && used->flags == VRING_USED_F_NO_NOTIFY);
	CHECK(fake->notify(fake->vid, 1, 1) == 0 && used->flags == 0);
	side_stop(&r.s);
	used->flags = VRING_USED_F_NO_NOTIFY;
	fake->conf_rc = -1;
	CHECK(side_start(&r.s) == -ENOTSUP && used->flags == VRING_USED_F_NO_NOTIFY);
	r.s.log = NULL;
	dirty_destroy(log);
	rig_close(&r);
}

void
vdpadev_log_test(void)
{
	static void (*const tests[])(void) = { switched, rounds, relayed, armed };

	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		rig_reset();
		tests[i]();
	}
	rig_reset();
	marks(false);
	rig_reset();
	marks(true);
}
