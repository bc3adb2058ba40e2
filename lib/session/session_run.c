/* SPDX-License-Identifier: BSD-3-Clause */
#include "log.h"
#include "session_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

LOG_USE(session);

void
session_quiesce(struct session *s)
{
	if (!s->running)
		return;
	for (uint16_t i = 0; i < s->n_run; i++)
		s->pos[i] = s->rings[i].pos;
	s->opts.ops->quiesce(s->opts.owner, s->pos);
	s->running = false;
	for (uint16_t i = 0; i < s->n_run; i++)
		if (s->rings[i].started)
			s->rings[i].pos = s->pos[i];
}

/* As rte_vhost_set_vring_base() wants it: the wrap counter above 15 bits of a packed index. */
static uint16_t
base_encode(const struct session *s, const struct vring_pos *pos)
{
	if (!session_packed(s))
		return pos->used;
	return (uint16_t)((pos->used & 0x7fff) | (pos->used_wrap ? 0x8000 : 0));
}

/*
 * What the library holds is what GET_VRING_BASE answers and what it compares with the guest's used
 * index at every translation, so both of its indexes are set to where the ring is.  `used` for
 * both: a device that was stopped ahead of its completions takes those entries again, which a
 * network may.
 */
void
session_hold(struct session *s)
{
	session_quiesce(s);
	for (uint16_t i = 0; i < s->n_rings; i++) {
		uint16_t base = base_encode(s, &s->rings[i].pos);

		if (s->rings[i].started)
			rte_vhost_set_vring_base(s->vid, i, base, base);
	}
}

uint16_t
session_n_started(const struct session *s)
{
	uint16_t n = 0;

	for (uint16_t i = 0; i < s->n_rings; i++)
		n += s->rings[i].started;
	return n;
}

static bool
runnable(const struct session *s)
{
	return s->vid >= 0 && !s->dying && s->broken[0] == '\0' && s->mem != NULL &&
	       session_n_started(s) != 0 && session_log_missing(s) == NULL;
}

/* Whether a started ring is not at its beginning. */
static bool
begun(const struct session *s)
{
	for (uint16_t i = 0; i < s->n_rings; i++)
		if (s->rings[i].started && s->rings[i].pos.avail != 0)
			return true;
	return false;
}

static void
run(struct session *s)
{
	struct vdev_cfg cfg = {
		.vid = s->vid,
		.port = s->opts.port,
		.mem = s->mem,
		.features = s->features & ~(1ULL << VHOST_F_LOG_ALL),
		.log = session_logging(s) ? s->log : NULL,
		.n_rings = s->n_rings,
		.rings = s->rings,
	};
	int rc;

	session_rings_settle(s);
	rc = s->opts.ops->run(s->opts.owner, &cfg);
	if (rc < 0) {
		snprintf(s->broken, sizeof(s->broken), "rings cannot run: %s", strerror(-rc));
		LOG_RL(ERR, "%s: %s", s->opts.name, s->broken);
		return;
	}
	s->running = true;
	s->n_run = s->n_rings;
	s->refused[0] = '\0';
	if (s->arriving)
		s->opts.ops->arrived(s->opts.owner, s->features, !s->ran && begun(s));
	s->arriving = false;
	s->ran = true;
}

void
session_resume(struct session *s)
{
	if (!s->running && session_mem_faulted(s))
		snprintf(s->broken, sizeof(s->broken), "%s", vring_bad_texts[VRING_BAD_MEMORY]);
	if (!s->running && runnable(s))
		run(s);
	session_state_update(s);
}

void
session_ring_set(struct session *s, uint16_t qid)
{
	const struct vdev_ring *r = &s->rings[qid];
	struct vdev_ring_set how = {
		.enabled = r->enabled,
		.kickfd = r->kickfd,
		.callfd = r->callfd,
	};
	int rc;

	if (!s->running)
		return;
	rc = s->opts.ops->ring_set(s->opts.owner, qid, &how);
	if (rc < 0) {
		LOG_RL(WARNING, "%s: ring %u: %s; starting all rings again", s->opts.name, qid,
		       strerror(-rc));
		session_quiesce(s);
	}
}

static const char *
waiting_for(const struct session *s)
{
	if (s->vid < 0)
		return "no front-end is connected";
	if (session_n_started(s) == 0)
		return "front-end has not started a ring";
	if (s->mem == NULL)
		return "front-end has not announced its memory";
	return session_log_missing(s);
}

static enum session_state
state_now(const struct session *s, const char **reason)
{
	*reason = "";
	if (s->running)
		return SESSION_UP;
	*reason = s->broken[0] != '\0' ? s->broken : s->refused;
	if ((*reason)[0] != '\0')
		return SESSION_BROKEN;
	*reason = waiting_for(s);
	return SESSION_WAITING;
}

static void
state_log(const struct session *s)
{
	if (s->state == SESSION_UP)
		LOG_RL(INFO, "%s: up, %s rings, features %#" PRIx64, s->opts.name,
		       session_packed(s) ? "packed" : "split", s->features);
	else if (s->state == SESSION_WAITING)
		LOG_RL(INFO, "%s: waiting, %s", s->opts.name, s->reason);
}

void
session_state_update(struct session *s)
{
	const char *reason;
	enum session_state state = state_now(s, &reason);

	if (s->dying || (state == s->state && strcmp(reason, s->reason) == 0))
		return;
	s->state = state;
	snprintf(s->reason, sizeof(s->reason), "%s", reason);
	state_log(s);
	s->opts.ops->changed(s->opts.owner);
}

void
session_moment(const struct session *s, enum moment moment, uint64_t value)
{
	if (s->opts.ops->moment != NULL)
		s->opts.ops->moment(s->opts.owner, moment, value);
}

int
session_refuse(struct session *s, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(s->refused, sizeof(s->refused), fmt, args);
	va_end(args);
	LOG_RL(WARNING, "%s: refused: %s", s->opts.name, s->refused);
	session_state_update(s);
	return RTE_VHOST_MSG_RESULT_ERR;
}
