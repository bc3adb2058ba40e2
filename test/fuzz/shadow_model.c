/* SPDX-License-Identifier: BSD-3-Clause */
#include "shadow_model.h"

#include "chain_log.h"

/* Entries of a table that the device is given; longer chains take descriptors. */
#define TABLE_MAX 32

#define NO_INTERRUPT 1u
#define NO_NOTIFY    1u

static struct ref_chain chain;

void
model_init(struct model *m, const struct vring_opts *opts)
{
	memset(m, 0, offsetof(struct model, chains));
	ref_init(&m->ref, opts);
	m->tx = !opts->writable;
	m->bad = ref_start(&m->ref);
	if (m->bad == VRING_BAD_SIZE || m->bad == VRING_BAD_ADDR)
		m->ref.idx = m->ref.next = opts->pos.used;
}

struct model_chain *
model_chain(struct model *m, uint32_t i)
{
	return &m->chains[(m->first + i) % m->dev_size];
}

uint16_t
model_dev16(const struct model *m, uint64_t iova)
{
	uint16_t v;

	memcpy(&v, m->dev_mem + (iova - m->dev_iova), sizeof(v));
	return v;
}

static bool
running(const struct model *m)
{
	return m->bad == VRING_BAD_NONE && m->fault == SHADOW_FAULT_NONE;
}

/* Descriptors of the device that the chain takes. */
static uint16_t
descs_of(const struct model *m)
{
	return m->dev_indirect && chain.n_descs > 1 && chain.n_descs <= TABLE_MAX ?
	       1 : (uint16_t)chain.n_descs;
}

static void
note_taken(struct model *m, uint16_t n_descs)
{
	struct model_chain *c = model_chain(m, m->n++);

	*c = (struct model_chain){
		.id = chain.id, .n_slots = chain.n_slots, .n_descs = n_descs,
		.len = RTE_MIN(chain.len, (uint64_t)UINT32_MAX), .head = m->next % m->dev_size,
		.done = n_descs == 0,
	};
	if (n_descs > 0) {
		c->n_pieces = chain.n;
		memcpy(c->pieces, chain.pieces, chain.n * sizeof(chain.pieces[0]));
		m->avail_idx++;
	}
	/* A chain that the device never gets takes one, too. */
	m->next += RTE_MAX(n_descs, 1);
	m->n_free -= RTE_MAX(n_descs, 1);
	m->slots_out += m->ref.packed ? chain.n_slots : 0;
	ref_take(&m->ref, &chain);
}

/* Of a packed ring a chain is over where the oldest that is in flight begins. */
static enum vring_bad
chain_read(struct model *m)
{
	enum vring_bad bad = ref_chain(&m->ref, VRING_SEGS_MAX, &chain);

	if (m->ref.packed && chain.n_slots > m->ref.opts.size - m->slots_out)
		return VRING_BAD_LOOP;
	return bad;
}

static bool
take_one(struct model *m, bool discard)
{
	m->bad = chain_read(m);
	if (m->bad != VRING_BAD_NONE)
		return false;
	if (discard || chain.n_descs > m->dev_size) {
		note_taken(m, 0);
	} else if (descs_of(m) <= m->n_free) {
		note_taken(m, descs_of(m));
	} else {
		m->blocked = true;
		return false;
	}
	return true;
}

/* An index stands between what was taken and what the ring holds. */
static uint32_t
split_ready(struct model *m, uint32_t max)
{
	const uint16_t out = m->ref.next - m->ref.idx;
	uint16_t ready = m->ref.seen - m->ref.next;
	uint16_t seen;

	if (ready >= max)
		return max;
	arena_read((gpa_t){ m->ref.opts.driver.v + 2 }, &seen, sizeof(seen));
	ready = seen - m->ref.next;
	if (out + ready > m->ref.opts.size) {
		m->bad = VRING_BAD_INDEX;
		m->ref.seen = m->ref.next;
		return 0;
	}
	m->ref.seen = seen;
	return RTE_MIN(ready, max);
}

static bool
packed_ready(const struct model *m)
{
	return m->slots_out < m->ref.opts.size && ref_available(&m->ref);
}

uint32_t
model_take(struct model *m, uint32_t max, bool discard)
{
	uint32_t n = 0, ready = max;

	if (!running(m) || (m->blocked && !discard))
		return 0;
	if (!m->ref.packed)
		ready = split_ready(m, max);
	while (n < ready && m->n_free > 0 && (!m->ref.packed || packed_ready(m)) &&
	       take_one(m, discard))
		n++;
	return n;
}

