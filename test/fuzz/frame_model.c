/* SPDX-License-Identifier: BSD-3-Clause */
/* What has to come of an input of the target frame, worked out once it is over. */
#include "frame_rig.h"

#include "fwd_impl.h"

static uint32_t n_offered, n_sent; /* frames of the sender */
static uint32_t now;               /* step */

void
model_drop(struct rig_port *p, enum drop why)
{
	p->drops[why]++;
	fuzz_reach(why);
}

bool
model_heard(uint16_t port)
{
	return port != 0 && rig.ports[port].live.group != rig.ports[0].live.group;
}

bool
model_reached(uint16_t port)
{
	return port != 0 && rig.ports[port].up && rig.ports[port].enabled;
}

/* Chains that a frame of so many bytes takes; 0: it is dropped, `why` set. */
static uint32_t
chains_for(const struct rig_port *p, uint32_t need, enum drop *why)
{
	const struct guest *g = &p->guest;
	uint64_t have = 0;

	*why = p->next_buf == g->n_bufs && p->bad_tail && p->all_offered ? DROP_RING_BAD :
	       DROP_NO_DESC;
	for (uint32_t i = p->next_buf; i < p->n_offered; i++) {
		have += g->bufs[i].len;
		if (have >= need)
			return i + 1 - p->next_buf;
		if ((p->features >> VIRTIO_NET_F_MRG_RXBUF & 1) == 0) {
			*why = DROP_NO_ROOM;
			return 0;
		}
	}
	return 0;
}

/* Compares what stands in the receiver's buffers with what has to. */
static void
buffers_check(struct rig_port *p, uint32_t n, const uint8_t *whole, uint32_t len)
{
	static uint8_t got[UINT16_MAX + 12 + 1];

	for (uint32_t i = 0; i < n; i++) {
		const struct guest_buf *b = &p->guest.bufs[p->next_buf++];
		uint32_t some = RTE_MIN(len, b->len);

		FUZZ_CHECK(b->used_len == some);
		guest_read(b, got, some);
		FUZZ_CHECK(memcmp(got, whole, some) == 0);
		whole += some;
		len -= some;
	}
	FUZZ_CHECK(len == 0);
}

struct delivery {
	struct rig_port *to;
	bool patient, waits;
};

static bool
deliver(void *arg, const struct virtio_net_hdr *vnet, const uint8_t *data, uint32_t len)
{
	static uint8_t whole[12 + REF_LEN_MAX];
	struct delivery *d = arg;
	struct rig_port *p = d->to;
	enum drop why;
	uint32_t n = chains_for(p, p->hdr_len + len, &why);
	struct virtio_net_hdr_mrg_rxbuf h = { .hdr = *vnet, .num_buffers = (uint16_t)n };

	d->waits = n == 0 && d->patient && why == DROP_NO_DESC;
	if (d->waits)
		return false;
	if (n == 0) {
		model_drop(p, why);
		return true; /* segments behind one for a broken ring have the same name */
	}
	memcpy(whole, &h, p->hdr_len);
	memcpy(whole + p->hdr_len, data, len);
	buffers_check(p, n, whole, p->hdr_len + len);
	p->n_frames++;
	p->n_bytes += len;
	fuzz_reach(DROP_NONE);
	return true;
}

bool
model_give(struct rig_port *to, const struct ref_frame *fr, bool patient, bool *waits)
{
	/* What was cut in part cannot wait. */
	struct delivery d = { .to = to, .patient = patient && (fr->needs & ~to->takes) == 0 };
	bool good = ref_parts(fr, to->takes, deliver, &d);

	*waits = d.waits;
	return good;
}

static struct rig_port *
known(const struct ref_frame *fr)
{
	static const uint8_t start[5] = { 2 };
	int tag = ref_tag(fr);

	if (memcmp(fr->data, start, sizeof(start)) != 0 || (tag > 0 && tag != TAG_KNOWN))
		return NULL;
	return fr->data[5] >= 1 && fr->data[5] <= PORTS ? &rig.ports[fr->data[5] - 1] : NULL;
}

/* Where a frame of the burst goes: decided for all of them before the first one does. */
struct way {
	bool parked;
	uint16_t port;           /* of the park, or the receiver */
	const struct ref_frame *fr;
};

/* Returns false when the frame goes nowhere. */
static bool
way_find(struct way *w, uint16_t port, const struct ref_frame *fr, bool flooded)
{
	struct rig_port *named = &rig.ports[port];

	if (ref_too_long(fr, named->live.frame_max)) {
		model_drop(named, DROP_TOO_LONG);
		return false;
	}
	*w = (struct way){ .fr = fr, .port = port };
	w->parked = model_park_find(&w->port, fr);
	if (w->parked || model_reached(w->port))
		return true;
	model_drop(named, flooded ? DROP_DEAF : DROP_NO_RING);
	return false;
}

static bool
way_go(const struct way *w, bool flooded)
{
	bool waits;

	if (w->parked)
		return model_park_keep(w->port, w->fr, flooded, now);
	return model_give(&rig.ports[w->port], w->fr, false, &waits);
}

static bool
unicast(struct ref_frame *fr, struct way *w)
{
	const struct rig_port *to = known(fr);

	if (to == NULL)
		return false;
	if (to == &rig.ports[0])
		model_drop(&rig.ports[0], DROP_SAME_PORT);
	else if (!model_heard(to->live.number))
		model_drop(&rig.ports[0], DROP_ISOLATED);
	else
		return way_find(w, to->live.number, fr, false);
	return false;
}

