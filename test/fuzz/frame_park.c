/* SPDX-License-Identifier: BSD-3-Clause */
/* What has to come of frames whose guest is on its way from one port to another. */
#include "frame_rig.h"

#include "fwd_impl.h"

#define ALIGN     8u
#define BURSTS    4u     /* that leave a park in a turn */
#define KEPT_MAX  16384u /* more than there is room for */
#define TIMED_OUT 4096u  /* frames that are dropped in a turn */

/* A frame that waits. */
struct kept {
	struct ref_frame fr;
	uint32_t space;         /* what it takes of the memory */
	uint32_t when;          /* step */
	bool flooded;
	bool reached[PORTS];    /* when it was flooded: it came there, too */
};

struct park {
	bool there, logging;
	enum park_phase phase;
	uint16_t heir;
	uint32_t takes;         /* of the guest that has left */
	uint32_t size, at, held; /* memory, where the next frame goes, and what is in use */
	uint32_t first, n;
	struct kept kept[KEPT_MAX];
};

static struct park parks[PORTS];

/* life */

static struct kept *
kept_at(struct park *p, uint32_t i)
{
	return &p->kept[(p->first + i) % KEPT_MAX];
}

static void
kept_take(struct park *p, uint32_t n)
{
	for (; n > 0; n--, p->n--, p->first++) {
		p->held -= kept_at(p, 0)->space;
		free((void *)(uintptr_t)kept_at(p, 0)->fr.data);
	}
}

static void
end(struct park *p)
{
	kept_take(p, p->n);
	p->there = false;
}

void
model_park_begin(void)
{
	for (uint16_t i = 0; i < PORTS; i++)
		end(&parks[i]);
}

static void
open(struct park *p)
{
	if (!p->there && rig.park_bytes > 0) {
		p->there = true;
		p->phase = PARK_READY;
		p->heir = PARK_NOWHERE;
		p->size = RTE_ALIGN_CEIL(RTE_MAX(rig.park_bytes, PARK_BUF_MIN), ALIGN);
		p->at = p->held = 0;
	}
	p->logging = true;
}

static void
release(struct park *p, uint16_t heir)
{
	p->phase = PARK_RELEASING;
	p->heir = heir;
}

static void
leave(uint16_t port)
{
	struct park *p = &parks[port];

	if (!rig.ports[port].up)
		return;
	rig.ports[port].up = false;
	if (!p->there || p->phase == PARK_KEEPING)
		return;
	p->phase = PARK_KEEPING;
	p->heir = PARK_NOWHERE;
	p->takes = rig.ports[port].takes;
}

/* What is kept where it was in between follows it, too. */
static void
follow(struct park *p, uint16_t to)
{
	struct park *between = p->heir != PARK_NOWHERE ? &parks[p->heir] : p;

	if (between != p && between->there && between->phase == PARK_KEEPING)
		release(between, to);
	release(p, to);
}

static void
come_back(const struct step *s, uint32_t at)
{
	struct rig_port *port = &rig.ports[s->port];
	struct park *p = &parks[s->port];

	if (port->up || port->live.type == PORT_ETHDEV)
		return;
	port->up = true;
	if (model_reached(s->port))
		port->reached[port->n_reached++] = at;
	if (p->there && p->phase != PARK_READY)
		follow(p, s->port);
}

static void
learned(struct park *p, uint16_t from, uint16_t to)
{
	if (from == to || !p->there)
		return;
	if (p->phase == PARK_KEEPING)
		release(p, to);
	else if (p->phase == PARK_RELEASING && p->heir != from && p->heir != to)
		follow(p, to);
}

/* A park that was empty for a moment may end, one that had timed out has to. */
static void
look(uint16_t port, bool timed_out, bool closed)
{
	struct park *p = &parks[port];
	bool may = p->there && p->n == 0 && p->phase == PARK_RELEASING;
	bool must = p->there && p->n == 0 && p->phase == PARK_DROPPING;

	FUZZ_CHECK(closed ? may || must : !must);
	if (p->there && timed_out && (p->phase == PARK_KEEPING ||
				      (p->phase == PARK_RELEASING && p->n > 0)))
		p->phase = PARK_DROPPING;
	if (!closed)
		return;
	if (p->logging && p->heir == port) {
		p->phase = PARK_READY;
		p->heir = PARK_NOWHERE;
	} else {
		end(p);
	}
}

