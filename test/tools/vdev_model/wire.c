/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <stddef.h>
#include <string.h>

#include "loop.h"

#define BURST       32
#define SETTLE_US   20000
#define ADDRS_MAX   4096        /* a power of two */
#define PROBES      16

/* Where an address was seen last. */
struct addr {
	uint8_t mac[6];
	bool used;
	struct member *at;
	struct member *before;  /* it may still have frames for this address on their way */
	uint64_t ticket, until; /* not longer than until then */
};

uint64_t wire_patience_us = 2000000;

static struct member *members[WIRE_MEMBERS_MAX];
static unsigned int n_members;
static struct addr addrs[ADDRS_MAX];
static struct frame frame;

int
wire_add(struct member *m, const struct member_ops *ops, void *arg, struct device_stats *stats)
{
	if (n_members == WIRE_MEMBERS_MAX)
		return -ENOSPC;
	*m = (struct member){ .ops = ops, .arg = arg, .stats = stats, .index = n_members };
	members[n_members++] = m;
	return 0;
}

uint32_t
wire_flow_hash(const struct frame *f)
{
	uint32_t hash = 0, word;
	uint16_t type;

	memcpy(&type, f->bytes + 12, sizeof(type));
	if (f->len < 38 || type != htons(ETHERTYPE_IP))
		return 0;
	for (unsigned int at = 26; at < 38; at += sizeof(word)) {
		memcpy(&word, f->bytes + at, sizeof(word));
		hash = (hash ^ word) * 2654435761U;
	}
	return hash >> 16;
}

/* Addresses */

static struct addr *
addr_find(const uint8_t *mac, bool add)
{
	uint32_t low = (uint32_t)(mac[2] << 24 | mac[3] << 16 | mac[4] << 8 | mac[5]);
	uint32_t hash = low * 2654435761U;

	for (unsigned int i = 0; i < PROBES; i++) {
		struct addr *a = &addrs[((hash >> 16) + i) % ADDRS_MAX];

		if (a->used && memcmp(a->mac, mac, sizeof(a->mac)) == 0)
			return a;
		if (a->used)
			continue;
		if (!add)
			return NULL;
		memcpy(a->mac, mac, sizeof(a->mac));
		a->used = true;
		return a;
	}
	return NULL;
}

static void
learn(const uint8_t *mac, struct member *from)
{
	struct addr *a = (mac[0] & 1) != 0 ? NULL : addr_find(mac, true);

	if (a == NULL || a->at == from)
		return;
	a->before = a->at;
	a->ticket = 0;
	a->until = loop_now_us() + wire_patience_us;
	a->at = from;
}

void
wire_started(struct member *m, const uint8_t *mac)
{
	m->stuck_since = 0;
	if (mac != NULL)
		learn(mac, m);
}

/* What was sent to where the address used to be has to arrive before anything that comes now. */
static bool
arrived(struct addr *a)
{
	if (a->before == NULL || a->before->ops->drained == NULL) {
		a->before = NULL;
		return true;
	}
	a->ticket = a->before->ops->drained(a->before->arg, a->ticket);
	if (a->ticket == 0 || loop_now_us() >= a->until)
		a->before = NULL;
	else
		loop_at(a->until);
	return a->before == NULL;
}

/* Frames */

/* Whether a frame for `to` waits: until its patience is over. */
static bool
holds(struct member *to, struct member *from, int rc)
{
	uint64_t now = loop_now_us();

	if (to->stuck_since == 0)
		to->stuck_since = now;
	if (now - to->stuck_since < wire_patience_us) {
		loop_at(to->stuck_since + wire_patience_us);
		return true;
	}
	if (rc == -EAGAIN)
		from->stats->dropped_no_buffer++;
	else
		from->stats->dropped_not_running++;
	return false;
}

/* Gives the frame to one member.  Returns false when it has to wait. */
static bool
give(struct member *to, struct member *from, bool flooded)
{
	int rc = to->ops->deliver(to->arg, &frame);

	if (rc == 0)
		to->stuck_since = 0;
	if (rc == -ENODEV && flooded)
		return true;
	return rc == 0 || !holds(to, from, rc);
}

static bool
flood(struct member *from, unsigned int queue)
{
	bool all = true;

	for (unsigned int i = 0; i < n_members; i++) {
		uint32_t bit = UINT32_C(1) << i;

		if (members[i] == from || (from->got[queue] & bit) != 0)
			continue;
		if (give(members[i], from, true))
			from->got[queue] |= bit;
		else
			all = false;
	}
	return all;
}

/* Returns false when the frame stays with its sender. */
static bool
forward(struct member *from, unsigned int queue)
{
	struct addr *a;

	learn(frame.bytes + 6, from);
	a = (frame.bytes[0] & 1) != 0 ? NULL : addr_find(frame.bytes, false);
	if (a == NULL)
		return flood(from, queue);
	if (a->at == from || (from->got[queue] & UINT32_C(1) << a->at->index) != 0)
		return true;
	return (a->before == from || arrived(a)) && give(a->at, from, false);
}

static bool
queue_pass(struct member *m, unsigned int queue)
{
	unsigned int n;

	for (n = 0; n < BURST; n++) {
		if (m->ops->peek(m->arg, queue, &frame) <= 0)
			break;
		if (frame.len < 14)
			m->stats->dropped_short++;
		else if (!forward(m, queue))
			break;
		m->got[queue] = 0;
		m->stats->frames_sent++;
		m->ops->done(m->arg, queue);
	}
	return n > 0;
}

bool
wire_pass(void)
{
	bool moved = false;

	for (unsigned int i = 0; i < n_members; i++) {
		unsigned int n = members[i]->ops->queues(members[i]->arg);

		for (unsigned int q = 0; q < n && q < WIRE_QUEUES_MAX; q++)
			moved |= queue_pass(members[i], q);
	}
	for (unsigned int i = 0; i < n_members; i++)
		members[i]->ops->flush(members[i]->arg);
	return moved;
}

void
wire_settle(void)
{
	uint64_t end = loop_now_us() + SETTLE_US;

	while (wire_pass() && loop_now_us() < end)
		continue;
}
