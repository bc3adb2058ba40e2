/* SPDX-License-Identifier: BSD-3-Clause */
#include "log.h"
#include "session_impl.h"

#include <errno.h>
#include <string.h>

LOG_USE(session);

/*
 * The log is mapped here once more than in the library, which unmaps its own without a word when
 * another comes: ours goes when no worker can mark in it any more.
 */

const char *
session_log_missing(const struct session *s)
{
	if (!session_logging(s))
		return NULL;
	if (s->log == NULL)
		return "front-end has not given the dirty log that it asked to be kept";
	if (s->mem != NULL && !dirty_covers(s->log, s->mem))
		return "dirty log does not cover the guest's memory";
	return NULL;
}

static int
log_map(struct session *s, const struct vhu_msg_context *m, struct dirty **out)
{
	const struct vhu_log *said = &m->payload.log;
	const char *fault = session_file_fault(m->fds[0], said->offset, said->size);
	int rc;

	if (fault != NULL)
		return session_refuse(s, "dirty log %s", fault);
	rc = dirty_map(m->fds[0], said->offset, said->size, s->opts.port, out);
	if (rc < 0)
		return session_refuse(s, "dirty log of %" PRIu64 " bytes at %" PRIu64
				      " cannot be mapped: %s", said->size, said->offset,
				      strerror(-rc));
	if (s->mem == NULL || dirty_covers(*out, s->mem))
		return 0;
	dirty_destroy(*out);
	return session_refuse(s, "dirty log of %" PRIu64 " bytes does not cover the guest's memory",
			      said->size);
}

/* Who cannot change the log while it runs starts again with it, behind this message. */
static void
owner_log_set(struct session *s, const struct dirty *log)
{
	int rc = s->opts.ops->log_set(s->opts.owner, log);

	if (rc == 0)
		return;
	LOG_RL(WARNING, "%s: dirty log: %s; starting all rings again", s->opts.name,
	       strerror(-rc));
	session_hold(s);
}

/*
 * SET_LOG_BASE.  The library answers before the second hook, and the answer means that nothing is
 * marked in the last log any more: so all is done in the first.
 */
int
session_log_pre(struct session *s, const struct vhu_msg_context *m)
{
	struct dirty *old = s->log;
	struct dirty *log;

	if (!s->opts.can_log)
		return session_refuse(s, "SET_LOG_BASE is not supported: writes are not logged");
	if (log_map(s, m, &log) < 0)
		return RTE_VHOST_MSG_RESULT_ERR;
	s->log = log;
	session_moment(s, MOMENT_LOG_BASE, m->payload.log.size);
	if (s->running && session_logging(s))
		owner_log_set(s, log);
	if (!FAULT(SECOND_LOG))
		dirty_destroy(old);
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

/* Without the log that it asks for the front-end must not see a write (QEMU sends it last when it
 * starts rings again in the middle of a migration). */
void
session_log_switch(struct session *s)
{
	static uint32_t n_on;

	session_moment(s, session_logging(s) ? MOMENT_LOG_ON : MOMENT_LOG_OFF, 0);
	if (!s->running || (FAULT(SECOND_ON) && ++n_on > 1))
		return;
	if (session_log_missing(s) != NULL)
		session_hold(s);
	else
		owner_log_set(s, session_logging(s) ? s->log : NULL);
}

void
session_log_drop(struct session *s)
{
	dirty_destroy(s->log);
	s->log = NULL;
}