bool
model_doorbell(const struct model *m, uint16_t before)
{
	const uint16_t event = model_dev16(m, m->queue.device + 4 + 8ull * m->dev_size);

	if (m->avail_idx == before)
		return false;
	if (!m->dev_event_idx)
		return (model_dev16(m, m->queue.device) & NO_NOTIFY) == 0;
	for (uint16_t i = before; i != m->avail_idx; i++)
		if (i == event)
			return true;
	return false;
}

static struct model_chain *
holder(struct model *m, uint32_t id)
{
	for (uint32_t i = 0; i < m->n; i++) {
		struct model_chain *c = model_chain(m, i);

		if (!c->done && c->head == id)
			return c;
	}
	return NULL;
}

static void
reap(struct model *m, uint32_t max)
{
	const uint16_t idx = model_dev16(m, m->queue.device + 2);
	const uint16_t ready = idx - m->used_seen;

	if (m->fault != SHADOW_FAULT_NONE)
		return;
	if (ready > (uint16_t)(m->avail_idx - m->used_seen)) {
		m->fault = SHADOW_FAULT_INDEX;
		return;
	}
	for (uint32_t i = 0; i < RTE_MIN(ready, max) && m->fault == SHADOW_FAULT_NONE; i++) {
		const uint8_t *elem = m->dev_mem + (m->queue.device - m->dev_iova) + 4 +
				      8u * (m->used_seen % m->dev_size);
		uint32_t id, len;
		struct model_chain *c;

		memcpy(&id, elem, sizeof(id));
		memcpy(&len, elem + 4, sizeof(len));
		c = holder(m, id);
		if (c == NULL) {
			m->fault = SHADOW_FAULT_ID;
			return;
		}
		if (!m->tx && len > c->len)
			m->fault = SHADOW_FAULT_LENGTH;
		c->used = m->tx ? 0 : (uint32_t)RTE_MIN(len, c->len);
		c->done = true;
		m->used_seen++;
	}
}

static void
pieces_log(const struct model_chain *c, uint64_t len)
{
	for (uint32_t i = 0; i < c->n_pieces && len > 0; i++) {
		const uint64_t some = RTE_MIN(len, c->pieces[i].len);

		log_must((gpa_t){ c->pieces[i].gpa }, some);
		len -= some;
	}
}

static void
give_one(struct model *m)
{
	const struct model_chain *c = model_chain(m, 0);
	const struct ref_ring *r = &m->ref;

	for (uint32_t i = 0; r->packed && i < c->n_slots; i++)
		log_may((gpa_t){ r->opts.desc.v + 16ull * ((r->idx + i) % r->opts.size) }, 16);
	pieces_log(c, c->used);
	ref_put(&m->ref, c->id, (uint16_t)c->n_slots, c->used);
	m->slots_out -= m->ref.packed ? c->n_slots : 0;
	m->n_free += RTE_MAX(c->n_descs, 1);
	m->blocked = false;
	m->first = (m->first + 1) % m->dev_size;
	m->n--;
}

static uint32_t
give(struct model *m, int *call)
{
	uint32_t n = 0;

	for (; m->n > 0 && model_chain(m, 0)->done; n++)
		give_one(m);
	*call = ref_publish(&m->ref);
	return n;
}

uint32_t
model_complete(struct model *m, uint32_t max, int *call)
{
	reap(m, max);
	return give(m, call);
}

bool
model_arm(struct model *m, unsigned int sides)
{
	const bool room = running(m) && !m->blocked && m->n_free > 0;
	struct ref_ring at = m->ref;
	bool ready = false;

	if ((sides & SHADOW_GUEST) != 0 && room) {
		at.idx = at.next;
		at.wrap = at.next_wrap;
		ref_arm(&at);
		ready = at.packed ? packed_ready(m) : ref_available(&at);
	}
	if ((sides & SHADOW_DEVICE) != 0 && m->fault == SHADOW_FAULT_NONE)
		ready |= model_dev16(m, m->queue.device + 2) != m->used_seen;
	return ready || (m->n > 0 && model_chain(m, 0)->done);
}

uint32_t
model_stop(struct model *m, int *call)
{
	uint32_t settled = 0, n;

	reap(m, UINT32_MAX);
	for (uint32_t i = 0; i < m->n; i++) {
		const struct model_chain *c = model_chain(m, i);

		if (!c->done && !m->tx)
			pieces_log(c, c->len);
		if (c->done && c->n_descs > 0)
			settled = i + 1;
	}
	for (uint32_t i = 0; i < settled; i++) {
		struct model_chain *c = model_chain(m, i);

		if (!c->done)
			c->used = 0;
		c->done = true;
	}
	n = give(m, call);
	m->n = 0;
	m->ref.next = m->ref.seen = m->ref.idx;
	m->ref.next_wrap = m->ref.wrap;
	return n;
}
