/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Shadow rings of the vDPA plugin, between two strangers: a guest that writes what it likes into
 * its rings, and a device that writes what it likes into the queue that it was given.
 *
 *   u8 features, regions (see arena_lay), u16 size, refs of the three areas, u16 position, u8 size
 *   of the device's queue, then operations until the end: see the table below, corpus_shadow.py.
 */
#include "chain_guest.h"
#include "chain_log.h"
#include "shadow_model.h"

#include <linux/virtio_config.h>

#define OPS_MAX 256
#define IOVA    0x500000000000ULL

enum { REACH_DROPPED = SHADOW_BAD_N + SHADOW_FAULT_N, REACH_BLOCKED, REACH_SETTLED };

#define X(id, name) [SHADOW_BAD_##id] = name,
const char *fuzz_names[] = {
	SHADOW_BADS(X)
#undef X
#define X(id, name) [SHADOW_BAD_N + SHADOW_FAULT_##id] = "fault_" name,
	SHADOW_FAULTS(X)
	[REACH_DROPPED] = "dropped", [REACH_BLOCKED] = "blocked", [REACH_SETTLED] = "settled",
};
#undef X
const size_t fuzz_n_names = RTE_DIM(fuzz_names);
const char *const fuzz_tokens[] = { NULL };

static struct mem mem;
static struct gmem *gmem;
static struct shadow *s;
static struct shadow_opts opts;
static struct vring_opts vopts;
static struct model m;
static uint8_t *queue;         /* the device's, ends where nobody may look */
static bool logged;
static bool tampered;          /* the device wrote where only the driver does */
static bool log_spoilt;        /* it did so once, and the wrong pages were marked */
static struct vring counted;   /* pages, for log_check() */

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	arena_init();
	log_init();
	return 0;
}

static void
mark(void *arg, uint64_t gpa, uint64_t len)
{
	FUZZ_CHECK(len > 0);
	counted.pages += dirty_mark(log_now(), (gpa_t){ gpa }, len);
}

static void
check_all(void)
{
	const struct ref_ring *r = &m.ref;
	struct shadow_stats st;

	FUZZ_CHECK(arena_same());
	if (!log_spoilt)
		log_check(&counted);
	FUZZ_CHECK((unsigned int)shadow_bad(s) == (unsigned int)m.bad);
	FUZZ_CHECK(shadow_fault(s) == m.fault);
	fuzz_reach(shadow_bad(s));
	fuzz_reach(SHADOW_BAD_N + shadow_fault(s));
	shadow_stats(s, &st);
	FUZZ_CHECK(st.used == (uint16_t)(r->idx | (r->packed && r->wrap) << 15));
	FUZZ_CHECK(st.avail == (uint16_t)(r->next | (r->packed && r->next_wrap) << 15));
	FUZZ_CHECK(st.in_flight == m.n);
}

static void
start(uint8_t size_bits)
{
	const uint16_t size = 1u << size_bits % 7;
	const size_t bytes = shadow_dev_bytes(size, opts.dev_features);

	free(queue);
	queue = aligned_alloc(4096, RTE_ALIGN_CEIL(bytes, 4096));
	FUZZ_CHECK(queue != NULL);
	memset(queue, 0x5a, bytes);
	opts.dev_size = size;
	opts.dev_mem = queue;
	opts.dev_iova = IOVA;
	opts.mark = log_now() != NULL ? mark : NULL;
	tampered = false;
	shadow_destroy(s);
	FUZZ_CHECK(shadow_create(&s, &opts) == 0);
	model_init(&m, &vopts);
	m.dev_size = m.n_free = size;
	m.dev_event_idx = (opts.dev_features >> F_EVENT_IDX & 1) != 0;
	m.dev_indirect = (opts.dev_features >> F_INDIRECT_DESC & 1) != 0;
	m.dev_mem = queue;
	m.dev_iova = IOVA;
	shadow_queue(s, &m.queue);
	FUZZ_CHECK(m.queue.desc == IOVA && m.queue.device - IOVA + 6 + 8ull * size <= bytes);
}

/* Pieces of a chain, cut where regions end; they are put together to the guest's descriptors. */
static void
desc_check(const struct model_chain *c, uint32_t *piece, const struct vring_split_desc *d)
{
	uint64_t at = d->addr, left = d->len;

	FUZZ_CHECK(((d->flags & DESC_F_WRITE) != 0) == !m.tx && left > 0);
	for (; left > 0; (*piece)++) {
		FUZZ_CHECK(*piece < c->n_pieces);
		FUZZ_CHECK(c->pieces[*piece].gpa == at && c->pieces[*piece].len <= left);
		at += c->pieces[*piece].len;
		left -= c->pieces[*piece].len;
	}
}

