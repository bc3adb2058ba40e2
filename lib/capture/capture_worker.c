/* SPDX-License-Identifier: BSD-3-Clause */
#include "capture_impl.h"

#include <rte_cycles.h>

#include <string.h>

/* A frame in one piece, made at most once however many captures want it. */
struct piece {
	const uint8_t *data;
	uint32_t len;
};

const struct capture_view *
capture_view(const struct capture *c, uint16_t port)
{
	return port < CAPTURE_PORTS_MAX ? view_load(&c->views[port]) : NULL;
}

static void
count(_Atomic uint64_t *counter)
{
	atomic_store_explicit(counter,
			      atomic_load_explicit(counter, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

static struct piece
gather(const struct capture_view *v, uint32_t worker, const struct iovec *iov, uint32_t n_iov)
{
	uint8_t *scratch = &v->capture->scratches[worker * FRAME_MAX];
	uint32_t at = 0;

	if (n_iov == 1)
		return (struct piece){ .data = iov->iov_base, .len = iov->iov_len };
	for (uint32_t i = 0; i < n_iov && at < FRAME_MAX; i++) {
		const uint32_t n = RTE_MIN(iov[i].iov_len, FRAME_MAX - at);

		memcpy(&scratch[at], iov[i].iov_base, n);
		at += n;
	}
	return (struct piece){ .data = scratch, .len = at };
}

/* Half full is reason to wake the writer, who else looks by himself a few times a second.  Who
 * misses him just falling asleep wakes him with the next frame.
 */
static void
record_put(struct capture *c, const struct capture_tap *t, uint32_t worker, enum capture_dir dir,
	   const struct piece *frame, uint32_t len)
{
	struct capture_ring *ring = t->run->rings[worker];
	const uint32_t cap_len = RTE_MIN(frame->len, t->run->snaplen);
	struct capture_record *r = ring_reserve(ring, cap_len);

	if (r == NULL) {
		count(&t->iface->counts[worker].dropped);
		return;
	}
	r->len = len;
	r->dir = dir;
	r->tsc = rte_rdtsc();
	r->iface = t->iface;
	memcpy(r->data, frame->data, cap_len);
	if (ring_commit(ring) && atomic_exchange_explicit(&c->asleep, false, memory_order_relaxed))
		capture_bell(c);
}

static void
tap_offer(struct capture *c, const struct capture_tap *t, uint32_t worker,
	  enum capture_dir dir, const struct piece *frame, uint32_t len)
{
	struct capture_count *counts = &t->iface->counts[worker];
	const struct capture_run *run = t->run;

	count(&counts->offered);
	if (run->filtering &&
	    bpf_filter(run->program.bf_insns, frame->data, len, frame->len) == 0) {
		count(&counts->filtered);
		return;
	}
	record_put(c, t, worker, dir, frame, len);
}

void
capture_frame(const struct capture_view *v, uint32_t worker, enum capture_dir dir,
	      const struct iovec *iov, uint32_t n_iov, uint32_t len)
{
	struct piece frame;

	if (v == NULL)
		return;
	frame = gather(v, worker, iov, n_iov);
	for (uint32_t i = 0; i < v->n; i++) {
		const struct capture_tap *t = &v->taps[i];

		if ((t->run->dir & dir) != 0 && run_state(t->run) == RUN_ACTIVE)
			tap_offer(v->capture, t, worker, dir, &frame, len);
	}
}
