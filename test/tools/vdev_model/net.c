/* SPDX-License-Identifier: BSD-3-Clause */
#include "device.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define HDR_LEN   sizeof(struct virtio_net_hdr_v1)
#define MERGE_MAX 64

void
ring_failed(struct ring *r)
{
	device_fail(r->dev, "queue %u: %s", r->index, r->q.bad == NULL ? "?" : r->q.bad);
}

void
ring_give(struct ring *r, const struct given *g, unsigned int n)
{
	struct given wrong = g[0];
	int rc;

	if (fault_on(r->dev, FAULT_wrong_id)) {
		wrong.id = r->dev->faults.of[FAULT_wrong_id].arg == 0 ?
			   r->size + 3 : (uint16_t)((wrong.id + r->size / 2) % r->size);
		fault_once(r->dev, FAULT_wrong_id);
		g = &wrong;
		n = 1;
	}
	if (fault_once(r->dev, FAULT_wrong_index))
		r->q.used = (uint16_t)(r->q.packed ? (r->q.used + 1) % r->size :
						     r->q.used + r->size + 1);
	rc = queue_put(&r->q, g, n);
	if (rc < 0)
		ring_failed(r);
	else if (rc > 0)
		r->interrupt = true;
}

/* Transmit */

static unsigned int
net_queues(void *arg)
{
	struct device *d = arg;

	return device_running(d) ? d->pairs : 0;
}

static struct ring *
transmit_ring(struct device *d, unsigned int queue)
{
	return &d->rings[2 * queue + 1];
}

/* The next chain, or the one that was looked at and is not delivered yet. */
static int
transmit_take(struct ring *r)
{
	int rc = 1;

	if (!r->enabled || !r->kicked)
		return 0;
	if (!r->peeked) {
		r->before = queue_avail(&r->q);
		rc = queue_take(&r->q, &r->chain);
		if (rc == 0)
			rc = queue_arm(&r->q) > 0 ? queue_take(&r->q, &r->chain) : 0;
	}
	if (rc < 0 || r->q.bad != NULL)
		ring_failed(r);
	r->kicked = r->peeked = rc > 0;
	return rc;
}

