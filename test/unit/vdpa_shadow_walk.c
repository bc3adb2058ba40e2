/* SPDX-License-Identifier: BSD-3-Clause */
#include "vdpa_shadow_walk.h"

#include "check.h"
#include "vdpa_shadow_dev.h"
#include "vmm_rng.h"

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>

#define BUF_BYTES 4200  /* more than a page, and not a multiple of one */
#define N_BUFS    200
#define HDR       12

/* What is in a guest's buffer, or has to be when it comes back. */
struct buf {
	uint64_t gpa;
	bool posted, sent;
	uint32_t seq;       /* transmit: which frame it is */
	uint32_t len;       /* transmit: of the frame; receive: bytes that the device wrote */
	uint32_t seed;      /* receive: which bytes */
	uint32_t scribbled; /* receive: bytes that were written already */
};

struct walk {
	const struct walk_conf *conf;
	uint32_t rng;
	struct vmm_mem *mem;
	struct vmm_fault fault;
	struct vmm_ring *ring;
	struct mem table;
	struct shadow *s;
	struct dev d;
	struct buf bufs[N_BUFS];
	uint16_t pos;
	bool logged, discards;
	bool guest_sleeps, shadow_sleeps, irq_wanted, device_sleeps;
	uint32_t posted, sent, discarded, dropped, settled, collected;
	uint32_t last_seq;
};

static uint32_t
choose(struct walk *w, uint32_t below)
{
	return vmm_rng(&w->rng, below);
}

/* The image of a migration: a page is copied when it is marked, and not again. */
static void
mark(void *arg, uint64_t gpa, uint64_t len)
{
	struct walk *w = arg;

	CHECK(len > 0);
	for (uint64_t page = gpa / VMM_PAGE; page <= (gpa + len - 1) / VMM_PAGE; page++)
		CHECK(vmm_mem_page_copy(w->mem, page));
}

static void
image_check(struct walk *w)
{
	if (w->logged)
		CHECK(vmm_mem_differs(w->mem, 0) == VMM_GPA_NONE);
}

static void
log_turn(struct walk *w)
{
	w->logged = !w->logged;
	shadow_log_set(w->s, w->logged ? mark : NULL, w);
	if (w->logged)
		vmm_mem_copy(w->mem);
}

static uint64_t
features_of(const struct vmm_ring_conf *c)
{
	return (uint64_t)c->packed << VIRTIO_F_RING_PACKED |
	       (uint64_t)c->event_idx << VIRTIO_RING_F_EVENT_IDX |
	       (uint64_t)(c->table_len > 0) << VIRTIO_RING_F_INDIRECT_DESC;
}

static void
shadow_begin(struct walk *w, uint16_t dev_size)
{
	const uint64_t features = (uint64_t)choose(w, 2) << VIRTIO_RING_F_EVENT_IDX |
				  (uint64_t)choose(w, 2) << VIRTIO_RING_F_INDIRECT_DESC;
	struct shadow_opts o = {
		.mem = &w->table, .features = features_of(&w->conf->ring), .pos = w->pos,
		.desc = w->ring->addr.desc, .driver = w->ring->addr.avail,
		.device = w->ring->addr.used, .size = w->conf->ring.size, .tx = w->conf->tx,
		.dev_features = features, .dev_size = dev_size,
		.mark = w->logged ? mark : NULL, .mark_arg = w,
	};

	dev_init(&w->d, w->mem, dev_size, features);
	o.dev_mem = w->d.mem;
	o.dev_iova = w->d.iova;
	CHECK(shadow_create(&w->s, &o) == 0);
	CHECK(shadow_bad(w->s) == SHADOW_BAD_NONE);
	dev_start(&w->d, w->s);
	w->shadow_sleeps = w->irq_wanted = w->device_sleeps = false;
}

