/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Descriptor chains: a guest that writes what it likes into its rings, between any two calls of
 * lib/vring, against the second opinion of chain_ref.c; and a front-end that takes marks out of the
 * dirty log, changes it or cuts it off, against that of chain_log.c.
 *
 *   u8 features, regions (see arena_lay), u16 size, refs of the three areas, u32 position, then
 *   operations until the end: see the table below, and corpus_chain.py, which writes them.
 */
#include "chain_guest.h"
#include "chain_log.h"

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#define OPS_MAX 256

#define X(id, name, text) [VRING_BAD_##id] = name,
const char *fuzz_names[] = { VRING_BADS(X) };
#undef X
const size_t fuzz_n_names = RTE_DIM(fuzz_names);
const char *const fuzz_tokens[] = { NULL };

static struct gmem *mem;
static struct vring ring;
static struct vring_batch batch;
static uint32_t done;          /* chains of the batch that were given back */
static struct ref_ring ref;
static struct ref_chain chain;
static uint64_t rounds;        /* that the ring has to have counted */
static bool bursts;            /* chains are given back together */
static bool logged;            /* as the input wants it, if the log can cover its memory */

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	arena_init();
	log_init();
	return 0;
}

static uint64_t
features_of(uint8_t bits)
{
	static const uint8_t numbers[] = {
		VIRTIO_F_RING_PACKED, F_EVENT_IDX, F_INDIRECT_DESC,
		VIRTIO_F_VERSION_1, VIRTIO_NET_F_MRG_RXBUF,
	};
	uint64_t features = 0;

	for (uint32_t i = 0; i < RTE_DIM(numbers); i++)
		features |= (uint64_t)(bits >> i & 1) << numbers[i];
	return features;
}

/* What the ring's owner and everybody else may believe at any moment. */
static void
check_all(void)
{
	struct vring_pos pos = vring_pos(&ring);

	FUZZ_CHECK(arena_same());
	log_check(&ring);
	FUZZ_CHECK(log_lost() || ring.rounds == rounds);
	FUZZ_CHECK(vring_bad(&ring) < VRING_BAD_N);
	fuzz_reach(vring_bad(&ring));
	FUZZ_CHECK(pos.avail == pos.used && pos.avail_wrap == pos.used_wrap);
	if (vring_bad(&ring) != VRING_BAD_SIZE && vring_bad(&ring) != VRING_BAD_ADDR)
		FUZZ_CHECK(pos.used == ref.idx);
	FUZZ_CHECK(!ref.packed || pos.used_wrap == ref.wrap);
	FUZZ_CHECK(batch.n <= VRING_CHAINS_MAX && batch.n_segs <= VRING_SEGS_MAX);
}

static void
start(const struct vring_opts *opts)
{
	enum vring_bad bad;

	vring_batch_reset(&batch);
	done = 0;
	rounds = 0;
	log_recount();
	bad = vring_init(&ring, opts);
	ref_init(&ref, opts);
	FUZZ_CHECK(bad == vring_bad(&ring));
	FUZZ_CHECK(bad == ref_start(&ref));
}

/* The pieces of a chain are those of the model, and so are their pointers. */
static void
chain_check(const struct vring_chain *c)
{
	uint64_t len = 0;

	FUZZ_CHECK(c->n_segs == chain.n && c->id == chain.id && c->n_slots == chain.n_slots);
	FUZZ_CHECK(c->n_slots >= 1 && c->n_slots <= ref.opts.size);
	FUZZ_CHECK(c->segs >= batch.segs && c->segs + c->n_segs <= batch.segs + batch.n_segs);
	for (uint32_t i = 0; i < c->n_segs; i++) {
		const struct vring_seg *s = &c->segs[i];
		const struct gmem_region *r;

		FUZZ_CHECK(s->gpa.v == chain.pieces[i].gpa && s->len == chain.pieces[i].len);
		FUZZ_CHECK(s->len > 0 && arena_region(s->gpa.v) >= 0);
		r = &arena.regions[arena_region(s->gpa.v)];
		FUZZ_CHECK(s->host == r->host + (s->gpa.v - r->gpa));
		FUZZ_CHECK(s->len <= r->size - (s->gpa.v - r->gpa));
		len += s->len;
	}
	FUZZ_CHECK(c->len == RTE_MIN(len, (uint64_t)UINT32_MAX));
}

/* A batch is cut where a chain of full length might not fit. */
static bool
batch_full(void)
{
	return batch.n == VRING_CHAINS_MAX || (batch.n > 0 && batch.n_segs + ref.opts.size +
					       GMEM_REGIONS_MAX > VRING_SEGS_MAX);
}

