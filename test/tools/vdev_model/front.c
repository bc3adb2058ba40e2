/* SPDX-License-Identifier: BSD-3-Clause */
#include "front.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RING_SIZE  4096
#define RETRY_US   100000
#define TICKET_RX  (UINT64_C(1) << 63)

/* Connection */

static void
calls_forget(struct front *f)
{
	for (unsigned int i = 0; i < f->g->n_queues; i++)
		loop_forget(&f->calls[i]);
	loop_forget(&f->socket);
}

static void
cut(struct front *f, const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", f->conf.path, what, f->fault.text);
	calls_forget(f);
	vmm_guest_disconnect(f->g);
	f->fault.text[0] = '\0';
	f->connected = f->full = false;
	f->retry_at = loop_now_us() + RETRY_US;
}

static void
socket_ready(void *arg)
{
	struct front *f = arg;

	if (vmm_front_closed(f->g->front))
		cut(f, "closed by the switch");
}

static void
call_ready(void *arg)
{
	const struct vmm_ring *r = arg;
	uint64_t n;

	if (read(r->callfd, &n, sizeof(n)) < 0 && errno != EAGAIN)
		fprintf(stderr, "%s: %s\n", r->name, strerror(errno));
}

static int
calls_watch(struct front *f)
{
	int rc = loop_watch(&f->socket, f->g->front->fd, socket_ready, f);

	for (unsigned int i = 0; i < f->g->n_queues && rc == 0; i++) {
		struct vmm_ring *r = f->g->queues[i].ring;

		rc = loop_watch(&f->calls[i], r->callfd, call_ready, r);
	}
	return rc;
}

static void
connect_now(struct front *f)
{
	int rc = vmm_guest_open(f->g);

	if (rc == 0)
		rc = calls_watch(f);
	if (rc == 0) {
		f->connected = true;
		f->stats.starts++;
		wire_started(&f->member, NULL);
		return;
	}
	calls_forget(f);
	vmm_front_disconnect(f->g->front);
	f->fault.text[0] = '\0';
	f->retry_at = loop_now_us() + RETRY_US;
}

void
front_poll(struct front *f)
{
	if (f->connected)
		return;
	if (loop_now_us() >= f->retry_at)
		connect_now(f);
	if (!f->connected)
		loop_at(f->retry_at);
}

/* From the switch to the wire */

static int
keep(struct front *f, unsigned int queue, const struct frame *frame)
{
	struct kept *k = malloc(sizeof(*k) + frame->len);

	if (k == NULL)
		return -ENOMEM;
	k->next = NULL;
	k->hdr = frame->hdr;
	k->len = frame->len;
	memcpy(k->bytes, frame->bytes, frame->len);
	*f->last[queue] = k;
	f->last[queue] = &k->next;
	f->n_kept++;
	f->taken++;
	return 0;
}

/* Takes all that the switch has put into a ring. */
static void
take(struct front *f, unsigned int queue)
{
	static struct frame frame;
	int len = 0;

	while (f->n_kept < FRONT_KEPT_MAX) {
		len = vmm_guest_recv(f->g, queue, frame.bytes, sizeof(frame.bytes), &frame.hdr);
		if (len <= 0)
			break;
		frame.len = (uint32_t)len;
		frame.hdr.num_buffers = 0;
		if (keep(f, queue, &frame) < 0)
			f->stats.dropped_no_buffer++;
	}
	if (len < 0)
		cut(f, "what came");
}

static unsigned int
front_queues(void *arg)
{
	struct front *f = arg;

	for (unsigned int i = 0; i < f->conf.pairs && f->connected; i++)
		take(f, i);
	return f->conf.pairs;
}

static int
front_peek(void *arg, unsigned int queue, struct frame *frame)
{
	const struct front *f = arg;
	const struct kept *k = f->first[queue];

	if (k == NULL)
		return 0;
	frame->hdr = k->hdr;
	frame->len = k->len;
	memcpy(frame->bytes, k->bytes, k->len);
	return 1;
}

static void
front_done(void *arg, unsigned int queue)
{
	struct front *f = arg;
	struct kept *k = f->first[queue];

	f->first[queue] = k->next;
	if (k->next == NULL)
		f->last[queue] = &f->first[queue];
	free(k);
	f->n_kept--;
	f->forwarded++;
}