static void
unicasts(uint32_t first, uint32_t end)
{
	struct way ways[FWD_BURST];
	uint32_t n = 0;

	for (uint32_t i = first; i < end; i++)
		if (rig.frames[i].drop == DROP_NONE)
			n += unicast(&rig.frames[i], &ways[n]);
	for (uint32_t i = 0; i < n; i++)
		if (!way_go(&ways[i], false))
			model_drop(&rig.ports[0], DROP_BAD_HDR);
}

static bool
floods(const struct ref_frame *fr)
{
	return fr->drop == DROP_NONE && known(fr) == NULL;
}

/* One port's copies; `bad` is set for the frames of which nothing can be made. */
static void
flood_to(uint16_t port, uint32_t first, uint32_t end, bool *bad)
{
	struct way ways[FWD_BURST];
	uint32_t n = 0;

	for (uint32_t i = first; i < end; i++)
		if (floods(&rig.frames[i]))
			n += way_find(&ways[n], port, &rig.frames[i], true);
	for (uint32_t i = 0; i < n; i++)
		bad[ways[i].fr - &rig.frames[first]] |= !way_go(&ways[i], true);
}

static void
flood(uint32_t first, uint32_t end)
{
	bool heard = false, bad[FWD_BURST] = { false };

	for (uint16_t port = 1; port < PORTS; port++) {
		if (!model_heard(port) || model_park_left(port))
			continue;
		flood_to(port, first, end, bad);
		heard = true;
	}
	for (uint32_t i = first; i < end; i++) {
		if (!floods(&rig.frames[i]))
			continue;
		rig.ports[0].n_flooded += heard;
		if (!heard)
			model_drop(&rig.ports[0], DROP_NO_PORT);
		/* The sender's fault counts once, for however many the frame was. */
		if (bad[i - first])
			model_drop(&rig.ports[0], DROP_BAD_HDR);
	}
}

/* Frames that one turn takes: so many, or so many bytes. */
static uint32_t
burst(uint32_t first)
{
	uint64_t size = 0;
	uint32_t i;

	for (i = first; i < n_offered && i - first < FWD_BURST; i++) {
		size += rig.ports[0].hdr_len + rig.frames[i].len;
		if (size > FWD_BYTES && i > first)
			break;
	}
	return i;
}

static uint32_t
turn(void)
{
	uint32_t done = model_parks_turn(), first = n_sent;

	n_sent = burst(first);
	for (uint32_t i = first; i < n_sent; i++) {
		struct ref_frame *fr = &rig.frames[i];

		ref_frame_check(fr, rig.ports[0].live.frame_max);
		if (!rig.ports[0].enabled)
			fr->drop = DROP_DISABLED;
		if (fr->drop != DROP_NONE)
			model_drop(&rig.ports[0], fr->drop);
	}
	unicasts(first, n_sent);
	flood(first, n_sent);
	return done + n_sent - first;
}

static void
offer(struct rig_port *p, uint32_t n)
{
	p->n_offered += RTE_MIN(n, p->guest.n_bufs - p->n_offered);
	p->all_offered = p->n_offered == p->guest.n_bufs;
}

static void
step(const struct step *s)
{
	struct rig_port *p = &rig.ports[s->port];

	if (s->kind == STEP_SEND)
		n_offered += RTE_MIN(s->arg, rig.n_frames - n_offered);
	if (s->kind == STEP_OFFER)
		offer(p, s->arg);
	model_park_step(s, now);
	while (turn() > 0)
		;
	model_park_check(s);
}

static void
port_begin(struct rig_port *p)
{
	p->next_buf = p->n_offered = p->n_frames = 0;
	p->all_offered = false;
	p->n_bytes = p->n_flooded = p->n_parked = p->n_unparked = p->n_known = 0;
	memset(p->drops, 0, sizeof(p->drops));
	if (!rig.held_back)
		offer(p, UINT32_MAX);
}

static void
count_check(const struct rig_port *p, const struct stats_lane *is, enum count count, uint64_t n)
{
	FUZZ_CHECK(is->counts[count] - p->before.counts[count] == n);
}

static void
counters_check(const struct rig_port *p)
{
	bool sender = p == &rig.ports[0];
	struct stats_lane is;

	stats_fold(p->stats, &is);
	for (uint32_t i = 0; i < DROP_N; i++)
		FUZZ_CHECK(is.drops[i] - p->before.drops[i] == p->drops[i]);
	count_check(p, &is, COUNT_TX_FRAMES, p->n_frames);
	count_check(p, &is, COUNT_TX_BYTES, p->n_bytes);
	count_check(p, &is, COUNT_RX_FRAMES, sender ? rig.n_frames : 0);
	count_check(p, &is, COUNT_RX_BYTES, sender ? rig.n_bytes : 0);
	count_check(p, &is, COUNT_FLOODED, p->n_flooded);
	count_check(p, &is, COUNT_PARKED, p->n_parked);
	count_check(p, &is, COUNT_UNPARKED, p->n_unparked);
	count_check(p, &is, COUNT_PARK_KNOWN, p->n_known);
}

void
model_check(void)
{
	uint32_t used[PORTS];

	for (uint32_t i = 0; i < PORTS; i++) {
		used[i] = guest_used(&rig.ports[i].guest);
		FUZZ_CHECK(guest_untouched(&rig.ports[i].guest, used[i]));
		port_begin(&rig.ports[i]);
	}
	n_offered = n_sent = 0;
	model_park_begin();
	for (now = 0; now < rig.n_steps; now++)
		step(&rig.steps[now]);
	FUZZ_CHECK(used[0] == rig.n_frames && n_sent == rig.n_frames);
	for (uint32_t i = 1; i < PORTS; i++)
		FUZZ_CHECK(used[i] == rig.ports[i].next_buf);
	for (uint32_t i = 0; i < PORTS; i++)
		counters_check(&rig.ports[i]);
}