/* Why a chain that is there was not taken: it is bad, or would not fit. */
static void
refusal_check(void)
{
	enum vring_bad bad = ref_chain(&ref, VRING_SEGS_MAX - batch.n_segs, &chain);

	if (batch.n == 0)
		FUZZ_CHECK(bad != VRING_BAD_NONE && vring_bad(&ring) == bad);
	else
		FUZZ_CHECK((bad != VRING_BAD_NONE || batch_full()) &&
			   vring_bad(&ring) == VRING_BAD_NONE);
}

/* A split ring's index was looked at already: see ref_ready(). */
static bool
next_available(void)
{
	return !ref.packed || ref_available(&ref);
}

static void
peek_check(uint32_t before, uint32_t max)
{
	enum vring_bad bad = atomic_load(&mem->faulted) ? VRING_BAD_MEMORY : VRING_BAD_NONE;
	uint32_t ready = bad == VRING_BAD_NONE ? ref_ready(&ref, max, &bad) : 0;
	uint32_t n_segs = batch.n_segs;

	batch.n_segs = 0;
	for (uint32_t i = 0; i < before; i++)
		batch.n_segs += batch.chains[i].n_segs;
	for (uint32_t i = before; i < batch.n; i++) {
		FUZZ_CHECK(i - before < ready && next_available());
		FUZZ_CHECK(ref_chain(&ref, VRING_SEGS_MAX - batch.n_segs, &chain) ==
			   VRING_BAD_NONE);
		batch.n_segs += chain.n;
		chain_check(&batch.chains[i]);
		ref_take(&ref, &chain);
	}
	FUZZ_CHECK(batch.n_segs == n_segs);
	if (bad != VRING_BAD_NONE)
		FUZZ_CHECK(batch.n == before && vring_bad(&ring) == bad);
	else if (batch.n - before < ready && next_available())
		refusal_check();
	else
		FUZZ_CHECK(vring_bad(&ring) == VRING_BAD_NONE);
}

static void
op_peek(struct fuzz_in *in, uint8_t arg)
{
	uint32_t max = arg == 15 ? VRING_CHAINS_MAX : arg + 1u, before = batch.n, got;
	bool was_bad = vring_bad(&ring) != VRING_BAD_NONE;

	if (before == 0) {
		ref.next = ref.idx;
		ref.next_wrap = ref.wrap;
	}
	got = vring_peek(&ring, &batch, max);
	FUZZ_CHECK(got <= max && batch.n == before + got);
	if (was_bad)
		FUZZ_CHECK(got == 0);
	else
		peek_check(before, max);
}

static gpa_t
behind(gpa_t gpa, uint64_t off)
{
	return (gpa_t){ gpa.v + off };
}

/* Touches what a receiver would write, or a sender is read from: a fault ends the process. */
static void
chain_touch(const struct vring_chain *c)
{
	static volatile uint8_t sum;

	for (uint32_t i = 0; i < c->n_segs; i++) {
		const struct vring_seg *s = &c->segs[i];

		if (ref.opts.writable) {
			s->host[0] = (uint8_t)i;
			s->host[s->len - 1] = (uint8_t)i;
			arena_accept(s->host, 1);
			arena_accept(s->host + s->len - 1, 1);
		} else {
			sum = (uint8_t)(sum + s->host[0] + s->host[s->len - 1]);
		}
	}
}

/*
 * The first bytes are what a caller has written, whether it has or not.  Slots between are not
 * written, but to tell them apart would cost more than a page; and where each burst begins is marked
 * beforehand, to see that the front-end has been there.
 */
static void
put_log(const struct vring_chain *c)
{
	gpa_t first = ref.packed ? ref.opts.desc : ref.opts.device;
	uint32_t len = ref.opts.writable ? c->used : 0; /* nobody writes what is sent */

	log_may(first, 2);
	for (uint32_t i = 0; ref.packed && i < c->n_slots; i++)
		log_may(behind(first, 16ull * ((ref.idx + i) % ref.opts.size)), 16);
	for (const struct vring_seg *s = c->segs; len > 0; len -= RTE_MIN(len, s++->len))
		log_must(s->gpa, RTE_MIN(len, s->len));
}

/* Gives `n` chains back at a time, their `used` set. */
static void
burst_put(const struct vring_chain *c, uint32_t n)
{
	enum vring_bad before = vring_bad(&ring);
	bool faulted = atomic_load(&mem->faulted), gone = log_gone();

	if (log_now() != NULL && !gone)
		rounds += !log_marked(ref.packed ? ref.opts.desc : ref.opts.device);
	vring_put_burst(&ring, c, n);
	for (uint32_t i = 0; i < n; i++) {
		if (log_now() != NULL && !gone)
			put_log(&c[i]);
		ref_put(&ref, (uint16_t)c[i].id, c[i].n_slots, c[i].used);
	}
	FUZZ_CHECK(ring.idx == ref.idx);
	if (before == VRING_BAD_NONE && gone)
		before = faulted ? VRING_BAD_MEMORY : VRING_BAD_LOG;
	FUZZ_CHECK(vring_bad(&ring) == before);
}

