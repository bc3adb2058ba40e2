/* SPDX-License-Identifier: BSD-3-Clause */
#include "guest_inner.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm_rng.h"

/* An edge buffer has its pages for itself: what else is in the second one would hide its byte. */
static uint64_t
buf_alloc(struct vmm_guest *g, uint32_t buf_len, uint32_t edge)
{
	uint64_t gpa;

	if (edge == 0)
		return vmm_mem_alloc(g->mem, buf_len, g->conf.segs > 1 ? 1 : 64);
	gpa = vmm_mem_alloc(g->mem, (2 * VMM_PAGE + buf_len) / VMM_PAGE * VMM_PAGE, VMM_PAGE);
	return gpa == VMM_GPA_NONE ? gpa : gpa + VMM_PAGE + 1 - edge;
}

int
queue_fill(struct vmm_guest *g, struct vmm_queue *q, uint32_t buf_len, uint32_t edge)
{
	q->buf_len = buf_len;
	q->bufs = calloc(q->n_bufs, sizeof(*q->bufs));
	q->free = calloc(q->n_bufs, sizeof(*q->free));
	if (q->bufs == NULL || q->free == NULL)
		return -ENOMEM;
	for (uint16_t i = 0; i < q->n_bufs; i++) {
		q->bufs[i].gpa = buf_alloc(g, buf_len, edge);
		if (q->bufs[i].gpa == VMM_GPA_NONE)
			return -ENOMEM;
	}
	queue_forget(q);
	return 0;
}

void
queue_forget(struct vmm_queue *q)
{
	for (q->n_free = 0; q->n_free < q->n_bufs; q->n_free++)
		q->free[q->n_free] = q->n_bufs - 1 - q->n_free;
}

/*
 * Cuts `len` bytes of a buffer into pieces.  The pieces lie in the buffer from its end to its
 * beginning, so that a device which runs on from one into the next is caught.
 */
static void
buf_cut(struct vmm_guest *g, struct vmm_buf *b, uint32_t len, bool write)
{
	uint32_t left = len, first = g->conf.split_header ? 1 : g->hdr_len;
	uint16_t n = (uint16_t)(1 + vmm_rng(&g->rng, g->conf.segs));

	b->len = len;
	b->n_segs = 0;
	while (left > 0) {
		uint32_t min = b->n_segs == 0 ? first : 1;
		uint32_t piece = left;

		if (b->n_segs + 1 < n && left > min)
			piece = min + vmm_rng(&g->rng, 2 * (left - min) / n + 1);
		if (piece > left)
			piece = left;
		left -= piece;
		b->segs[b->n_segs++] = (struct vmm_seg){ .gpa = b->gpa + left, .len = piece,
							 .write = write };
	}
}

/* A device that knows neither VERSION_1 nor ANY_LAYOUT wants the header alone: clause 5.1.6.6. */
static void
header_alone(const struct vmm_guest *g, struct vmm_buf *b)
{
	struct vmm_seg *s = &b->segs[0];

	if (guest_has(g, VIRTIO_F_VERSION_1) || guest_has(g, VIRTIO_F_ANY_LAYOUT) ||
	    s->len <= g->hdr_len || b->n_segs == VMM_SEGS_MAX)
		return;
	memmove(s + 1, s, b->n_segs * sizeof(*s));
	b->n_segs++;
	s[0].gpa += s[0].len - g->hdr_len;
	s[0].len = g->hdr_len;
	s[1].len -= g->hdr_len;
}

/* Copies between a linear buffer and `len` bytes of the pieces from `skip` on. */
static void
buf_copy(struct vmm_guest *g, const struct vmm_buf *b, uint32_t skip, uint8_t *bytes, uint32_t len,
	 bool in)
{
	for (uint16_t i = 0; i < b->n_segs && len > 0; i++) {
		const struct vmm_seg *s = &b->segs[i];
		uint32_t n = s->len > skip ? s->len - skip : 0;

		if (n > len)
			n = len;
		if (n > 0 && in)
			vmm_mem_write(g->mem, s->gpa + skip, bytes, n);
		else if (n > 0)
			memcpy(bytes, vmm_mem_host(g->mem, s->gpa + skip, n), n);
		skip -= skip < s->len ? skip : s->len;
		bytes += n;
		len -= n;
	}
}

