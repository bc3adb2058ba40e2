/* SPDX-License-Identifier: BSD-3-Clause */
#include "shadow_impl.h"

static uint64_t
guest_event_gpa(const struct shadow *s)
{
	if (s->is_packed || !s->event_idx)
		return s->device_gpa;
	return s->device_gpa + offsetof(struct split_used, ring) + 8ULL * s->size;
}

static void
guest_event_mark(const struct shadow *s)
{
	if (s->mark != NULL)
		s->mark(s->mark_arg, guest_event_gpa(s),
			s->is_packed ? sizeof(struct packed_event) : sizeof(uint16_t));
}

static void
guest_split_arm(const struct shadow *s)
{
	if (s->event_idx)
		__atomic_store_n(avail_event_of(s->split.used, s->size), s->avail,
				 __ATOMIC_RELAXED);
	else
		__atomic_store_n(&s->split.used->flags, 0, __ATOMIC_RELAXED);
}

static void
guest_packed_arm(const struct shadow *s)
{
	const uint16_t here = s->avail | (uint16_t)(s->avail_wrap << 15);

	if (s->event_idx)
		__atomic_store_n(&s->packed.device->off_wrap, here, __ATOMIC_RELAXED);
	__atomic_store_n(&s->packed.device->flags, s->event_idx ? EVENT_DESC : EVENT_ENABLE,
			 __ATOMIC_RELEASE);
}

static bool
guest_ready(const struct shadow *s)
{
	if (s->is_packed)
		return s->slots_out < s->size &&
		       packed_available(__atomic_load_n(&s->packed.desc[s->avail].flags,
							__ATOMIC_ACQUIRE), s->avail_wrap);
	return __atomic_load_n(&s->split.avail->idx, __ATOMIC_ACQUIRE) != s->avail;
}

/* Whether a chain that comes now could be taken. */
static bool
guest_room(const struct shadow *s)
{
	return running(s) && !s->blocked && descs_free(s) > 0;
}

static void
device_arm(const struct shadow *s)
{
	if (s->dev.event_idx)
		__atomic_store_n(used_event_of(s->dev.avail, s->dev.size), s->dev.used_seen,
				 __ATOMIC_RELAXED);
	else
		__atomic_store_n(&s->dev.avail->flags, 0, __ATOMIC_RELAXED);
}

static bool
device_ready(const struct shadow *s)
{
	return shadow_fault(s) == SHADOW_FAULT_NONE &&
	       __atomic_load_n(&s->dev.used->idx, __ATOMIC_ACQUIRE) != s->dev.used_seen;
}

/* A chain that was skipped waits for nobody. */
static bool
skipped_ready(const struct shadow *s)
{
	return s->n_out > 0 && rec_at(s, s->dev.first)->state == REC_SKIPPED;
}

bool
shadow_arm(struct shadow *s, unsigned int sides)
{
	const bool guest = (sides & SHADOW_GUEST) != 0 && guest_room(s);
	const bool device = (sides & SHADOW_DEVICE) != 0;

	if (guest && s->is_packed)
		guest_packed_arm(s);
	else if (guest)
		guest_split_arm(s);
	if (device)
		device_arm(s);
	/* As when an index is published, seen from the other side. */
	device_fence();
	if (guest)
		guest_event_mark(s);
	return (guest && guest_ready(s)) || (device && device_ready(s)) || skipped_ready(s);
}

/* With a split event index silence needs no store: the other side has passed the last one. */
static void
guest_disarm(const struct shadow *s)
{
	if (!s->is_packed && s->event_idx)
		return;
	if (s->is_packed)
		__atomic_store_n(&s->packed.device->flags, EVENT_DISABLE, __ATOMIC_RELAXED);
	else
		__atomic_store_n(&s->split.used->flags, USED_NO_NOTIFY, __ATOMIC_RELAXED);
	guest_fence();
	guest_event_mark(s);
}

void
shadow_disarm(struct shadow *s, unsigned int sides)
{
	if ((sides & SHADOW_GUEST) != 0 && shadow_bad(s) == SHADOW_BAD_NONE)
		guest_disarm(s);
	if ((sides & SHADOW_DEVICE) != 0 && !s->dev.event_idx)
		__atomic_store_n(&s->dev.avail->flags, AVAIL_NO_INTERRUPT, __ATOMIC_RELAXED);
}
