/* SPDX-License-Identifier: BSD-3-Clause */
#include "device.h"

#include <stddef.h>
#include <string.h>

#define BURST    16
#define BODY_MAX 1024

/** A command as it was read. */
struct command {
	struct virtio_net_ctrl_hdr hdr;
	uint8_t body[BODY_MAX];
	uint32_t len;           /* of the body */
};

static bool
flag_set(struct device *d, const struct command *c, bool *flag)
{
	if (c->len != 1 || c->body[0] > 1)
		return false;
	*flag = c->body[0] != 0;
	return true;
}

static bool
rx_mode(struct device *d, const struct command *c)
{
	struct filter *f = &d->filter;
	bool *const flags[] = {
		[VIRTIO_NET_CTRL_RX_PROMISC] = &f->promisc,
		[VIRTIO_NET_CTRL_RX_ALLMULTI] = &f->allmulti,
		[VIRTIO_NET_CTRL_RX_ALLUNI] = &f->alluni,
		[VIRTIO_NET_CTRL_RX_NOMULTI] = &f->nomulti,
		[VIRTIO_NET_CTRL_RX_NOUNI] = &f->nouni,
		[VIRTIO_NET_CTRL_RX_NOBCAST] = &f->nobcast,
	};
	unsigned int feature = c->hdr.cmd <= VIRTIO_NET_CTRL_RX_ALLMULTI ?
			       VIRTIO_NET_F_CTRL_RX : VIRTIO_NET_F_CTRL_RX_EXTRA;

	if (c->hdr.cmd >= sizeof(flags) / sizeof(flags[0]) || !device_has(d, feature))
		return false;
	return flag_set(d, c, flags[c->hdr.cmd]);
}

/* One of the two tables: a count and that many addresses.  Returns what it took, 0: wrong. */
static uint32_t
table_read(struct filter *f, const uint8_t *bytes, uint32_t len)
{
	uint32_t n;

	if (len < sizeof(n))
		return 0;
	memcpy(&n, bytes, sizeof(n));
	if (n > MACS_MAX - f->n_macs || len < sizeof(n) + n * 6)
		return 0;
	memcpy(f->macs[f->n_macs], bytes + sizeof(n), n * 6);
	f->n_macs += n;
	return (uint32_t)sizeof(n) + n * 6;
}

static bool
mac_table(struct device *d, const struct command *c)
{
	struct filter new = d->filter;
	uint32_t first, second;

	new.n_macs = 0;
	first = table_read(&new, c->body, c->len);
	new.n_unicast = new.n_macs;
	second = first == 0 ? 0 : table_read(&new, c->body + first, c->len - first);
	if (second == 0 || first + second != c->len)
		return false;
	d->filter = new;
	return true;
}

static bool
mac(struct device *d, const struct command *c)
{
	if (c->hdr.cmd == VIRTIO_NET_CTRL_MAC_TABLE_SET)
		return device_has(d, VIRTIO_NET_F_CTRL_RX) && mac_table(d, c);
	if (c->hdr.cmd != VIRTIO_NET_CTRL_MAC_ADDR_SET || c->len != 6 ||
	    !device_has(d, VIRTIO_NET_F_CTRL_MAC_ADDR))
		return false;
	memcpy(d->mac, c->body, sizeof(d->mac));
	return true;
}

static bool
announce(struct device *d, const struct command *c)
{
	if (c->hdr.cmd != VIRTIO_NET_CTRL_ANNOUNCE_ACK ||
	    !device_has(d, VIRTIO_NET_F_GUEST_ANNOUNCE))
		return false;
	d->announce = false;
	return true;
}

static bool
multiqueue(struct device *d, const struct command *c)
{
	uint16_t pairs;

	if (c->hdr.cmd != VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET || c->len != sizeof(pairs) ||
	    !device_has(d, VIRTIO_NET_F_MQ))
		return false;
	memcpy(&pairs, c->body, sizeof(pairs));
	if (pairs == 0 || pairs > d->conf.pairs)
		return false;
	/* A queue that is not enabled is not served, as QEMU's device has it. */
	d->pairs = pairs;
	return true;
}

static const struct {
	uint8_t class;
	bool (*run)(struct device *d, const struct command *c);
} classes[] = {
	{ VIRTIO_NET_CTRL_RX, rx_mode },
	{ VIRTIO_NET_CTRL_MAC, mac },
	{ VIRTIO_NET_CTRL_ANNOUNCE, announce },
	{ VIRTIO_NET_CTRL_MQ, multiqueue },
};

static uint8_t
command_run(struct device *d, const struct command *c)
{
	d->stats.commands++;
	for (unsigned int i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		if (classes[i].class == c->hdr.class && classes[i].run(d, c))
			return VIRTIO_NET_OK;
	}
	device_violation(d, "control queue: class %u command %u with %u bytes", c->hdr.class,
			 c->hdr.cmd, c->len);
	return VIRTIO_NET_ERR;
}

/* Reads, obeys and answers.  Returns false when the queue is of no use any more. */
static bool
chain_run(struct ring *r)
{
	struct command c;
	struct given g = { .id = r->chain.id, .n_slots = r->chain.n_slots, .len = 1 };
	uint32_t len = r->chain.readable;
	uint8_t ack;

	if (len < sizeof(c.hdr) || len > sizeof(c.hdr) + BODY_MAX || r->chain.writable < 1) {
		device_fail(r->dev, "control queue: a command of %u bytes", len);
		return false;
	}
	c.len = len - (uint32_t)sizeof(c.hdr);
	if (chain_read(&r->q, &r->chain, 0, &c.hdr, sizeof(c.hdr)) < 0 ||
	    chain_read(&r->q, &r->chain, sizeof(c.hdr), c.body, c.len) < 0)
		return false;
	ack = command_run(r->dev, &c);
	if (chain_write(&r->q, &r->chain, 0, &ack, sizeof(ack)) < 0)
		return false;
	ring_give(r, &g, 1);
	return true;
}

void
ctrl_run(struct device *d)
{
	/* Virtio 1.2, 5.1.2: behind the first pair unless there may be more. */
	struct ring *r = &d->rings[device_has(d, VIRTIO_NET_F_MQ) ? d->n_rings - 1 : 2];

	if (!r->enabled || !r->kicked || fault_on(d, FAULT_ctrl_no_answer))
		return;
	for (unsigned int i = 0; i < BURST; i++) {
		int rc = queue_take(&r->q, &r->chain);

		if (rc == 0 && queue_arm(&r->q) > 0)
			rc = queue_take(&r->q, &r->chain);
		if (rc < 0 || (rc > 0 && !chain_run(r))) {
			ring_failed(r);
			return;
		}
		if (rc == 0) {
			r->kicked = false;
			return;
		}
	}
	loop_at(loop_now_us());         /* there may be more */
}