static int
buf_post(struct vmm_guest *g, struct vmm_queue *q, uint16_t i)
{
	const struct vmm_buf *b = &q->bufs[i];
	bool indirect = q->ring->conf.table_len > 0 && b->n_segs > 1;

	/* Some chains stay direct although indirect ones are allowed: both are to be mixed. */
	if (indirect && b->n_segs <= q->ring->conf.size / 4 && vmm_rng(&g->rng, 4) == 0)
		indirect = false;
	return vmm_ring_post(q->ring, b->segs, b->n_segs, indirect, i);
}

/* Bytes that were never there before, so that no write hides behind equal ones. */
static void
buf_pattern(struct vmm_guest *g, const struct vmm_queue *q, const struct vmm_buf *b)
{
	uint8_t bytes[VMM_FRAME_MAX + 64];

	for (uint32_t i = 0; i < q->buf_len; i++)
		bytes[i] = (uint8_t)vmm_rng(&g->rng, 256);
	vmm_mem_write(g->mem, b->gpa, bytes, q->buf_len);
}

int
queue_refill(struct vmm_guest *g, struct vmm_queue *q)
{
	while (q->n_free > 0) {
		uint16_t i = q->free[q->n_free - 1];
		int rc;

		if (g->conf.pattern)
			buf_pattern(g, q, &q->bufs[i]);
		buf_cut(g, &q->bufs[i], q->buf_len, true);
		header_alone(g, &q->bufs[i]);
		rc = buf_post(g, q, i);
		if (rc == -ENOSPC)
			return 0;
		if (rc < 0)
			return rc;
		q->n_free--;
	}
	return 0;
}

/* Sending */

static int
queue_reclaim(struct vmm_queue *q)
{
	struct vmm_used used;
	int n = 0, rc;

	while ((rc = vmm_ring_collect(q->ring, &used)) > 0) {
		q->free[q->n_free++] = (uint16_t)used.cookie;
		n++;
	}
	return rc < 0 ? rc : n;
}

int
vmm_guest_reclaim(struct vmm_guest *g)
{
	int n = 0;

	for (unsigned int i = 1; i < g->n_queues; i += 2) {
		int rc = queue_reclaim(&g->queues[i]);

		if (rc < 0)
			return rc;
		n += rc;
	}
	return n;
}

unsigned int
vmm_guest_unsent(const struct vmm_guest *g)
{
	unsigned int n = 0;

	for (unsigned int i = 1; i < g->n_queues; i += 2)
		n += g->queues[i].ring->n_out;
	return n;
}

int
vmm_guest_send(struct vmm_guest *g, unsigned int pair, const void *frame, uint32_t len,
	       const vmm_net_hdr *hdr)
{
	struct vmm_queue *q = &g->queues[pair * 2 + 1];
	vmm_net_hdr zero = { 0 };
	struct vmm_buf *b;
	uint16_t i;
	int rc;

	if (len > q->buf_len - g->hdr_len)
		return -EMSGSIZE;
	if (q->n_free == 0) {
		rc = queue_reclaim(q);
		if (rc <= 0)
			return rc < 0 ? rc : -EAGAIN;
	}
	i = q->free[q->n_free - 1];
	b = &q->bufs[i];
	buf_cut(g, b, g->hdr_len + len, false);
	header_alone(g, b);
	buf_copy(g, b, 0, (uint8_t *)(uintptr_t)(hdr != NULL ? hdr : &zero), g->hdr_len, true);
	buf_copy(g, b, g->hdr_len, (uint8_t *)(uintptr_t)frame, len, true);
	rc = buf_post(g, q, i);
	if (rc < 0)
		return rc == -ENOSPC ? -EAGAIN : rc;
	q->n_free--;
	return 0;
}