/* From the wire to the switch */

static int
front_deliver(void *arg, const struct frame *frame)
{
	struct front *f = arg;
	unsigned int pair = wire_flow_hash(frame) % f->conf.pairs;
	struct virtio_net_hdr_v1 hdr = frame->hdr;
	int rc;

	if (!f->connected)
		return -ENODEV;
	hdr.num_buffers = 0;
	rc = vmm_guest_reclaim(f->g);
	if (rc >= 0)
		rc = vmm_guest_send(f->g, pair, frame->bytes, frame->len, &hdr);
	if (rc == 0) {
		f->sent++;
		f->stats.frames_received++;
	} else if (rc == -EAGAIN) {
		f->full = true;
		return -EAGAIN;
	} else if (rc == -EMSGSIZE) {
		f->stats.dropped_too_long++;
	} else {
		cut(f, "what goes");
		return -ENODEV;
	}
	return 0;
}

/* Asks for interrupts; what came in between is looked at at once. */
static void
arm(struct front *f)
{
	for (unsigned int i = 0; i < f->g->n_queues; i++) {
		if ((i % 2 == 0 || f->full) && !vmm_ring_arm(f->g->queues[i].ring) &&
		    f->n_kept < FRONT_KEPT_MAX)
			loop_at(loop_now_us());
	}
	f->full = false;
}

static void
front_flush(void *arg)
{
	struct front *f = arg;

	if (!f->connected)
		return;
	if (vmm_guest_flush(f->g) < 0 || vmm_guest_reclaim(f->g) < 0)
		cut(f, "the rings");
	else
		arm(f);
}

/* The switch has read what it was sent until the first call, and what came back of it is gone. */
static uint64_t
front_drained(void *arg, uint64_t ticket)
{
	struct front *f = arg;

	if (!f->connected)
		return 0;
	if (ticket == 0)
		ticket = f->sent;
	if ((ticket & TICKET_RX) == 0) {
		if (vmm_guest_flush(f->g) < 0 || vmm_guest_reclaim(f->g) < 0)
			return 0;
		if (f->sent - vmm_guest_unsent(f->g) < ticket) {
			f->full = true;
			return ticket;
		}
		front_queues(f);
		ticket = TICKET_RX | f->taken;
	}
	return (TICKET_RX | f->forwarded) >= ticket ? 0 : ticket;
}

static const struct member_ops front_ops = {
	.queues = front_queues,
	.peek = front_peek,
	.done = front_done,
	.deliver = front_deliver,
	.flush = front_flush,
	.drained = front_drained,
};

/* Life */

int
front_init(struct front *f, const struct front_conf *conf)
{
	struct vmm_guest_conf guest;
	int rc;

	memset(f, 0, sizeof(*f));
	f->conf = *conf;
	f->socket.fd = -1;
	for (unsigned int i = 0; i < 2 * FRONT_PAIRS_MAX; i++)
		f->calls[i].fd = -1;
	for (unsigned int i = 0; i < FRONT_PAIRS_MAX; i++)
		f->last[i] = &f->first[i];
	vmm_guest_conf_init(&guest);
	guest.path = f->conf.path;
	guest.pairs = conf->pairs;
	guest.size = RING_SIZE;
	guest.n_bufs = RING_SIZE;
	guest.tx_buf = WIRE_FRAME_MAX + sizeof(vmm_net_hdr);
	guest.indirect = false;
	guest.offload = true;
	guest.lenient = true;
	guest.mac_id = 0xf0;
	guest.deadline_ms = 1000;
	rc = vmm_guest_create(&f->g, &guest, &f->fault);
	if (rc == 0)
		f->g->front->impatient = true;
	return rc < 0 ? rc : wire_add(&f->member, &front_ops, f, &f->stats);
}

void
front_fini(struct front *f)
{
	if (f->g == NULL)
		return;
	calls_forget(f);
	vmm_guest_destroy(f->g);
	for (unsigned int i = 0; i < FRONT_PAIRS_MAX; i++) {
		while (f->first[i] != NULL)
			front_done(f, i);
	}
}