static bool
begin(struct walk *w)
{
	const struct vmm_mem_conf conf = {
		.n_regions = w->conf->n_regions, .shadow = true, .twin = true,
		.size = (w->conf->ring.size > 4096 ? 16 : 4) << 20,
	};

	if (vmm_mem_create(&w->mem, &conf, &w->fault) < 0 ||
	    vmm_ring_create(&w->ring, w->mem, &w->conf->ring, "ring") < 0)
		return false;
	for (unsigned int i = 0; i < w->mem->n_regions; i++)
		w->table.regions[w->table.n_regions++] = (struct mem_region){
			.gpa = w->mem->regions[i].gpa, .size = w->mem->regions[i].size,
			.hva = w->mem->regions[i].host,
		};
	for (uint32_t i = 0; i < N_BUFS; i++)
		w->bufs[i].gpa = vmm_mem_alloc(w->mem, BUF_BYTES, 1);
	w->pos = w->conf->ring.pos;
	shadow_begin(w, w->conf->dev_size);
	return true;
}

/* The guest */

static uint8_t
byte_of(uint32_t seed, uint32_t i)
{
	return (uint8_t)(seed * 31 + i * 7 + (i >> 8));
}

static void
frame_write(struct walk *w, struct buf *b)
{
	uint8_t bytes[BUF_BYTES];

	b->seq = w->posted;
	for (uint32_t i = 0; i < b->len; i++)
		bytes[i] = byte_of(b->seq, i);
	vmm_mem_write(w->mem, b->gpa, bytes, b->len);
}

/* Cuts a buffer; pieces may be as small as a byte. */
static uint16_t
cut(struct walk *w, const struct buf *b, struct vmm_seg *segs, uint16_t max)
{
	const uint32_t most = max < b->len ? max : b->len;
	const uint16_t n = choose(w, 2) ? 1 : (uint16_t)(1 + choose(w, most));
	uint32_t at = 0;

	for (uint16_t i = 0; i < n; i++) {
		const uint32_t left = b->len - at - (n - 1u - i);
		const uint32_t len = i + 1 == n ? left : 1 + choose(w, left);

		segs[i] = (struct vmm_seg){ b->gpa + at, len, !w->conf->tx };
		at += len;
	}
	return n;
}

static void
guest_post(struct walk *w)
{
	const uint32_t i = choose(w, N_BUFS);
	struct buf *b = &w->bufs[i];
	const bool indirect = w->conf->ring.table_len > 0 && choose(w, 2);
	const uint16_t size = w->conf->ring.size < 6 ? w->conf->ring.size : 6;
	struct vmm_seg segs[64];
	uint16_t n;

	if (b->posted)
		return;
	b->len = HDR + choose(w, choose(w, 8) == 0 ? BUF_BYTES - HDR : 200);
	n = cut(w, b, segs, indirect ? w->conf->ring.table_len : size);
	if (w->conf->tx)
		frame_write(w, b);
	if (vmm_ring_post(w->ring, segs, n, indirect, i) < 0)
		return;
	b->posted = true;
	b->sent = false;
	w->posted++;
	b->scribbled = 0;
	if (!w->conf->tx)
		b->len = 0;
}

static void
guest_kick(struct walk *w)
{
	const bool any = w->ring->unpublished > 0;
	const int kicked = vmm_ring_kick(w->ring);

	CHECK(kicked >= 0);
	if (any && w->shadow_sleeps)
		CHECK(kicked == 1);
	w->shadow_sleeps = w->shadow_sleeps && !any;
}

static void
buf_check(struct walk *w, const struct buf *b, uint32_t len)
{
	const uint8_t *bytes = vmm_mem_host(w->mem, b->gpa, BUF_BYTES);

	CHECK(len == (w->conf->tx ? 0 : b->len));
	for (uint32_t i = 0; !w->conf->tx && i < b->len; i++)
		if (bytes[i] != byte_of(b->seed, i)) {
			CHECK(bytes[i] == byte_of(b->seed, i));
			return;
		}
}

static void
guest_collect(struct walk *w)
{
	struct vmm_used used;
	int rc;

	while ((rc = vmm_ring_collect(w->ring, &used)) == 1) {
		struct buf *b = &w->bufs[used.cookie];

		CHECK(b->posted);
		buf_check(w, b, used.len);
		w->settled += !b->sent;
		w->collected++;
		b->posted = false;
		b->len = 0;
	}
	CHECK(rc == 0);
	CHECK_STR("guest", w->fault.text, "");
}

static void
guest_arm(struct walk *w)
{
	w->guest_sleeps = vmm_ring_arm(w->ring);
}

/* The device */

