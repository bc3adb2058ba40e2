/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_SESSION_RIG_H
#define FERRY_SESSION_RIG_H

/**
 * @file
 * An owner of sessions that moves no frames: it notes what it is told, in order, and insists on
 * the contract while it is told.
 *
 * Threads  callbacks on the library's threads with `lock` held; the test looks with it held, too.
 */

#include "session.h"

#include "vmm.h"

#define RIG_RINGS 8
#define RIG_LOG   256

/** What an owner was told, one letter each: R run, Q quiesce, S ring_set, L log_set, V leaving,
 * N arrived, A announce. */
struct rig {
	pthread_mutex_t lock;
	struct session *session;
	char path[256];
	char told[RIG_LOG];
	uint32_t n_told;
	bool running;
	int run_rc;                     /* what run() answers */
	int ring_set_rc;
	int log_set_rc;
	uint32_t n_changed;
	char moments[512];              /* "started=0 ready=1 " */
	struct vdev_cfg cfg;            /* of the last run; its rings are: */
	struct vdev_ring rings[RIG_RINGS];
	struct vring_pos pos[RIG_RINGS]; /* where the rings are, what quiesce() answers */
	struct vdev_ring_set set;       /* of the last ring_set */
	uint16_t set_qid;
	struct rte_ether_addr mac;
	void (*on_quiesce)(void *arg);  /* called once, when memory is still mapped */
	void *arg;
};

/** What all rigs need, and its end. */
void rig_init(void);
void rig_fini(void);

/** Creates a session of `pairs` on a path in the test's folder. */
int rig_create(struct rig *r, const char *name, bool client, uint16_t pairs);
void rig_destroy(struct rig *r);

void rig_info(struct rig *r, struct session_info *out);

/** Waits until the session is in a state, with a deadline. */
bool rig_wait(struct rig *r, enum session_state state);
bool rig_wait_generation(struct rig *r, uint32_t generation);

/** What was told since the last call. */
const char *rig_told(struct rig *r);

/** Moments that were told since the last call, with their values. */
const char *rig_moments(struct rig *r);

/** A guest for the rig's socket, in the opposite role; every message is acknowledged. */
struct vmm_guest *rig_guest(struct rig *r, bool packed, uint16_t pairs);

/** Creates a rig and its guest and runs it: most stories start here. */
struct vmm_guest *rig_open(struct rig *r, const char *name, bool packed, uint16_t pairs);

/** The same with one pair of split rings, the start already heard. */
struct vmm_guest *rig_open_quiet(struct rig *r, const char *name);

/** Ends both. */
void rig_close(struct rig *r, struct vmm_guest *g);

/** Moves a ring as a back-end would: its position, and the index that its driver sees. */
void rig_move(struct rig *r, struct vmm_guest *g, uint16_t qid, uint16_t idx, bool wrap);

/** The folder of the test's sockets, made at first use. */
const char *rig_dir(void);

/** Waits until there are so many, with a deadline. */
bool rig_fds_settle(unsigned int expected);

extern struct vmm_fault rig_fault;

/** Mode of the socket files that rig_create() asks for; 0: none. */
extern mode_t rig_mode;

/** Whether the providers of the sessions that rig_create() makes can log. */
extern bool rig_can_log;

/* Stories, by file. */

void session_bad_stories(void);
void session_log_stories(void);
void session_mem_stories(void);
void session_path_stories(void);

/** Runs a story and checks that it leaves no descriptor behind. */
void rig_story(const char *name, void (*story)(void));

#endif
