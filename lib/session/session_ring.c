/* SPDX-License-Identifier: BSD-3-Clause */
#include "call.h"
#include "log.h"
#include "session_impl.h"

#include <errno.h>
#include <string.h>

LOG_USE(session);

#define SIZE_MAX_VIRTIO 32768

static void
ring_forget(struct session *s, uint16_t qid)
{
	struct vdev_ring *r = &s->rings[qid];

	session_fd_drop(&r->kickfd);
	session_fd_drop(&r->callfd);
	memset(&s->said[qid], 0, sizeof(s->said[qid]));
	*r = (struct vdev_ring){ .kickfd = -1, .callfd = -1 };
}

void
session_rings_forget(struct session *s, uint16_t first)
{
	for (uint16_t i = first; i < s->n_rings; i++)
		ring_forget(s, i);
	s->n_rings = RTE_MIN(s->n_rings, first);
}

void
session_rings_disable(struct session *s)
{
	for (uint16_t i = 0; i < s->n_rings; i++)
		s->rings[i].enabled = false;
}

/* What a message says about a started ring must not reach the library while the ring moves. */
static void
hold_started(struct session *s, uint32_t qid)
{
	if (s->rings[qid].started)
		session_hold(s);
}

/*
 * SET_VRING_NUM.  The library would end the connection for a size that no ring can have; it is
 * kept from it, and the provider breaks that ring by name.
 */
int
session_num_pre(struct session *s, const struct vhu_msg_context *m)
{
	uint32_t num = m->payload.state.num;
	bool valid = num != 0 && num <= SIZE_MAX_VIRTIO &&
		     (session_packed(s) || (num & (num - 1)) == 0);

	hold_started(s, m->payload.state.index);
	return valid ? RTE_VHOST_MSG_RESULT_NOT_HANDLED : RTE_VHOST_MSG_RESULT_OK;
}

void
session_num_post(struct session *s, const struct vhu_msg_context *m)
{
	uint32_t num = m->payload.state.num;

	s->rings[m->payload.state.index].size = num > SIZE_MAX_VIRTIO ? 0 : num;
}

/*
 * Told once more, for the log flag: rings that run need not stand for it.  Nor is it the library's:
 * it would look for the ring's position in a used index that moves, and complain.
 */
static bool
addr_same(const struct session *s, const struct vhost_vring_addr *a)
{
	const struct ring *said = &s->said[a->index];

	return s->running && s->rings[a->index].started && said->addr_given && said->desc.v == a->desc_user_addr &&
	       said->driver.v == a->avail_user_addr && said->device.v == a->used_user_addr;
}