static void
offload_check(struct device *d, const struct virtio_net_hdr_v1 *h)
{
	uint8_t gso = h->gso_type & ~VIRTIO_NET_HDR_GSO_ECN;

	if ((h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0 && !device_has(d, VIRTIO_NET_F_CSUM))
		device_violation(d, "NEEDS_CSUM without CSUM");
	if ((gso == VIRTIO_NET_HDR_GSO_TCPV4 && !device_has(d, VIRTIO_NET_F_HOST_TSO4)) ||
	    (gso == VIRTIO_NET_HDR_GSO_TCPV6 && !device_has(d, VIRTIO_NET_F_HOST_TSO6)))
		device_violation(d, "segments that were not negotiated: gso_type %u", h->gso_type);
}

static int
net_peek(void *arg, unsigned int queue, struct frame *f)
{
	struct device *d = arg;
	struct ring *r = transmit_ring(d, queue);
	int n;

	if (transmit_take(r) <= 0)
		return 0;
	queue_disarm(&r->q);
	if (r->chain.readable < HDR_LEN || r->chain.readable > HDR_LEN + WIRE_FRAME_MAX) {
		device_fail(d, "queue %u: a frame of %u bytes", r->index, r->chain.readable);
		return 0;
	}
	n = chain_read(&r->q, &r->chain, 0, &f->hdr, HDR_LEN);
	if (n == (int)HDR_LEN)
		n = chain_read(&r->q, &r->chain, HDR_LEN, f->bytes, WIRE_FRAME_MAX);
	if (n < 0) {
		ring_failed(r);
		return 0;
	}
	f->len = (uint32_t)n;
	offload_check(d, &f->hdr);
	return 1;
}

static void
net_done(void *arg, unsigned int queue)
{
	struct device *d = arg;
	struct ring *r = transmit_ring(d, queue);
	struct given g = { .id = r->chain.id, .n_slots = r->chain.n_slots };

	r->peeked = false;
	ring_give(r, &g, 1);
}

/* Receive */

static bool
mac_known(const struct filter *f, const uint8_t *mac)
{
	for (unsigned int i = 0; i < f->n_macs; i++) {
		if (memcmp(f->macs[i], mac, 6) == 0)
			return true;
	}
	return false;
}

static bool
filter_passes(const struct device *d, const uint8_t *dst)
{
	const struct filter *f = &d->filter;
	static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	if (f->promisc)
		return true;
	if (memcmp(dst, broadcast, 6) == 0)
		return !f->nobcast;
	if ((dst[0] & 1) != 0)
		return !f->nomulti && (f->allmulti || mac_known(f, dst));
	return !f->nouni && (f->alluni || memcmp(dst, d->mac, 6) == 0 || mac_known(f, dst));
}

static void
checksum_complete(struct frame *f)
{
	uint32_t at = f->hdr.csum_start, to = at + f->hdr.csum_offset, sum = 0;
	uint16_t word;

	if (at >= f->len || to + 2 > f->len)
		return;
	for (uint32_t i = at; i + 1 < f->len; i += 2) {
		memcpy(&word, f->bytes + i, sizeof(word));
		sum += word;
	}
	if ((f->len - at) % 2 != 0)
		sum += f->bytes[f->len - 1];    /* the low byte: numbers here are little-endian */
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	word = (uint16_t)~sum;
	word = word == 0 ? 0xffff : word;
	memcpy(f->bytes + to, &word, sizeof(word));
}

static bool
segments_taken(const struct device *d, uint8_t gso_type)
{
	switch (gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_NONE:
		return true;
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return device_has(d, VIRTIO_NET_F_GUEST_TSO4);
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return device_has(d, VIRTIO_NET_F_GUEST_TSO6);
	default:
		return false;
	}
}

/* The header that this driver gets; false: it cannot take the frame at all. */
static bool
header_for(struct device *d, const struct frame *f, struct frame *own, const struct frame **out)
{
	*out = f;
	if (!segments_taken(d, f->hdr.gso_type)) {
		d->stats.dropped_no_offload++;
		return false;
	}
	if ((f->hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) == 0 ||
	    device_has(d, VIRTIO_NET_F_GUEST_CSUM))
		return true;
	memcpy(own, f, offsetof(struct frame, bytes) + f->len);
	checksum_complete(own);
	own->hdr = (struct virtio_net_hdr_v1){ 0 };
	*out = own;
	return true;
}

/* Fills chains until all of the frame has room; none is given back unless all are. */
static int
scatter(struct ring *r, const struct frame *f, struct given *given)
{
	static struct chain rest;
	bool merge = device_has(r->dev, VIRTIO_NET_F_MRG_RXBUF);
	struct virtio_net_hdr_v1 hdr = f->hdr;
	uint32_t done = 0, skip = HDR_LEN;
	unsigned int n;

	for (n = 0; done < f->len && n < (merge ? MERGE_MAX : 1); n++, skip = 0) {
		struct chain *c = n == 0 ? &r->chain : &rest;
		int rc = queue_take(&r->q, c);

		if (rc <= 0)
			return rc < 0 ? rc : -EAGAIN;
		if (c->n_read > 0) {
			r->q.bad = "direction";
			return -EBADMSG;
		}
		if (c->writable <= skip)
			return -EMSGSIZE;
		rc = chain_write(&r->q, c, skip, f->bytes + done, f->len - done);
		if (rc < 0)
			return rc;
		done += (uint32_t)rc;
		given[n] = (struct given){ c->id, c->n_slots, skip + (uint32_t)rc };
	}
	if (done < f->len)
		return -EMSGSIZE;
	hdr.num_buffers = (uint16_t)n;
	hdr.flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM;
	return chain_write(&r->q, &r->chain, 0, &hdr, HDR_LEN) < 0 ? -EBADMSG : (int)n;
}

/* Returns 0: taken or dropped; -EINTR: buffers came this moment; -EAGAIN; -ENODEV. */
static int
receive(struct ring *r, const struct frame *f)
{
	struct given given[MERGE_MAX];
	uint16_t before = queue_avail(&r->q);
	int n = scatter(r, f, given);

	if (n > 0) {
		queue_disarm(&r->q);
		ring_give(r, given, (unsigned int)n);
		r->dev->stats.frames_received++;
		return 0;
	}
	/* The notification is for the buffer that is missing, not for the first of them. */
	if (n == -EAGAIN)
		n = queue_arm(&r->q) > 0 ? -EINTR : -EAGAIN;
	queue_back(&r->q, before);
	if (n == -EMSGSIZE) {
		r->dev->stats.dropped_too_long++;
		return 0;
	}
	if (r->q.bad == NULL)
		return n;
	ring_failed(r);
	return -ENODEV;
}

static int
net_deliver(void *arg, const struct frame *f)
{
	static struct frame own;
	struct device *d = arg;
	struct ring *r;
	int rc;

	if (!device_running(d))
		return -ENODEV;
	r = &d->rings[2 * (wire_flow_hash(f) % d->pairs)];
	if (!filter_passes(d, f->bytes)) {
		d->stats.filtered++;
		return 0;
	}
	if (!r->enabled) {
		d->stats.dropped_queue_off++;
		return 0;
	}
	if (!header_for(d, f, &own, &f))
		return 0;
	do {
		rc = receive(r, f);
	} while (rc == -EINTR);
	return rc;
}

static void
net_flush(void *arg)
{
	struct device *d = arg;

	for (unsigned int i = 0; i < d->n_rings; i++) {
		if (!d->rings[i].interrupt)
			continue;
		d->rings[i].interrupt = false;
		d->isr |= 1;
		device_interrupt(d, d->rings[i].vector);
	}
}

const struct member_ops net_ops = {
	.queues = net_queues,
	.peek = net_peek,
	.done = net_done,
	.deliver = net_deliver,
	.flush = net_flush,
};
