/* SPDX-License-Identifier: BSD-3-Clause */
/* Logging as a guest's front-end switches it, and what lies where in the guest's memory. */
#include "guest_inner.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/virtio_ring.h>
#include <stdio.h>

int
guest_features_send(struct vmm_guest *g)
{
	uint64_t features = g->front->features;

	if (g->logging)
		features |= 1ULL << VMM_F_LOG_ALL;
	return vmm_front_send_u64(g->front, VMM_SET_FEATURES, features);
}

int
guest_log_send(struct vmm_guest *g, const struct vmm_log *log)
{
	return vmm_front_send_log(g->front, log->fd, log->n_words * sizeof(uint64_t), 0);
}

static int
addrs_send(struct vmm_guest *g, unsigned int from, unsigned int to)
{
	int rc = 0;

	for (unsigned int i = from; i < to && rc == 0; i++)
		rc = vmm_guest_addr_send(g, i);
	return rc;
}

/* Pair by pair: for QEMU each is a device of its own. */
static int
pairs_switch(struct vmm_guest *g, const struct vmm_log *log)
{
	int rc = 0;

	for (unsigned int i = 0; i < g->n_queues && rc == 0; i += 2) {
		if (log != NULL)
			rc = guest_log_send(g, log);
		if (rc == 0)
			rc = guest_features_send(g);
		if (rc == 0)
			rc = addrs_send(g, i, i + 2);
	}
	return rc;
}

int
vmm_guest_log_on(struct vmm_guest *g, struct vmm_log *log, bool once)
{
	int rc;

	if ((g->front->offered >> VMM_F_LOG_ALL & 1) == 0 ||
	    (g->front->protocol & VMM_PROTO_LOG_SHMFD) == 0) {
		vmm_fault_set(g->fault, "backend cannot log: features 0x%" PRIx64 ", protocol"
			      " features 0x%" PRIx64, g->front->offered, g->front->protocol);
		return -ENOTSUP;
	}
	g->logging = true;
	g->log = log;
	if (!once)
		return pairs_switch(g, log);
	rc = guest_log_send(g, log);
	if (rc == 0)
		rc = addrs_send(g, 0, g->n_queues);
	return rc < 0 ? rc : guest_features_send(g);
}

int
vmm_guest_log_off(struct vmm_guest *g)
{
	g->logging = false;
	return pairs_switch(g, NULL);
}

int
vmm_guest_log_change(struct vmm_guest *g, struct vmm_log *log, bool once)
{
	int rc = 0;

	g->log = log;
	for (unsigned int i = 0; i < (once ? 1 : g->conf.pairs) && rc == 0; i++)
		rc = guest_log_send(g, log);
	return rc;
}

/* What lies where */

static bool
used_where(const struct vmm_ring *r, uint64_t at, char *text, size_t size)
{
	if (r->conf.packed)
		snprintf(text, size, "%s: device event area, byte %" PRIu64, r->name, at);
	else if (at < 4)
		snprintf(text, size, "%s: used ring, %s", r->name, at < 2 ? "flags" : "index");
	else if (at >= r->addr.used_size - 2)
		snprintf(text, size, "%s: used ring, avail_event", r->name);
	else
		snprintf(text, size, "%s: used ring, element %" PRIu64 " of %u, byte %" PRIu64,
			 r->name, (at - 4) / 8, r->conf.size, (at - 4) % 8);
	return true;
}

static bool
ring_where(const struct vmm_ring *r, uint64_t gpa, char *text, size_t size)
{
	const struct vmm_ring_addr *a = &r->addr;
	uint64_t tables = (uint64_t)r->conf.size * r->conf.table_len * 16;

	if (gpa - a->used < a->used_size)
		return used_where(r, gpa - a->used, text, size);
	if (gpa - a->desc < a->desc_size)
		snprintf(text, size, "%s: descriptor %" PRIu64 " of %u, byte %" PRIu64, r->name,
			 (gpa - a->desc) / 16, r->conf.size, (gpa - a->desc) % 16);
	else if (gpa - a->avail < a->avail_size)
		snprintf(text, size, "%s: driver's area, byte %" PRIu64, r->name, gpa - a->avail);
	else if (r->n_tables + r->n_out > 0 && gpa - r->tables < tables)
		snprintf(text, size, "%s: indirect tables, byte %" PRIu64, r->name,
			 gpa - r->tables);
	else
		return false;
	return true;
}

static bool
queue_where(const struct vmm_queue *q, uint64_t gpa, char *text, size_t size)
{
	for (uint16_t i = 0; i < q->n_bufs; i++) {
		const struct vmm_buf *b = &q->bufs[i];

		if (gpa - b->gpa >= q->buf_len)
			continue;
		snprintf(text, size, "%s: buffer %u, byte %" PRIu64 " of %u in %u pieces",
			 q->ring->name, i, gpa - b->gpa, q->buf_len, b->n_segs);
		return true;
	}
	return ring_where(q->ring, gpa, text, size);
}

void
vmm_guest_where(const struct vmm_guest *g, uint64_t gpa, char *text, size_t size)
{
	for (unsigned int i = 0; i < g->n_queues; i++)
		if (queue_where(&g->queues[i], gpa, text, size))
			return;
	snprintf(text, size, "nothing of the driver's");
}
