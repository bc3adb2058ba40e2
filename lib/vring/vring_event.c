/* SPDX-License-Identifier: BSD-3-Clause */
#include "vring_impl.h"

/*
 * Both formats ask the same question: does the entry that the driver named lie among the `since`
 * entries that have just become visible?  `dist` is how far it lies behind the position.
 */
static bool
passed(uint32_t dist, uint32_t since)
{
	return dist >= 1 && dist <= since;
}

static bool
split_wants_call(const struct vring *r, uint32_t since)
{
	uint16_t event;

	if (!r->event_idx)
		return (__atomic_load_n(&r->split.avail->flags, __ATOMIC_RELAXED) &
			AVAIL_NO_INTERRUPT) == 0;
	event = __atomic_load_n(split_used_event(r), __ATOMIC_RELAXED);
	return passed((uint16_t)(r->idx - event), since);
}

static bool
packed_wants_call(const struct vring *r, uint32_t since)
{
	uint16_t flags = __atomic_load_n(&r->packed.driver->flags, __ATOMIC_ACQUIRE);
	uint16_t event;
	int32_t dist;

	if (flags != EVENT_DESC || !r->event_idx)
		return flags != EVENT_DISABLE;
	event = __atomic_load_n(&r->packed.driver->off_wrap, __ATOMIC_RELAXED);
	dist = (int32_t)r->idx - (event & 0x7fff);
	if ((event >> 15 != 0) != r->wrap)
		dist += r->size;
	return dist > 0 && passed((uint32_t)dist, since);
}

bool
vring_publish(struct vring *r)
{
	const struct dirty *log = vring_log(r);
	uint32_t since = r->unpublished;
	struct vring_pos pos;

	if (since == 0)
		return false;
	r->unpublished = 0;
	if (FAULT(EARLY_INDEX))
		vring_fault_publish(r);
	if (r->is_packed) {
		__atomic_store_n(&r->packed.desc[r->head_slot].flags, r->head_flags, __ATOMIC_RELEASE);
		r->pending = false;
	} else {
		__atomic_store_n(&r->split.used->idx, r->idx, __ATOMIC_RELEASE);
	}
	pos = vring_pos(r);
	atomic_store_explicit(&r->shown, vring_pos_encode(true, &pos), memory_order_relaxed);
	/* The driver stores its event field, then looks at the ring; we the other way round.  One
	 * of both sees the other's store only if neither look can pass its own store.  Nor may the
	 * look at the log. */
	atomic_thread_fence(memory_order_seq_cst);
	if (unlikely(log != NULL))
		vring_log_index(r, log);
	return r->is_packed ? packed_wants_call(r, since) : split_wants_call(r, since);
}

static void
split_arm(const struct vring *r)
{
	if (r->event_idx)
		__atomic_store_n(split_avail_event(r), r->idx, __ATOMIC_RELAXED);
	else
		__atomic_store_n(&r->split.used->flags, 0, __ATOMIC_RELAXED);
}

static void
packed_arm(const struct vring *r)
{
	uint16_t here = r->idx | (uint16_t)(r->wrap << 15);

	if (r->event_idx)
		__atomic_store_n(&r->packed.device->off_wrap, here, __ATOMIC_RELAXED);
	__atomic_store_n(&r->packed.device->flags, r->event_idx ? EVENT_DESC : EVENT_ENABLE,
			 __ATOMIC_RELEASE);
}

static bool
available(const struct vring *r)
{
	if (r->is_packed)
		return packed_available(__atomic_load_n(&r->packed.desc[r->idx].flags,
							__ATOMIC_ACQUIRE), r->wrap);
	return __atomic_load_n(&r->split.avail->idx, __ATOMIC_ACQUIRE) != r->idx;
}

bool
vring_arm(struct vring *r)
{
	const struct dirty *log = vring_log(r);

	if (vring_bad(r) != VRING_BAD_NONE)
		return false;
	if (r->is_packed)
		packed_arm(r);
	else
		split_arm(r);
	/* As in vring_publish(), seen from the other side. */
	atomic_thread_fence(memory_order_seq_cst);
	if (unlikely(log != NULL))
		vring_log_event(r, log, true);
	return available(r);
}

void
vring_disarm(struct vring *r)
{
	const struct dirty *log = vring_log(r);

	if (vring_bad(r) != VRING_BAD_NONE)
		return;
	/* With a split event index silence needs no store: the driver has passed the last one. */
	if (!r->is_packed && r->event_idx)
		return;
	if (r->is_packed)
		__atomic_store_n(&r->packed.device->flags, EVENT_DISABLE, __ATOMIC_RELAXED);
	else
		__atomic_store_n(&r->split.used->flags, USED_NO_NOTIFY, __ATOMIC_RELAXED);
	if (unlikely(log != NULL)) {
		dirty_order();
		vring_log_event(r, log, false);
	}
}

static void
split_asked(const struct vring *r, uint16_t idx, struct vring_asked *out)
{
	uint16_t event;

	out->waiting = __atomic_load_n(&r->split.avail->idx, __ATOMIC_ACQUIRE) != idx;
	if (!r->event_idx) {
		out->kicks = (__atomic_load_n(&r->split.used->flags, __ATOMIC_RELAXED) &
			      USED_NO_NOTIFY) == 0;
		out->calls = (__atomic_load_n(&r->split.avail->flags, __ATOMIC_RELAXED) &
			      AVAIL_NO_INTERRUPT) == 0;
		return;
	}
	out->kicks = __atomic_load_n(split_avail_event(r), __ATOMIC_RELAXED) == idx;
	event = __atomic_load_n(split_used_event(r), __ATOMIC_RELAXED);
	out->calls = (uint16_t)(event - idx) < r->size;
}

/* Whether an event structure names an entry of the lap that begins at the position; those before
 * it have been passed. */
static bool
packed_ahead(const struct vring *r, const struct vring_pos *pos, uint16_t event, uint16_t most)
{
	int32_t dist = (event & 0x7fff) - (int32_t)pos->used;

	if ((event >> 15 != 0) != pos->used_wrap)
		dist += r->size;
	return dist >= 0 && dist <= most;
}

static void
packed_asked(const struct vring *r, const struct vring_pos *pos, struct vring_asked *out)
{
	uint16_t device = __atomic_load_n(&r->packed.device->flags, __ATOMIC_ACQUIRE);
	uint16_t driver = __atomic_load_n(&r->packed.driver->flags, __ATOMIC_ACQUIRE);

	out->waiting = packed_available(__atomic_load_n(&r->packed.desc[pos->used].flags,
							__ATOMIC_ACQUIRE), pos->used_wrap);
	out->kicks = device != EVENT_DISABLE;
	out->calls = driver != EVENT_DISABLE;
	if (!r->event_idx)
		return;
	if (device == EVENT_DESC)
		out->kicks = packed_ahead(r, pos, __atomic_load_n(&r->packed.device->off_wrap,
								  __ATOMIC_RELAXED), 0);
	if (driver == EVENT_DESC)
		out->calls = packed_ahead(r, pos, __atomic_load_n(&r->packed.driver->off_wrap,
								  __ATOMIC_RELAXED), r->size - 1);
}

bool
vring_asked(const struct vring *r, struct vring_asked *out)
{
	uint32_t shown = atomic_load_explicit(&r->shown, memory_order_relaxed);
	struct vring_pos pos;

	if (vring_bad(r) != VRING_BAD_NONE)
		return false;
	if (r->is_packed) {
		pos = vring_pos_decode(true, shown);
		packed_asked(r, &pos, out);
	} else {
		split_asked(r, shown & 0xffff, out);
	}
	return true;
}
