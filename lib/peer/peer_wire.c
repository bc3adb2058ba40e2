/* SPDX-License-Identifier: BSD-3-Clause */
#include "peer_wire.h"

#include <errno.h>
#include <string.h>

/* Big-endian numbers in a row, read or written. */
struct cursor {
	const uint8_t *at;
	size_t left;
	bool short_of;  /* something was missing */
};

static uint64_t
take(struct cursor *c, size_t n)
{
	uint64_t v = 0;

	if (c->left < n) {
		c->short_of = true;
		return 0;
	}
	for (size_t i = 0; i < n; i++)
		v = v << 8 | c->at[i];
	c->at += n;
	c->left -= n;
	return v;
}

static uint8_t *
put(uint8_t *at, size_t n, uint64_t v)
{
	for (size_t i = n; i > 0; i--, v >>= 8)
		at[i - 1] = (uint8_t)v;
	return at + n;
}

int
peer_wire_head(const uint8_t head[PEER_HEAD], size_t most, enum peer_kind *kind)
{
	struct cursor c = { .at = head, .left = PEER_HEAD };
	uint64_t len = take(&c, 4), what = take(&c, 1);

	if (what == PEER_KIND_NONE || what >= PEER_KIND_N)
		return -EPROTO;
	if (len > most)
		return -EMSGSIZE;
	*kind = (enum peer_kind)what;
	return (int)len;
}

/* The name goes to logs and terminals: what is not printable there is not taken. */
static int
hello_decode(struct cursor *c, struct peer_hello *h)
{
	size_t n;

	h->version = (uint16_t)take(c, 2);
	if (h->version != PEER_VERSION) {
		c->left = 0; /* what else it says is not for us to read */
		return 0;
	}
	h->instance = take(c, 8);
	n = take(c, 1);
	if (n > PEER_HOST_MAX || n > c->left)
		return -EPROTO;
	for (size_t i = 0; i < n; i++) {
		h->host[i] = (char)take(c, 1);
		if (h->host[i] <= ' ' || h->host[i] > '~')
			return -EPROTO;
	}
	h->host[n] = '\0';
	return 0;
}

static int
arrived_decode(struct cursor *c, struct peer_arrived *a)
{
	a->generation = (uint32_t)take(c, 4);
	a->age_us = take(c, 8);
	a->n = (uint16_t)take(c, 2);
	if (a->n == 0 || a->n > PEER_ADDRESSES_MAX)
		return -EPROTO;
	for (uint16_t i = 0; i < a->n; i++)
		a->keys[i] = take(c, 8);
	return 0;
}

static int
frame_decode(struct cursor *c, struct peer_frame *f)
{
	f->generation = (uint32_t)take(c, 4);
	f->vnet.flags = (uint8_t)take(c, 1);
	f->vnet.gso_type = (uint8_t)take(c, 1);
	f->vnet.hdr_len = (uint16_t)take(c, 2);
	f->vnet.gso_size = (uint16_t)take(c, 2);
	f->vnet.csum_start = (uint16_t)take(c, 2);
	f->vnet.csum_offset = (uint16_t)take(c, 2);
	if (c->short_of || c->left < RTE_ETHER_HDR_LEN || c->left > PEER_FRAME_MAX)
		return -EPROTO;
	f->len = (uint32_t)c->left;
	f->bytes = c->at;
	c->left = 0;
	return 0;
}

static int
done_decode(struct cursor *c, struct peer_done *d)
{
	d->generation = (uint32_t)take(c, 4);
	d->frames = take(c, 8);
	return 0;
}

static int
body_decode(struct cursor *c, struct peer_message *out)
{
	switch (out->kind) {
	case PEER_HELLO:
		return hello_decode(c, &out->hello);
	case PEER_ARRIVED:
		return arrived_decode(c, &out->arrived);
	case PEER_FRAME:
		return frame_decode(c, &out->frame);
	case PEER_DONE:
		return done_decode(c, &out->done);
	case PEER_PING:
		return 0;
	case PEER_KIND_NONE:
	case PEER_KIND_N:
		break;
	}
	return -EPROTO;
}

int
peer_wire_decode(enum peer_kind kind, const uint8_t *body, size_t len, struct peer_message *out)
{
	struct cursor c = { .at = body, .left = len };
	int rc;

	memset(out, 0, sizeof(*out));
	out->kind = kind;
	rc = body_decode(&c, out);
	return rc < 0 || c.short_of || c.left > 0 ? -EPROTO : 0;
}

static uint8_t *
hello_encode(const struct peer_hello *h, uint8_t *at)
{
	size_t n = strlen(h->host);

	at = put(at, 2, h->version);
	at = put(at, 8, h->instance);
	at = put(at, 1, n);
	memcpy(at, h->host, n);
	return at + n;
}

static uint8_t *
arrived_encode(const struct peer_arrived *a, uint8_t *at)
{
	at = put(at, 4, a->generation);
	at = put(at, 8, a->age_us);
	at = put(at, 2, a->n);
	for (uint16_t i = 0; i < a->n; i++)
		at = put(at, 8, a->keys[i]);
	return at;
}

static uint8_t *
frame_encode(const struct peer_frame *f, uint8_t *at)
{
	at = put(at, 4, f->generation);
	at = put(at, 1, f->vnet.flags);
	at = put(at, 1, f->vnet.gso_type);
	at = put(at, 2, f->vnet.hdr_len);
	at = put(at, 2, f->vnet.gso_size);
	at = put(at, 2, f->vnet.csum_start);
	return put(at, 2, f->vnet.csum_offset);
}

static uint8_t *
body_encode(const struct peer_message *m, uint8_t *at)
{
	switch (m->kind) {
	case PEER_HELLO:
		return hello_encode(&m->hello, at);
	case PEER_ARRIVED:
		return arrived_encode(&m->arrived, at);
	case PEER_FRAME:
		return frame_encode(&m->frame, at);
	case PEER_DONE:
		return put(put(at, 4, m->done.generation), 8, m->done.frames);
	case PEER_PING:
	case PEER_KIND_NONE:
	case PEER_KIND_N:
		break;
	}
	return at;
}

size_t
peer_wire_encode(const struct peer_message *m, uint8_t *out)
{
	uint8_t *body = out + PEER_HEAD, *end = body_encode(m, body);
	size_t len = (size_t)(end - body);

	put(out, 4, m->kind == PEER_FRAME ? len + m->frame.len : len);
	put(out + 4, 1, m->kind);
	return (size_t)(end - out);
}