/* Waits until everything that was sent is taken. */
static int
unsent_wait(struct vmm_guest *g)
{
	int rc = vmm_guest_flush(g);

	while (rc >= 0 && vmm_guest_unsent(g) > 0) {
		rc = vmm_guest_reclaim(g);
		if (rc == 0) {
			rc = vmm_guest_wait(&g, 1, g->conf.deadline_ms);
			rc = rc == 0 ? -ETIMEDOUT : rc;
		}
	}
	return rc < 0 ? rc : 0;
}

int
vmm_guest_announce(struct vmm_guest *g)
{
	struct vmm_frame f = { .len = 60, .raw = true };
	uint8_t bytes[60];
	int rc;

	memset(f.dst, 0xff, 6);
	memcpy(f.src, g->mac, 6);
	vmm_frame_build(bytes, &f);
	rc = vmm_guest_send(g, 0, bytes, f.len, NULL);
	/* A guest that was stopped may have filled its ring meanwhile. */
	if (rc == -EAGAIN) {
		rc = unsent_wait(g);
		if (rc == 0)
			rc = vmm_guest_send(g, 0, bytes, f.len, NULL);
	}
	return rc < 0 ? rc : unsent_wait(g);
}

/* Receiving */

/* What the next used buffer holds.  Returns 1, 0 or -EPROTO. */
static int
recv_buf(struct vmm_queue *q, struct vmm_buf **b, uint32_t *len)
{
	struct vmm_used used;
	int rc = vmm_ring_collect(q->ring, &used);

	if (rc <= 0)
		return rc;
	*b = &q->bufs[used.cookie];
	*len = used.len;
	q->free[q->n_free++] = (uint16_t)used.cookie;
	return 1;
}

/* How many buffers the frame that starts in `b` takes. */
static int
recv_header(struct vmm_guest *g, struct vmm_queue *q, const struct vmm_buf *b, uint32_t len,
	    vmm_net_hdr *hdr)
{
	memset(hdr, 0, sizeof(*hdr));
	if (len < g->hdr_len)
		return vmm_fault_set(g->fault, "%s: %u bytes are less than a header", q->ring->name,
				     len);
	buf_copy(g, b, 0, (uint8_t *)hdr, g->hdr_len, false);
	if (guest_has(g, VIRTIO_NET_F_MRG_RXBUF)) {
		if (hdr->num_buffers == 0 || hdr->num_buffers > q->n_bufs)
			return vmm_fault_set(g->fault, "%s: num_buffers is %u", q->ring->name,
					     hdr->num_buffers);
		return hdr->num_buffers;
	}
	/* Clause 5.1.6.4.1 again. */
	if (guest_has(g, VIRTIO_F_VERSION_1) && !g->conf.lenient && hdr->num_buffers != 1)
		return vmm_fault_set(g->fault, "%s: num_buffers is %u, must be 1", q->ring->name,
				     hdr->num_buffers);
	return 1;
}

static int
recv_rest(struct vmm_guest *g, struct vmm_queue *q, int n, uint8_t *frame, uint32_t size,
	  uint32_t at)
{
	struct vmm_buf *b;
	uint32_t len;

	for (int i = 1; i < n; i++) {
		int rc = recv_buf(q, &b, &len);

		/* 5.1.6.4.1: buffers of a packet are used together, all but the last full. */
		if (rc == 0)
			return vmm_fault_set(g->fault, "%s: buffer %d of %d is not used yet",
					     q->ring->name, i + 1, n);
		if (rc < 0)
			return rc;
		if (i + 1 < n && len != b->len)
			return vmm_fault_set(g->fault, "%s: buffer %d of %d holds %u of %u bytes",
					     q->ring->name, i + 1, n, len, b->len);
		if (len > size - at)
			return vmm_fault_set(g->fault, "%s: frame of more than %u bytes",
					     q->ring->name, size);
		buf_copy(g, b, 0, frame + at, len, false);
		at += len;
	}
	return (int)at;
}

