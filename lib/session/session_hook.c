/* SPDX-License-Identifier: BSD-3-Clause */
#include "session_impl.h"

#include <rte_ether.h>

#include <string.h>

/*
 * Every message passes here twice: before the library has looked at more than its size, and after
 * the library has carried it out (not when that failed).  With most messages the library holds
 * the access locks of all its queues from before the first to after the second hook; nothing here
 * or below calls what takes them.
 */

/* SEND_RARP: the address is in the first 6 bytes. */
#define ADDRESS_MASK ((1ULL << 48) - 1)

struct rule {
	const char *name;
	uint8_t body;                                /* bytes of payload at least */
	enum { RING_NONE, RING_STATE, RING_U64 } ring; /* where the payload names a ring */
	enum { FDS_NONE, FDS_EVENT, FDS_LOG, FDS_MEMORY } fds;
	int (*pre)(struct session *s, const struct vhu_msg_context *m);
	void (*post)(struct session *s, const struct vhu_msg_context *m);
};

static int
features_pre(struct session *s, const struct vhu_msg_context *m)
{
	uint64_t features = m->payload.u64;

	if ((features & ~s->offered) != 0)
		return session_refuse(s, "features %#" PRIx64 " were not offered",
				      features & ~s->offered);
	/* Logging alone is switched while the rings run. */
	if (((features ^ s->features) & ~(1ULL << VHOST_F_LOG_ALL)) != 0 ||
	    ((features & (1ULL << VIRTIO_NET_F_MQ)) == 0 && s->n_rings > 2))
		session_hold(s);
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

/* Without multiqueue the library frees all queues but the first pair. */
static void
features_post(struct session *s, const struct vhu_msg_context *m)
{
	bool logging = session_logging(s);

	s->features = m->payload.u64;
	if (logging != session_logging(s))
		session_log_switch(s);
	if ((s->features & (1ULL << VIRTIO_NET_F_MQ)) == 0)
		session_rings_forget(s, 2);
}

static int
protocol_features_pre(struct session *s, const struct vhu_msg_context *m)
{
	uint64_t excess = m->payload.u64 & ~s->protocol_offered;

	if (excess != 0)
		return session_refuse(s, "protocol features %#" PRIx64 " were not offered", excess);
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

static void
protocol_features_post(struct session *s, const struct vhu_msg_context *m)
{
	s->protocol_features = m->payload.u64;
}

/*
 * "It is recommended that back-ends either ignore this message, or use it to disable all rings."
 * The library would unmap the memory and forget what it has allocated, so it does not see it.
 */
static int
reset_owner_pre(struct session *s, const struct vhu_msg_context *m)
{
	session_hold(s);
	session_rings_disable(s);
	return RTE_VHOST_MSG_RESULT_OK;
}

static int
queue_num_pre(struct session *s, const struct vhu_msg_context *m)
{
	struct vhu_msg_context *answer = (struct vhu_msg_context *)(uintptr_t)m;

	answer->payload.u64 = s->opts.n_pairs_max;
	answer->size = sizeof(answer->payload.u64);
	return RTE_VHOST_MSG_RESULT_REPLY;
}

/* The first one comes before the rings are started: the guest arrives from another host. */
static void
rarp_post(struct session *s, const struct vhu_msg_context *m)
{
	struct rte_ether_addr mac;

	memcpy(&mac, &m->payload.u64, sizeof(mac));
	if (!rte_is_valid_assigned_ether_addr(&mac))
		return;
	session_moment(s, MOMENT_ANNOUNCED, m->payload.u64 & ADDRESS_MASK);
	s->opts.ops->announce(s->opts.owner, &mac);
}

static const struct rule rules[VHU_REQUESTS] = {
	[VHU_GET_FEATURES] = { "GET_FEATURES", 0, RING_NONE, FDS_NONE, NULL, NULL },
	[VHU_SET_FEATURES] = { "SET_FEATURES", 8, RING_NONE, FDS_NONE,
			       features_pre, features_post },
	[VHU_SET_OWNER] = { "SET_OWNER", 0, RING_NONE, FDS_NONE, NULL, NULL },
	[VHU_RESET_OWNER] = { "RESET_OWNER", 0, RING_NONE, FDS_NONE, reset_owner_pre, NULL },
	[VHU_SET_MEM_TABLE] = { "SET_MEM_TABLE", 8, RING_NONE, FDS_MEMORY,
				session_mem_pre, session_mem_post },
	[VHU_SET_LOG_BASE] = { "SET_LOG_BASE", sizeof(struct vhu_log), RING_NONE, FDS_LOG,
			       session_log_pre, NULL },
	[VHU_SET_VRING_NUM] = { "SET_VRING_NUM", 8, RING_STATE, FDS_NONE,
				session_num_pre, session_num_post },
	[VHU_SET_VRING_ADDR] = { "SET_VRING_ADDR", 40, RING_STATE, FDS_NONE,
				 session_addr_pre, session_addr_post },
	[VHU_SET_VRING_BASE] = { "SET_VRING_BASE", 8, RING_STATE, FDS_NONE,
				 session_base_pre, session_base_post },
	[VHU_GET_VRING_BASE] = { "GET_VRING_BASE", 8, RING_STATE, FDS_NONE,
				 session_stop_pre, session_stop_post },
	[VHU_SET_VRING_KICK] = { "SET_VRING_KICK", 8, RING_U64, FDS_EVENT,
				 session_eventfd_pre, session_kick_post },
	[VHU_SET_VRING_CALL] = { "SET_VRING_CALL", 8, RING_U64, FDS_EVENT,
				 session_eventfd_pre, session_call_post },
	[VHU_SET_VRING_ERR] = { "SET_VRING_ERR", 8, RING_U64, FDS_EVENT, NULL, NULL },
	[VHU_GET_PROTOCOL_FEATURES] = { "GET_PROTOCOL_FEATURES", 0, RING_NONE, FDS_NONE,
					NULL, NULL },
	[VHU_SET_PROTOCOL_FEATURES] = { "SET_PROTOCOL_FEATURES", 8, RING_NONE, FDS_NONE,
					protocol_features_pre, protocol_features_post },
	[VHU_GET_QUEUE_NUM] = { "GET_QUEUE_NUM", 0, RING_NONE, FDS_NONE, queue_num_pre, NULL },
	[VHU_SET_VRING_ENABLE] = { "SET_VRING_ENABLE", 8, RING_STATE, FDS_NONE,
				   NULL, session_enable_post },
	[VHU_SEND_RARP] = { "SEND_RARP", 8, RING_NONE, FDS_NONE, NULL, rarp_post },
	[VHU_NET_SET_MTU] = { "NET_SET_MTU", 8, RING_NONE, FDS_NONE, NULL, NULL },
	[VHU_SET_STATUS] = { "SET_STATUS", 8, RING_NONE, FDS_NONE, NULL, NULL },
	[VHU_GET_STATUS] = { "GET_STATUS", 0, RING_NONE, FDS_NONE, NULL, NULL },
};

const char *
session_request_name(uint32_t request)
{
	return request < VHU_REQUESTS ? rules[request].name : NULL;
}

/* Ends a message whose second hook did not come: the library could not carry it out. */
void
session_open_end(struct session *s)
{
	s->open = 0;
	session_fd_drop(&s->taken);
}

static int
fds_check(struct session *s, const struct rule *rule, const struct vhu_msg_context *m)
{
	bool event = rule->fds == FDS_EVENT && (m->payload.u64 & VHU_RING_NOFD) == 0;
	int expected = event || rule->fds == FDS_LOG;

	if (rule->fds == FDS_MEMORY) /* as many as regions: its handler counts them */
		return 0;
	if (m->fd_num != expected)
		return session_refuse(s, "%s with %d descriptors", rule->name, m->fd_num);
	if (event && !session_fd_is_event(m->fds[0]))
		return session_refuse(s, "%s: descriptor is not an eventfd", rule->name);
	return 0;
}

static int
ring_check(struct session *s, const struct rule *rule, const struct vhu_msg_context *m)
{
	uint32_t qid = rule->ring == RING_U64 ? m->payload.u64 & VHU_RING_MASK
					      : m->payload.state.index;

	if (rule->ring == RING_NONE)
		return 0;
	if (qid >= 2u * s->opts.n_pairs_max)
		return session_refuse(s, "%s for ring %u of %u", rule->name, qid,
				      2u * s->opts.n_pairs_max);
	s->n_rings = RTE_MAX(s->n_rings, qid + 1);
	return 0;
}

static int
message_check(struct session *s, const struct vhu_msg_context *m)
{
	const struct rule *rule;

	if (session_conn_stalled(s)) {
		session_conn_end(s);
		return session_refuse(s, "front-end does not read its answers");
	}
	if (session_request_name(m->request) == NULL)
		return session_refuse(s, "request %u is not supported", m->request);
	rule = &rules[m->request];
	if ((m->flags & (VHU_VERSION_MASK | VHU_REPLY)) != VHU_VERSION)
		return session_refuse(s, "%s with flags %#x", rule->name, m->flags);
	if (m->size < rule->body)
		return session_refuse(s, "%s is cut at %u bytes", rule->name, m->size);
	if (fds_check(s, rule, m) < 0)
		return RTE_VHOST_MSG_RESULT_ERR;
	return ring_check(s, rule, m);
}

static int
message_open(struct session *s, struct vhu_msg_context *m)
{
	const struct rule *rule;
	int result = RTE_VHOST_MSG_RESULT_NOT_HANDLED;

	session_open_end(s);
	if (message_check(s, m) < 0)
		return RTE_VHOST_MSG_RESULT_ERR;
	rule = &rules[m->request];
	if (rule->pre != NULL)
		result = rule->pre(s, m);
	s->open = result == RTE_VHOST_MSG_RESULT_ERR ? 0 : m->request;
	return result;
}

static enum rte_vhost_msg_result
on_pre(int vid, void *msg)
{
	struct vhu_msg_context *m = msg;
	struct session *s = session_map_lock(vid);
	int result = RTE_VHOST_MSG_RESULT_ERR; /* of a session that has let go of this vid */

	gmem_guard_thread(false); /* the message before may have had no second hook */
	if (s != NULL) {
		result = message_open(s, m);
		pthread_mutex_unlock(s->opts.lock);
	}
	if (result != RTE_VHOST_MSG_RESULT_NOT_HANDLED)
		session_fds_close(m);
	return result;
}

static enum rte_vhost_msg_result
on_post(int vid, void *msg)
{
	struct session *s = session_map_lock(vid);

	if (s == NULL)
		return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	if (s->open != 0 && rules[s->open].post != NULL)
		rules[s->open].post(s, msg);
	session_open_end(s);
	session_resume(s);
	pthread_mutex_unlock(s->opts.lock);
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

const struct rte_vhost_user_extern_ops session_hooks = {
	.pre_msg_handle = on_pre,
	.post_msg_handle = on_post,
};