/* What the device finds in its queue for a chain. */
static void
chain_check(const struct model_chain *c, uint16_t slot)
{
	const struct vring_split_desc *table = (const void *)queue;
	uint32_t i = model_dev16(&m, m.queue.driver + 4 + 2ull * (slot % m.dev_size)), piece = 0;
	uint32_t mask = m.dev_size - 1, steps = 0;

	FUZZ_CHECK(i == c->head);
	if (table[i].flags & DESC_F_INDIRECT) {
		FUZZ_CHECK(m.dev_indirect && table[i].len % 16 == 0);
		mask = UINT32_MAX;
		table = (const void *)(queue + (table[i].addr - IOVA));
		i = 0;
	}
	for (;; i = table[i & mask].next) {
		FUZZ_CHECK(steps++ < m.dev_size + 32u);
		desc_check(c, &piece, &table[i]);
		if ((table[i].flags & DESC_F_NEXT) == 0)
			break;
	}
	FUZZ_CHECK(piece == c->n_pieces);
}

static void
op_submit(struct fuzz_in *in, uint8_t arg)
{
	const uint32_t max = arg == 15 ? 4096 : arg + 1u, in_flight = m.n;
	const uint16_t before = m.avail_idx;
	uint16_t slot = before;
	bool doorbell;
	uint32_t n = shadow_submit(s, max, &doorbell);

	FUZZ_CHECK(n == model_take(&m, max, false));
	FUZZ_CHECK(model_dev16(&m, m.queue.driver + 2) == m.avail_idx || tampered);
	FUZZ_CHECK(doorbell == model_doorbell(&m, before));
	for (uint32_t i = in_flight; i < m.n; i++) {
		if (model_chain(&m, i)->n_descs == 0)
			fuzz_reach(REACH_DROPPED);
		else if (!tampered)
			chain_check(model_chain(&m, i), slot++);
	}
	if (m.blocked)
		fuzz_reach(REACH_BLOCKED);
}

static void
op_discard(struct fuzz_in *in, uint8_t arg)
{
	const uint32_t n = shadow_discard(s, arg + 1u);

	FUZZ_CHECK(n == model_take(&m, arg + 1u, true));
}

static void
op_complete(struct fuzz_in *in, uint8_t arg)
{
	const uint32_t max = arg == 15 ? UINT32_MAX : arg + 1u;
	int expected;
	bool call;
	const uint32_t n = shadow_complete(s, max, &call);

	FUZZ_CHECK(n == model_complete(&m, max, &expected));
	FUZZ_CHECK(expected < 0 || call == (expected > 0));
}

static void
op_notify(struct fuzz_in *in, uint8_t arg)
{
	const unsigned int sides = arg & 3;

	if ((arg & 4) == 0) {
		const bool ready = shadow_arm(s, sides);

		FUZZ_CHECK(ready == model_arm(&m, sides));
		return;
	}
	if ((sides & SHADOW_GUEST) != 0 && m.bad == VRING_BAD_NONE)
		ref_disarm(&m.ref);
	shadow_disarm(s, sides);
}

/* The device stands, and another one goes on from there. */
static void
op_restart(struct fuzz_in *in, uint8_t arg)
{
	const bool packed = m.ref.packed;
	int expected;
	uint16_t pos;
	bool call;
	const uint32_t n = shadow_stop(s, &pos, &call), before = m.n;

	FUZZ_CHECK(n == model_stop(&m, &expected));
	FUZZ_CHECK(expected < 0 || call == (expected > 0));
	FUZZ_CHECK(pos == (uint16_t)(m.ref.idx | (packed && m.ref.wrap) << 15));
	if (n > 0 && n < before)
		fuzz_reach(REACH_SETTLED);
	check_all();
	opts.pos = pos;
	vopts.pos = vring_pos_decode(packed, pos);
	start(arg);
}

static void
op_log(struct fuzz_in *in, uint8_t arg)
{
	static void (*const does[])(void) = { log_take, log_swap, log_switch };

	if (!logged)
		return;
	does[arg % RTE_DIM(does)]();
	shadow_log_set(s, log_now() != NULL ? mark : NULL, NULL);
}