int
vmm_guest_recv(struct vmm_guest *g, unsigned int pair, void *frame, uint32_t size, vmm_net_hdr *hdr)
{
	struct vmm_queue *q = &g->queues[pair * 2];
	vmm_net_hdr own;
	struct vmm_buf *b;
	uint32_t len;
	int rc = recv_buf(q, &b, &len), n;

	if (rc <= 0)
		return rc;
	n = recv_header(g, q, b, len, hdr != NULL ? hdr : &own);
	if (n < 0)
		return n;
	if (n > 1 && len != b->len)
		return vmm_fault_set(g->fault, "%s: buffer 1 of %d holds %u of %u bytes",
				     q->ring->name, n, len, b->len);
	len -= g->hdr_len;
	if (len > size)
		return vmm_fault_set(g->fault, "%s: frame of more than %u bytes", q->ring->name,
				     size);
	buf_copy(g, b, g->hdr_len, frame, len, false);
	rc = recv_rest(g, q, n, frame, size, len);
	if (rc < 0)
		return rc;
	n = queue_refill(g, q);
	return n < 0 ? n : rc;
}

/* Notifications */

int
vmm_guest_flush(struct vmm_guest *g)
{
	for (unsigned int i = 0; i < g->n_queues; i++) {
		int rc = vmm_ring_kick(g->queues[i].ring);

		if (rc < 0)
			return rc;
	}
	return 0;
}

static bool
guest_arm(struct vmm_guest *g, struct pollfd *polls)
{
	bool idle = true;

	for (unsigned int i = 0; i < g->n_queues; i++) {
		struct vmm_ring *r = g->queues[i].ring;

		polls[i] = (struct pollfd){ .fd = r->callfd, .events = POLLIN };
		idle &= vmm_ring_arm(r);
	}
	return idle;
}

static void
guest_disarm(struct vmm_guest *g, const struct pollfd *polls)
{
	uint64_t count;

	for (unsigned int i = 0; i < g->n_queues; i++) {
		vmm_ring_disarm(g->queues[i].ring);
		if (read(polls[i].fd, &count, sizeof(count)) == sizeof(count)) {
			g->queues[i].ring->stats.calls += count;
			g->interrupts++;
		}
	}
}

/* A used chain may have come between the deadline and now: its interrupt gets this long. */
#define INTERRUPT_LATE_MS 500

static int
interrupts_check(struct vmm_guest *g, const struct pollfd *polls)
{
	for (unsigned int i = 0; i < g->n_queues; i++) {
		struct pollfd p = polls[i];

		if (g->started && vmm_ring_used(g->queues[i].ring) &&
		    poll(&p, 1, INTERRUPT_LATE_MS) == 0)
			return vmm_fault_set(g->fault, "%s: used, armed, and no interrupt",
					     g->queues[i].ring->name);
	}
	return 0;
}

int
vmm_guest_wait(struct vmm_guest *const *guests, unsigned int n, uint32_t timeout_ms)
{
	struct pollfd polls[VMM_PAIRS_MAX * 2 * 4];
	unsigned int n_polls = 0, at = 0;
	bool idle = true;
	int ready;

	for (unsigned int k = 0; k < n; k++) {
		if (n_polls + guests[k]->n_queues > sizeof(polls) / sizeof(polls[0]))
			return -E2BIG;
		idle &= guest_arm(guests[k], &polls[n_polls]);
		n_polls += guests[k]->n_queues;
	}
	ready = idle ? poll(polls, n_polls, (int)timeout_ms) : 1;
	for (unsigned int k = 0; k < n; at += guests[k]->n_queues, k++) {
		if (ready == 0 && interrupts_check(guests[k], &polls[at]) < 0)
			return -EPROTO;
		guest_disarm(guests[k], &polls[at]);
	}
	return ready > 0 ? 1 : 0;
}
