/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_SESSION_IMPL_H
#define FERRY_SESSION_IMPL_H

/*
 * Inside of lib/session.
 *
 *   session.c       life: create, destroy, break, info
 *   session_path.c  the socket file
 *   session_conn.c  connections: accept, refuse, end; the connection's descriptor
 *   session_map.c   from a vid or a path to its session
 *   session_hook.c  messages: checks and dispatch, before and after the library
 *   session_ring.c  what messages say about rings
 *   session_mem.c   what messages say about memory
 *   session_log.c   what messages say about the dirty log
 *   session_run.c   quiesce, run, state
 *   session_fd.c    descriptors that came with a message
 *   session_recv.c  descriptors that the library would forget
 *   session_accept.c  front-ends that the library need not see
 *
 * Everything in struct session is written with opts.lock held, except its list entry.
 */

#include "session.h"
#include "session_msg.h"

#include <rte_vhost.h>

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#include <sys/queue.h>

/* An address that no guest has: the provider finds the ring outside of the memory. */
#define GPA_NOWHERE ((gpa_t){ UINT64_MAX })

/* What the front-end said about a ring, beside what its owner is told (struct vdev_ring). */
struct ring {
	uva_t desc, driver, device;
	bool addr_given;
	uint32_t base;     /* as SET_VRING_BASE carried it */
	bool base_given;   /* not applied yet */
	bool resync;       /* the position is only told: the ring itself has the last word */
};

struct session {
	LIST_ENTRY(session) entry; /* under the map's lock */
	struct session_opts opts;  /* strings are ours */
	uint64_t offered;          /* virtio features */
	uint64_t protocol_offered;
	bool dying;

	enum session_state state;
	char reason[sizeof(((struct session_info *)0)->reason)];
	char refused[sizeof(((struct session_info *)0)->reason)]; /* why the front-end was refused */
	char broken[sizeof(((struct session_info *)0)->reason)];  /* why nothing runs though it might */

	/* the connection */
	int vid;                   /* -1: none */
	int connfd;                /* our duplicate; -1: none or not found */
	uint32_t generation;
	uint64_t features;
	uint64_t protocol_features;
	uint32_t open;             /* request between its two hooks; 0: none */
	int taken;                 /* eventfd that came with it; -1: none */

	struct gmem *mem;
	struct dirty *log;         /* as SET_LOG_BASE gave it; our own mapping */
	bool repair;               /* the mapping that the library keeps has holes filled by us */

	bool left;                 /* a ring was stopped while logging, and none started since */
	bool arriving;             /* a ring was started and has not run yet */
	bool ran;                  /* rings have run on this connection */
	bool running;              /* between run and quiesce */
	uint16_t n_run;            /* rings of that run */
	uint16_t n_rings;          /* rings that the front-end has named */
	struct ring *said;         /* 2 * n_pairs_max of each */
	struct vdev_ring *rings;
	struct vring_pos *pos;     /* scratch of quiesce */
};

static inline bool
session_packed(const struct session *s)
{
	return (s->features & (1ULL << VIRTIO_F_RING_PACKED)) != 0;
}

/* map */

/* -EADDRINUSE: another session has the path; -ENOSPC: more than the library can poll. */
int session_map_add(struct session *s);
void session_map_del(struct session *s);
struct session *session_map_path(const char *path);
/* From now on messages of `vid` are for `s`; `ino` is the inode of its connection. */
void session_map_bind(int vid, struct session *s, ino_t ino);
void session_map_unbind(int vid);
/* Returns the session of a vid with its lock held; NULL: nobody's, or no longer. */
struct session *session_map_lock(int vid);
/* Whether some session's connection has this inode. */
bool session_map_claimed(ino_t ino);

/* path */

int session_path_fits(const char *path);
int session_path_claim(const char *path);
int session_path_mode(const struct session_opts *opts);

/* conn */

extern const struct rte_vhost_device_ops session_device_ops;