static void
op_put(struct fuzz_in *in, uint8_t arg)
{
	uint32_t n = RTE_MIN(arg + 1u, batch.n - done);
	struct vring_chain *c = &batch.chains[done];
	uint8_t how = fuzz_u8(in);

	for (uint32_t i = 0; i < n; i++) {
		chain_touch(&c[i]);
		c[i].used = how == 1 ? c[i].len : RTE_MIN(how, c[i].len);
	}
	for (uint32_t i = 0; i < n && !bursts; i++)
		burst_put(&c[i], 1);
	if (n > 0 && bursts)
		burst_put(c, n);
	done += n;
}

static void
op_publish(struct fuzz_in *in, uint8_t arg)
{
	bool call = vring_publish(&ring);
	int expected = ref_publish(&ref);

	FUZZ_CHECK(expected < 0 || call == (expected > 0));
}

static void
op_arm(struct fuzz_in *in, uint8_t arg)
{
	bool good = vring_bad(&ring) == VRING_BAD_NONE, ready = vring_arm(&ring);
	struct ref_ring at = ref;

	at.next = ref.idx;
	at.next_wrap = ref.wrap;
	if (good)
		ref_arm(&ref);
	FUZZ_CHECK(ready == (good && ref_available(&at)));
}

static void
op_disarm(struct fuzz_in *in, uint8_t arg)
{
	if (vring_bad(&ring) == VRING_BAD_NONE)
		ref_disarm(&ref);
	vring_disarm(&ring);
}

static void
op_reset(struct fuzz_in *in, uint8_t arg)
{
	vring_batch_reset(&batch);
	done = 0;
}

/* Stop and start where it was: what a change of provider or memory does. */
static void
op_restart(struct fuzz_in *in, uint8_t arg)
{
	struct vring_opts opts = ref.opts;

	op_publish(in, arg);
	opts.pos = vring_pos(&ring);
	opts.log = log_now();
	start(&opts);
}

/* What a front-end does to the log; without one chains are looked at. */
static void
op_log(struct fuzz_in *in, uint8_t arg)
{
	static void (*const does[])(void) = { log_take, log_swap, log_switch, log_truncate };

	if (!logged) {
		op_peek(in, arg);
		return;
	}
	does[arg % RTE_DIM(does)]();
	vring_log_set(&ring, log_now());
}

static void
op_fault(struct fuzz_in *in, uint8_t arg)
{
	atomic_store(&mem->faulted, true);
}

/* Operation in the low nibble of a byte, `arg` in the high one. */
static void (*const ops[16])(struct fuzz_in *in, uint8_t arg) = {
	[GUEST_OPS] = op_peek, op_put, op_publish, op_arm, op_disarm, op_reset, op_restart,
	op_fault, op_log,
};

static void
run(struct fuzz_in *in, uint8_t features)
{
	struct vring_opts opts = { .mem = mem, .features = features_of(features) };

	if (logged)
		log_open(mem);
	opts.log = log_now();
	opts.writable = (features & 0x20) != 0;
	opts.size = fuzz_u16(in);
	opts.desc = arena_ref(in);
	opts.driver = arena_ref(in);
	opts.device = arena_ref(in);
	opts.pos = vring_pos_decode((features & 1) != 0, fuzz_u32(in));
	start(&opts);
	check_all();
	if (vring_bad(&ring) == VRING_BAD_SIZE || vring_bad(&ring) == VRING_BAD_ADDR)
		return;
	for (uint32_t i = 0; i < OPS_MAX && in->left > 0; i++) {
		uint8_t op = fuzz_u8(in);

		if ((op & 15) < GUEST_OPS)
			guest_op(&ref, in, op & 15, op >> 4);
		else
			ops[op & 15](in, op >> 4);
		check_all();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	uint8_t features = fuzz_u8(&in);
	bool sound = arena_lay(&in);
	int rc = gmem_create(arena.regions, arena.n, 0, &mem);

	FUZZ_CHECK((rc == 0) == sound);
	if (rc < 0)
		return 0;
	logged = (features & 0x40) != 0;
	bursts = (features & 0x80) != 0;
	run(&in, features);
	log_close();
	gmem_destroy(mem);
	return 0;
}