static void
queue_write(uint64_t at, const void *data, size_t len)
{
	const size_t bytes = shadow_dev_bytes(m.dev_size, opts.dev_features);

	if (at < bytes)
		memcpy(queue + at, data, RTE_MIN(len, bytes - at));
}

/* A device as it should be: the `arg`th chain that it holds, so many bytes of it written. */
static void
op_finish(struct fuzz_in *in, uint8_t arg)
{
	const uint8_t how = fuzz_u8(in);
	const uint16_t idx = model_dev16(&m, m.queue.device + 2);
	struct model_chain *c;
	uint32_t elem[2];

	if (m.n == 0)
		return;
	c = model_chain(&m, arg % m.n);
	elem[0] = c->head;
	elem[1] = how == 255 ? (uint32_t)c->len : how;
	queue_write(m.queue.device - IOVA + 4 + 8u * (idx % m.dev_size), elem, sizeof(elem));
	queue_write(m.queue.device - IOVA + 2, &(uint16_t){ idx + 1 }, 2);
}

/* The device writes what it likes where it is to write, or anywhere in its queue. */
static void
op_scribble(struct fuzz_in *in, uint8_t arg)
{
	const uint64_t base = arg == 0 ? m.queue.device - IOVA : 0;
	const uint16_t off = fuzz_u16(in);
	uint8_t data[256];
	const uint8_t len = fuzz_u8(in);

	fuzz_take(in, data, len);
	queue_write(base + off, data, len);
	tampered = tampered || base == 0;
	log_spoilt = log_spoilt || tampered;
}

/* Operation in the low nibble of a byte, `arg` in the high one. */
static void (*const ops[16])(struct fuzz_in *in, uint8_t arg) = {
	[GUEST_OPS] = op_submit, op_complete, op_discard, op_notify, op_restart, op_log, op_finish,
	op_scribble, op_submit,
};

static void
rings_read(struct fuzz_in *in, uint8_t features)
{
	vopts = (struct vring_opts){
		.features = (uint64_t)(features & 1) << VIRTIO_F_RING_PACKED |
			    (uint64_t)(features >> 1 & 1) << F_EVENT_IDX |
			    (uint64_t)(features >> 2 & 1) << F_INDIRECT_DESC |
			    1ULL << VIRTIO_F_VERSION_1,
		.writable = (features & 8) != 0, .size = fuzz_u16(in),
	};
	vopts.desc = arena_ref(in);
	vopts.driver = arena_ref(in);
	vopts.device = arena_ref(in);
	opts = (struct shadow_opts){
		.mem = &mem, .features = vopts.features, .size = vopts.size, .tx = !vopts.writable,
		.desc = vopts.desc.v, .driver = vopts.driver.v, .device = vopts.device.v,
		.pos = fuzz_u16(in),
		.dev_features = (uint64_t)(features >> 4 & 1) << F_EVENT_IDX |
				(uint64_t)(features >> 5 & 1) << F_INDIRECT_DESC,
	};
	vopts.pos = vring_pos_decode((features & 1) != 0, opts.pos);
}

static void
run(struct fuzz_in *in, uint8_t features)
{
	rings_read(in, features);
	if (logged)
		log_open(gmem);
	counted.pages = 0;
	log_recount();
	start(fuzz_u8(in));
	check_all();
	if (m.bad == VRING_BAD_SIZE || m.bad == VRING_BAD_ADDR)
		return;
	for (uint32_t i = 0; i < OPS_MAX && in->left > 0; i++) {
		const uint8_t op = fuzz_u8(in);

		if ((op & 15) < GUEST_OPS)
			guest_op(&m.ref, in, op & 15, op >> 4);
		else
			ops[op & 15](in, op >> 4);
		check_all();
	}
}

static void
mem_lay(void)
{
	mem.n_regions = arena.n;
	for (uint32_t i = 0; i < arena.n; i++)
		mem.regions[i] = (struct mem_region){
			.gpa = arena.regions[i].gpa, .size = arena.regions[i].size,
			.hva = arena.regions[i].host,
		};
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	const uint8_t features = fuzz_u8(&in);

	if (!arena_lay(&in))
		return 0;
	FUZZ_CHECK(gmem_create(arena.regions, arena.n, 0, &gmem) == 0);
	mem_lay();
	logged = (features & 0x40) != 0;
	log_spoilt = false;
	run(&in, features);
	shadow_destroy(s);
	s = NULL;
	free(queue);
	queue = NULL;
	log_close();
	gmem_destroy(gmem);
	return 0;
}