static struct buf *
buf_of(struct walk *w, const struct dev_chain *c)
{
	for (uint32_t i = 0; i < N_BUFS; i++)
		if (c->pieces[0].addr - w->bufs[i].gpa < BUF_BYTES)
			return &w->bufs[i];
	abort();
}

static void
frame_send(struct walk *w, const struct dev_chain *c, struct buf *b)
{
	uint8_t bytes[BUF_BYTES];

	CHECK(c->len == b->len && b->posted && !b->sent);
	dev_read(&w->d, c, bytes, c->len);
	for (uint32_t i = 0; i < c->len; i++)
		if (bytes[i] != byte_of(b->seq, i)) {
			CHECK(bytes[i] == byte_of(b->seq, i));
			break;
		}
	if (!w->conf->shuffled)
		CHECK(w->sent == 0 || b->seq > w->last_seq);
	w->last_seq = b->seq;
	w->sent++;
	b->sent = true;
}

static uint32_t
frame_receive(struct walk *w, const struct dev_chain *c, struct buf *b)
{
	uint8_t bytes[BUF_BYTES];

	b->len = choose(w, 4) == 0 ? c->len : HDR + choose(w, c->len - HDR + 1);
	if (b->len < b->scribbled)
		b->len = b->scribbled;
	b->seed = choose(w, 1u << 20);
	for (uint32_t i = 0; i < b->len; i++)
		bytes[i] = byte_of(b->seed, i);
	dev_write(&w->d, c, bytes, b->len);
	b->sent = true;
	w->sent++;
	return b->len;
}

static void
device_finish(struct walk *w)
{
	for (uint32_t n = choose(w, 8); n > 0 && w->d.n_held > 0; n--) {
		const uint16_t i = w->conf->shuffled ? (uint16_t)choose(w, w->d.n_held) : 0;
		const struct dev_chain *c = &w->d.held[i];
		struct buf *b = buf_of(w, c);
		uint32_t len;

		if (w->conf->tx) {
			frame_send(w, c, b);
			/* Some devices say how much they read. */
			len = choose(w, 4) == 0 ? c->len : 0;
		} else {
			len = frame_receive(w, c, b);
		}
		dev_finish(&w->d, i, len);
	}
}

static void
device_publish(struct walk *w)
{
	const bool any = w->d.used_idx != w->d.used_shown, call = dev_publish(&w->d);

	if (any && w->irq_wanted)
		CHECK(call);
	w->irq_wanted = w->irq_wanted && !any;
}

/* A device may begin to write what it does not complete. */
static void
device_scribble(struct walk *w)
{
	static const uint8_t bytes[300] = { 1, 2, 3 };
	const struct dev_chain *c;
	uint32_t len;

	if (w->conf->tx || w->d.n_held == 0)
		return;
	c = &w->d.held[choose(w, w->d.n_held)];
	len = c->len < sizeof(bytes) ? c->len : sizeof(bytes);
	dev_write(&w->d, c, bytes, len);
	buf_of(w, c)->scribbled = len;
}

static void
device_arm(struct walk *w)
{
	w->device_sleeps = choose(w, 2);
	if (w->device_sleeps)
		dev_arm(&w->d);
	else
		dev_disarm(&w->d);
}

/* The shadow ring between them */

static void
relay_submit(struct walk *w)
{
	struct shadow_stats before, after;
	bool doorbell = false;
	const bool discards = w->conf->tx && w->discards;
	uint32_t n, max = 1 + choose(w, 40);

	shadow_stats(w->s, &before);
	if (discards)
		w->discarded += n = shadow_discard(w->s, max);
	else
		n = shadow_submit(w->s, max, &doorbell);
	shadow_stats(w->s, &after);
	CHECK(n <= max);
	CHECK(after.in_flight == before.in_flight + n && after.in_flight <= w->d.size);
	w->dropped += (uint32_t)(after.dropped - before.dropped);
	if (n > after.dropped - before.dropped && !discards) {
		CHECK(!w->device_sleeps || doorbell);
		w->device_sleeps = false;
	} else {
		CHECK(!doorbell);
	}
}

static void
called(struct walk *w, uint32_t n, bool call)
{
	CHECK(n > 0 || !call);
	if (n > 0 && w->guest_sleeps)
		CHECK(call);
	w->guest_sleeps = w->guest_sleeps && n == 0;
}