void
model_park_step(const struct step *s, uint32_t at)
{
	struct park *p = &parks[s->port];

	switch (s->kind) {
	case STEP_OPEN:
		open(p);
		break;
	case STEP_CANCEL:
		p->logging = false;
		if (p->there && p->phase == PARK_READY)
			end(p);
		break;
	case STEP_LEAVE:
		leave(s->port);
		break;
	case STEP_RETURN:
		come_back(s, at);
		break;
	case STEP_LEARNED:
		learned(p, s->port, s->arg % PORTS);
		break;
	case STEP_TICK:
	case STEP_TIMEOUT:
		for (uint16_t i = 0; i < PORTS; i++)
			look(i, s->kind == STEP_TIMEOUT, s->closed[i]);
		break;
	default:
		break;
	}
}

void
model_park_check(const struct step *s)
{
	for (uint16_t i = 0; i < PORTS; i++) {
		const struct park *p = &parks[i];

		FUZZ_CHECK(s->parked[i] == p->there);
		if (p->there)
			FUZZ_CHECK(s->info[i].phase == p->phase && s->info[i].heir == p->heir &&
				   s->info[i].bytes == p->size && s->info[i].kept == p->held);
	}
}

/* in */

/* Whether nothing of the guest's is older at a place, and it is not being left. */
static bool
passable(uint16_t port)
{
	const struct park *p = &parks[port];

	if (!p->there || p->phase == PARK_READY || p->phase == PARK_DROPPING)
		return true;
	return p->phase == PARK_RELEASING && p->heir == port && p->n == 0;
}

static bool
heir_ready(uint16_t port)
{
	uint16_t heir = parks[port].heir;

	if (heir == PARK_NOWHERE)
		return false;
	if (rig.ports[heir].live.type == PORT_ETHDEV)
		return true;
	return (heir == port || passable(heir)) && model_reached(heir);
}

/* Why a place may not have a frame. */
static enum drop
refused(uint16_t heir, const struct ref_frame *fr)
{
	if (!model_heard(heir))
		return heir == 0 ? DROP_SAME_PORT : DROP_ISOLATED;
	return ref_too_long(fr, rig.ports[heir].live.frame_max) ? DROP_TOO_LONG : DROP_NONE;
}

bool
model_park_find(uint16_t *to, const struct ref_frame *fr)
{
	const struct park *p = &parks[*to];

	if (!p->there || p->phase == PARK_READY)
		return false;
	if (p->phase == PARK_KEEPING || (p->phase == PARK_RELEASING && p->n > 0))
		return true;
	if (!heir_ready(*to) || (p->heir != *to && refused(p->heir, fr) != DROP_NONE))
		return p->phase == PARK_RELEASING;
	*to = p->heir;
	return false;
}

bool
model_park_left(uint16_t port)
{
	const struct park *p = &parks[port], *at;

	if (!p->there || p->phase != PARK_RELEASING || p->heir == port)
		return false;
	at = &parks[p->heir];
	return rig.ports[p->heir].live.type == PORT_ETHDEV || model_reached(p->heir) ||
	       (at->there && (at->phase == PARK_KEEPING || at->phase == PARK_RELEASING));
}

struct keeping {
	uint16_t port;
	const struct ref_frame *whole;
	bool flooded;
	uint32_t when;
};