int
session_addr_pre(struct session *s, const struct vhu_msg_context *m)
{
	struct vhost_vring_addr a = m->payload.addr; /* unaligned there */

	if (s->mem == NULL)
		return session_refuse(s, "ring %u: addresses without memory", a.index);
	if (addr_same(s, &a))
		return RTE_VHOST_MSG_RESULT_OK;
	hold_started(s, a.index);
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

void
session_addr_post(struct session *s, const struct vhu_msg_context *m)
{
	struct vhost_vring_addr a = m->payload.addr; /* unaligned there */
	struct ring *said = &s->said[a.index];

	if (addr_same(s, &a))
		return;
	said->desc.v = a.desc_user_addr;
	said->driver.v = a.avail_user_addr;
	said->device.v = a.used_user_addr;
	said->addr_given = true;
	said->resync = true; /* another used ring may stand elsewhere */
}

int
session_base_pre(struct session *s, const struct vhu_msg_context *m)
{
	hold_started(s, m->payload.state.index);
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

static void
base_apply(struct session *s, uint16_t qid)
{
	struct ring *said = &s->said[qid];

	if (said->base_given)
		s->rings[qid].pos = vring_pos_decode(session_packed(s), said->base);
	said->base_given = false;
	said->resync = true;
}

void
session_base_post(struct session *s, const struct vhu_msg_context *m)
{
	uint16_t qid = m->payload.state.index;

	s->said[qid].base = m->payload.state.num;
	s->said[qid].base_given = true;
	if (s->rings[qid].started)
		base_apply(s, qid);
}

/* Rings that stop while their guest's memory is copied belong to a guest that leaves. */
static void
stop_tell(const struct session *s, enum moment moment, uint16_t qid)
{
	if (session_logging(s))
		session_moment(s, moment, qid);
}

static uint16_t
n_reachable(const struct session *s)
{
	uint16_t n = 0;

	for (uint16_t i = 0; i < s->n_rings; i += 2)
		n += s->rings[i].started && s->rings[i].enabled;
	return n;
}

/* Before any ring stops: from the first on what is for the guest must go somewhere else. */
static void
guest_leaves(struct session *s)
{
	if (!session_logging(s) || s->left)
		return;
	s->left = true;
	s->opts.ops->leaving(s->opts.owner, s->features, n_reachable(s));
}

/*
 * GET_VRING_BASE stops a ring.  The answer is what the library has as its position, so all of them
 * are set before it looks.  It closes its descriptors of the ring, and whoever starts the ring
 * again brings new ones and new addresses: keeping the old would make a ring look complete that
 * the next guest has not set up.
 */
int
session_stop_pre(struct session *s, const struct vhu_msg_context *m)
{
	uint16_t qid = m->payload.state.index;
	struct vdev_ring *r = &s->rings[qid];
	struct ring *said = &s->said[qid];

	if (r->started) {
		stop_tell(s, MOMENT_STOP, qid);
		guest_leaves(s);
		session_hold(s);
		stop_tell(s, MOMENT_DRAINED, qid);
		LOG(DEBUG, "%s: ring %u stopped at %u", s->opts.name, qid, r->pos.used);
	}
	r->started = false;
	session_fd_drop(&r->kickfd);
	session_fd_drop(&r->callfd);
	*said = (struct ring){ .base = said->base, .base_given = said->base_given };
	/* The front-end harvests its log a last time now, and gives another with the next start. */
	if (session_n_started(s) == 0)
		session_log_drop(s);
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

/* The answer has been sent. */
void
session_stop_post(struct session *s, const struct vhu_msg_context *m)
{
	if (session_n_started(s) == 0)
		stop_tell(s, MOMENT_BASE, m->payload.state.index);
}

/* SET_VRING_KICK, _CALL: our duplicate is made while a refusal is still possible. */
int
session_eventfd_pre(struct session *s, const struct vhu_msg_context *m)
{
	if ((m->payload.u64 & VHU_RING_NOFD) != 0)
		return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	s->taken = session_fd_take(m->fds[0]);
	if (s->taken < 0)
		return session_refuse(s, "no descriptor left: %s", strerror(-s->taken));
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

/* Puts the descriptor that was taken in the place of `*fd`; returns the one that it replaces. */
static int
taken_swap(struct session *s, int *fd)
{
	int old = *fd;

	*fd = s->taken;
	s->taken = -1;
	return old;
}

static void
ring_start(struct session *s, uint16_t qid)
{
	bool first = session_n_started(s) == 0;

	session_quiesce(s);
	s->left = false;
	s->arriving = true;
	s->rings[qid].started = true;
	base_apply(s, qid);
	if (first)
		session_moment(s, MOMENT_STARTED, s->rings[qid].pos.avail);
	session_moment(s, MOMENT_READY, qid);
}

/* SET_VRING_KICK starts a ring; on one that is started it replaces the descriptor. */
void
session_kick_post(struct session *s, const struct vhu_msg_context *m)
{
	uint16_t qid = m->payload.u64 & VHU_RING_MASK;
	struct vdev_ring *r = &s->rings[qid];
	int old = taken_swap(s, &r->kickfd);

	/* "If VHOST_USER_F_PROTOCOL_FEATURES has not been negotiated, the ring starts directly in
	 * the enabled state." */
	if ((s->features & (1ULL << VHOST_USER_F_PROTOCOL_FEATURES)) == 0)
		r->enabled = true;
	s->broken[0] = '\0';
	if (r->started)
		session_ring_set(s, qid);
	else
		ring_start(s, qid);
	session_fd_drop(&old);
}

/*
 * The front-end may have missed what was signalled on the old descriptor (QEMU replaces a masked
 * notifier by the real one after the ring was started), so the new one gets an interrupt.
 */
void
session_call_post(struct session *s, const struct vhu_msg_context *m)
{
	uint16_t qid = m->payload.u64 & VHU_RING_MASK;
	struct vdev_ring *r = &s->rings[qid];
	int old = taken_swap(s, &r->callfd);

	if (r->started)
		session_ring_set(s, qid);
	session_fd_drop(&old);
	if (r->started)
		call_send(r->callfd);
}

void
session_enable_post(struct session *s, const struct vhu_msg_context *m)
{
	struct vdev_ring *r = &s->rings[m->payload.state.index];
	bool enabled = m->payload.state.num != 0;

	if (r->enabled == enabled)
		return;
	r->enabled = enabled;
	if (r->started)
		session_ring_set(s, m->payload.state.index);
}

/* Lengths of the three areas, virtio 1.2, 2.7 and 2.8. */
struct areas {
	uint64_t desc, driver, device;
};

static struct areas
areas_of(const struct session *s, uint16_t size)
{
	uint64_t event = (s->features & (1ULL << VIRTIO_RING_F_EVENT_IDX)) != 0 ? 2 : 0;

	if (session_packed(s))
		return (struct areas){ size * 16ULL, 4, 4 };
	return (struct areas){ size * 16ULL, 4 + size * 2ULL + event, 4 + size * 8ULL + event };
}

static gpa_t
translate(const struct session *s, uva_t uva, uint64_t len)
{
	gpa_t gpa;

	return gmem_gpa(s->mem, uva, len, &gpa) < 0 ? GPA_NOWHERE : gpa;
}

static void
ring_translate(const struct session *s, uint16_t qid)
{
	struct vdev_ring *r = &s->rings[qid];
	const struct ring *said = &s->said[qid];
	struct areas len = areas_of(s, r->size);

	r->desc = r->driver = r->device = GPA_NOWHERE;
	if (!said->addr_given)
		return;
	r->desc = translate(s, said->desc, len.desc);
	r->driver = translate(s, said->driver, len.driver);
	r->device = translate(s, said->device, len.device);
}

/*
 * The authority on where a split ring goes on is the index that its driver sees.  It differs from
 * what SET_VRING_BASE said after a back-end died without saying where it was, or stopped with
 * frames in flight: those are then sent again, or lost, as a network may.
 */
static void
ring_resync(struct session *s, uint16_t qid)
{
	struct vdev_ring *r = &s->rings[qid];
	gpa_t gpa = { r->device.v + offsetof(struct vring_used, idx) };
	const uint16_t *idx;
	uint16_t used;

	if (session_packed(s) || r->device.v == UINT64_MAX || (r->device.v & 1) != 0)
		return;
	idx = gmem_at(s->mem, gpa, sizeof(*idx));
	if (idx == NULL)
		return;
	used = __atomic_load_n(idx, __ATOMIC_ACQUIRE);
	if (r->pos.avail != used || r->pos.used != used)
		LOG_RL(INFO, "%s: ring %u starts at its used index %u, not at %u", s->opts.name,
		       qid, used, r->pos.avail);
	r->pos.avail = r->pos.used = used;
}

void
session_rings_settle(struct session *s)
{
	for (uint16_t i = 0; i < s->n_rings; i++) {
		if (!s->rings[i].started)
			continue;
		ring_translate(s, i);
		s->rings[i].told = s->said[i].resync;
		if (s->said[i].resync)
			ring_resync(s, i);
		s->said[i].resync = false;
	}
}