static void
relay_complete(struct walk *w)
{
	bool call;
	const uint32_t n = shadow_complete(w->s, 1 + choose(w, 20), &call);

	called(w, n, call);
}

static void
relay_arm(struct walk *w)
{
	struct shadow_stats st;
	bool more;

	if (choose(w, 3) == 0) {
		shadow_disarm(w->s, SHADOW_GUEST | SHADOW_DEVICE);
		w->shadow_sleeps = w->irq_wanted = false;
		return;
	}
	more = shadow_arm(w->s, SHADOW_GUEST | SHADOW_DEVICE);
	shadow_stats(w->s, &st);
	w->irq_wanted = !more;
	/* With chains in flight the next one may find no room. */
	w->shadow_sleeps = !more && st.in_flight == 0;
}

static void
relay_stop(struct walk *w)
{
	const uint16_t sizes[] = { 1, 2, 4, 16, 64, 256, 1024 };
	struct shadow_stats st;
	bool call;
	uint32_t n;

	device_publish(w);
	n = shadow_stop(w->s, &w->pos, &call);
	called(w, n, call);
	guest_collect(w);
	CHECK(vmm_ring_check_base(w->ring, w->pos) == 0);
	shadow_stats(w->s, &st);
	CHECK(st.avail == w->pos && st.used == w->pos && st.in_flight == 0);
	CHECK(vmm_mem_check(w->mem) == 0);
	CHECK_STR("stop", w->fault.text, "");
	CHECK_STR("fault", shadow_fault_names[shadow_fault(w->s)], "none");
	CHECK_STR("bad", shadow_bad_names[shadow_bad(w->s)], "none");
	image_check(w);
	shadow_destroy(w->s);
	dev_fini(&w->d);
	shadow_begin(w, sizes[choose(w, sizeof(sizes) / sizeof(sizes[0]))]);
}

static void
step(struct walk *w)
{
	switch (choose(w, 24)) {
	case 0: guest_arm(w); break;
	case 1: vmm_ring_disarm(w->ring); w->guest_sleeps = false; break;
	case 2: device_arm(w); break;
	case 3: device_scribble(w); break;
	case 4: relay_arm(w); break;
	case 5: w->discards = choose(w, 4) == 0; break;
	case 6: if (choose(w, 6) == 0) log_turn(w); break;
	case 7: if (choose(w, 8) == 0) relay_stop(w); break;
	case 8: case 9: guest_collect(w); break;
	case 10: case 11: guest_kick(w); break;
	case 12: case 13: relay_submit(w); break;
	case 14: case 15: relay_complete(w); break;
	case 16: dev_take(&w->d, (uint16_t)(1 + choose(w, 30))); break;
	case 17: device_finish(w); break;
	case 18: device_publish(w); break;
	default: guest_post(w);
	}
}

/* All that is out comes back. */
static void
drain(struct walk *w)
{
	w->discards = false;
	guest_kick(w);
	for (uint32_t i = 0; i < 100000 && w->ring->n_out > 0; i++) {
		relay_submit(w);
		dev_take(&w->d, UINT16_MAX);
		device_finish(w);
		device_publish(w);
		relay_complete(w);
		guest_collect(w);
	}
	CHECK(w->ring->n_out == 0);
	CHECK(w->collected == w->posted);
	CHECK(w->sent + w->settled == w->posted);
	if (!w->conf->shuffled)
		CHECK(w->settled <= w->discarded + w->dropped);
}

void
walk_run(const struct walk_conf *conf, uint32_t seed)
{
	const unsigned int before = checks_failed;
	struct walk *w = calloc(1, sizeof(*w));

	if (w == NULL)
		abort();
	w->conf = conf;
	w->rng = seed;
	CHECK(begin(w));
	for (uint32_t i = 0; i < conf->steps && checks_failed == before; i++)
		step(w);
	if (checks_failed == before) {
		drain(w);
		relay_stop(w);
	}
	if (checks_failed != before)
		fprintf(stderr, "%s, %s: seed %u\n", conf->story, conf->tx ? "tx" : "rx", seed);
	shadow_destroy(w->s);
	dev_fini(&w->d);
	vmm_ring_destroy(w->ring);
	vmm_mem_destroy(w->mem);
	free(w);
}