/* A frame lies in one piece: what is left at the end of the memory is given away with it. */
static bool
keep(void *arg, const struct virtio_net_hdr *vnet, const uint8_t *data, uint32_t len)
{
	const struct keeping *k = arg;
	struct park *p = &parks[k->port];
	uint32_t size = RTE_ALIGN_CEIL((uint32_t)sizeof(struct park_frame) + len, ALIGN);
	uint32_t rest = p->at + size > p->size ? p->size - p->at : 0;
	struct kept *new = kept_at(p, p->n);
	uint8_t *copy;

	if (p->held + rest + size > p->size) {
		model_drop(&rig.ports[k->port], DROP_PARK_FULL);
		return true;
	}
	FUZZ_CHECK(p->n < KEPT_MAX);
	copy = malloc(len);
	FUZZ_CHECK(copy != NULL);
	memcpy(copy, data, len);
	*new = (struct kept){ .space = rest + size, .when = k->when, .flooded = k->flooded };
	for (uint16_t i = 0; i < PORTS; i++)
		new->reached[i] = model_reached(i);
	new->fr = (struct ref_frame){ .vnet = *vnet, .data = copy, .len = len };
	if (data == k->whole->data)
		new->fr.needs = k->whole->needs;
	else if (vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		new->fr.needs = REF_CSUM;
	p->at = ((rest > 0 ? 0 : p->at) + size) % p->size;
	p->held += rest + size;
	p->n++;
	rig.ports[k->port].n_parked++;
	return true;
}

bool
model_park_keep(uint16_t port, const struct ref_frame *fr, bool flooded, uint32_t at)
{
	struct keeping k = { .port = port, .whole = fr, .flooded = flooded, .when = at };

	return ref_parts(fr, parks[port].takes, keep, &k);
}

/* out */

/* The heir was given its own copy of what was flooded while it was there. */
static bool
known(uint16_t port, const struct kept *k)
{
	const struct rig_port *heir = &rig.ports[parks[port].heir];
	const uint32_t n = heir->n_reached;

	if (!k->flooded || parks[port].heir == port)
		return false;
	if (heir->live.type == PORT_ETHDEV)
		return true;
	/* What was longer ago than so many gaps counts as one gap. */
	return k->reached[parks[port].heir] &&
	       (n < SWDEV_GAPS || k->when >= heir->reached[n - SWDEV_GAPS]);
}

static bool
goes_on(uint16_t port, const struct kept *k)
{
	return !known(port, k) && refused(parks[port].heir, &k->fr) == DROP_NONE;
}

static void
pass_over(uint16_t port, const struct kept *k)
{
	uint16_t heir = parks[port].heir;
	enum drop why = refused(heir, &k->fr);

	if (rig.ports[heir].live.type == PORT_ETHDEV)
		why = DROP_PARK_PEER;
	if (known(port, k))
		rig.ports[port].n_known++;
	else
		model_drop(&rig.ports[port], why);
}

/* A turn that leaves the park: it looks at so many bytes. */
struct leaving {
	uint16_t port;
	uint64_t bytes;
	uint32_t passed;
};

/* Frames from the front of the park that leave together, those before them counted. */
static uint32_t
burst_find(struct leaving *l)
{
	struct park *p = &parks[l->port];
	uint32_t n = 0;

	while (n < p->n && n < FWD_BURST) {
		const struct kept *k = kept_at(p, n);
		bool goes = goes_on(l->port, k);

		l->bytes += k->fr.len;
		if (!goes && n > 0)
			break;
		if (goes) {
			n++;
		} else {
			pass_over(l->port, k);
			kept_take(p, 1);
			l->passed++;
		}
		if (l->bytes >= FWD_BYTES)
			break;
	}
	return n;
}

static uint32_t
burst_leave(struct leaving *l)
{
	struct park *p = &parks[l->port];
	uint32_t n = burst_find(l), done = 0;
	bool waits = false;

	for (; done < n && !waits; done += !waits)
		if (!model_give(&rig.ports[p->heir], &kept_at(p, done)->fr, true, &waits))
			model_drop(&rig.ports[0], DROP_BAD_HDR);
	kept_take(p, done);
	rig.ports[l->port].n_unparked += done;
	return done;
}

static uint32_t
leave_some(uint16_t port)
{
	struct leaving l = { .port = port };
	uint32_t frames = 0;

	for (uint32_t i = 0; i < BURSTS && l.bytes < FWD_BYTES; i++) {
		uint32_t done = burst_leave(&l);

		frames += done;
		if (done == 0)
			break;
	}
	return frames + l.passed;
}

static uint32_t
drop_some(uint16_t port)
{
	uint32_t n = RTE_MIN(parks[port].n, TIMED_OUT);

	for (uint32_t i = 0; i < n; i++)
		model_drop(&rig.ports[port], DROP_PARK_TIMEOUT);
	kept_take(&parks[port], n);
	return n;
}

uint32_t
model_parks_turn(void)
{
	uint32_t frames = 0;

	for (uint16_t i = 0; i < PORTS; i++) {
		const struct park *p = &parks[i];

		if (p->there && p->phase == PARK_DROPPING)
			frames += drop_some(i);
		else if (p->there && p->phase == PARK_RELEASING && heir_ready(i))
			frames += leave_some(i);
	}
	return frames;
}