void session_disconnect(struct session *s);
bool session_conn_stalled(const struct session *s);
void session_conn_end(const struct session *s);
bool session_conn_unwelcome(const char *path);

/* recv */

/* Warns when the library's reads do not pass through here. */
void session_recv_check(void);

/* accept */

/* Warns when the library's connections do not pass through here. */
void session_accept_check(void);

/* hook */

extern const struct rte_vhost_user_extern_ops session_hooks;

const char *session_request_name(uint32_t request);
void session_open_end(struct session *s);

/* ring: handlers of messages */

int session_num_pre(struct session *s, const struct vhu_msg_context *m);
void session_num_post(struct session *s, const struct vhu_msg_context *m);
int session_addr_pre(struct session *s, const struct vhu_msg_context *m);
void session_addr_post(struct session *s, const struct vhu_msg_context *m);
int session_base_pre(struct session *s, const struct vhu_msg_context *m);
void session_base_post(struct session *s, const struct vhu_msg_context *m);
int session_stop_pre(struct session *s, const struct vhu_msg_context *m);
void session_stop_post(struct session *s, const struct vhu_msg_context *m);
int session_eventfd_pre(struct session *s, const struct vhu_msg_context *m);
void session_kick_post(struct session *s, const struct vhu_msg_context *m);
void session_call_post(struct session *s, const struct vhu_msg_context *m);
void session_enable_post(struct session *s, const struct vhu_msg_context *m);

/* Forgets all of rings `first` and up. */
void session_rings_forget(struct session *s, uint16_t first);
void session_rings_disable(struct session *s);
/* Translates the addresses of started rings and settles their positions. */
void session_rings_settle(struct session *s);

/* mem: handlers of messages */

int session_mem_pre(struct session *s, const struct vhu_msg_context *m);
void session_mem_post(struct session *s, const struct vhu_msg_context *m);
void session_mem_drop(struct session *s);
/* NULL: `size` bytes from `offset` of the file can be mapped; else what is wrong with it. */
const char *session_file_fault(int fd, uint64_t offset, uint64_t size);
/* Whether something of the guest's memory has vanished: no run until there is another table. */
bool session_mem_faulted(const struct session *s);

/* log: the handler of a message, and what it means for a run */

int session_log_pre(struct session *s, const struct vhu_msg_context *m);
/* Obeys a change of VHOST_F_LOG_ALL while the rings run. */
void session_log_switch(struct session *s);
void session_log_drop(struct session *s);
/* NULL: writes need no log or can be logged; else what is missing. */
const char *session_log_missing(const struct session *s);

static inline bool
session_logging(const struct session *s)
{
	return (s->features & (1ULL << VHOST_F_LOG_ALL)) != 0;
}

/* run */

/* The owner lets go; positions are in the record afterwards. */
void session_quiesce(struct session *s);
/* The same, on the vhost thread: the library learns the positions too. */
void session_hold(struct session *s);
/* Lets the owner take over if there is something to run and nothing against it. */
void session_resume(struct session *s);
/* Tells the owner about a ring in which only descriptors or the enabled bit changed. */
void session_ring_set(struct session *s, uint16_t qid);
void session_state_update(struct session *s);
uint16_t session_n_started(const struct session *s);
/* Tells what happens in a migration, or does when somebody notices that there is one. */
void session_moment(const struct session *s, enum moment moment, uint64_t value);
/* Notes and logs why a message is refused.  Returns RTE_VHOST_MSG_RESULT_ERR. */
int session_refuse(struct session *s, const char *fmt, ...) __rte_format_printf(2, 3);

/* fd */

void session_fds_close(struct vhu_msg_context *m);
bool session_fd_is_event(int fd);
/* Duplicates an eventfd for non-blocking use.  Returns the descriptor or -errno. */
int session_fd_take(int fd);
/* Closes and forgets; -1 is allowed. */
void session_fd_drop(int *fd);

#endif
