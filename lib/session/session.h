/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_SESSION_H
#define FERRY_SESSION_H

/**
 * @file
 * A vhost-user socket and the front-end that is connected to it: the only code that drives
 * librte_vhost.
 *
 * The session validates what the front-end says, keeps its own record of rings and memory, and
 * tells its owner to let go of the guest (quiesce) before anything changes under the data path, and
 * to take over again (run) afterwards.  The owner never sees a vid, a message or the library.
 *
 * Life     one per port of type vhost-user, over any number of connections; each connection is a
 *          generation.  The library reuses vids, so nothing is keyed on them.
 * Threads  create, destroy and the queries: control.  Callbacks come with `lock` held on the
 *          library's threads, and on control under session_create(), _break() and _destroy(); they
 *          may wait for a grace period, never for control, a peer or a rte_vhost_driver call.
 * Units    bytes, ring sizes in descriptors
 * Source   vhost-user specification; librte_vhost 22.11
 */

#include "moment.h"
#include "vdev.h"

#include <rte_ether.h>

#include <pthread.h>
#include <sys/types.h>

struct session;

enum session_state {
	SESSION_WAITING, /**< no front-end is connected, or it has not started its rings */
	SESSION_UP,      /**< at least one ring is started */
	SESSION_BROKEN,  /**< the front-end was refused, or vanished memory: see the reason */
};

/** What the owner does for the session. */
struct session_ops {
	/**
	 * Lets go of the guest; nothing of the last `run` is touched after return.
	 *
	 * @param pos  for the rings of the last `run`, in its order
	 */
	void (*quiesce)(void *owner, struct vring_pos *pos);

	/** Takes over.  @return 0; -errno: the session breaks with that as its reason */
	int (*run)(void *owner, const struct vdev_cfg *cfg);

	/** Enabled bit or descriptors of a running ring have changed. */
	int (*ring_set)(void *owner, uint16_t qid, const struct vdev_ring_set *how);

	/** Logs every write after return; NULL: none.  @return as vdev_log_set() */
	int (*log_set)(void *owner, const struct dirty *log);

	/**
	 * The front-end stops the first of its rings while it has writes logged: the guest leaves.
	 * The rings still run, if they could: they wait for a log that is missing, or are broken.
	 *
	 * @param n_rx  receive rings that the guest could be reached through
	 */
	void (*leaving)(void *owner, uint64_t features, uint16_t n_rx);

	/**
	 * The front-end has started a ring, and it runs.
	 *
	 * @param restored  the first of this connection, and not at its beginning: the guest has run
	 *                  elsewhere before
	 */
	void (*arrived)(void *owner, uint64_t features, bool restored);

	/** The front-end asks to announce its guest's address (SEND_RARP), whatever the rings do. */
	void (*announce)(void *owner, const struct rte_ether_addr *mac);

	/** Something of a migration happens, with its value as moment.h says; NULL: nobody asks. */
	void (*moment)(void *owner, enum moment moment, uint64_t value);

	/** The state or its reason has changed; the queries below tell what it is now. */
	void (*changed)(void *owner);
};

struct session_opts {
	const char *path;
	bool client;             /**< connect to a listening front-end, again and again */
	uint16_t n_pairs_max;    /**< what GET_QUEUE_NUM answers; 1..128 */
	uint16_t port;           /**< number of the port, for guest memory and logs */
	const char *name;        /**< name of the port, for logs */
	uint64_t features;       /**< virtio features that may be offered: those of the provider */
	bool can_log;            /**< the provider logs writes: migration may be offered */
	uint16_t mtu;            /**< offered with VIRTIO_NET_F_MTU; 0: not offered */
	mode_t mode;             /**< of the socket file; 0: as the umask has it */
	gid_t group;             /**< of the socket file; (gid_t)-1: unchanged */
	pthread_mutex_t *lock;   /**< the port's mutex, taken around every callback */
	const struct session_ops *ops;
	void *owner;
};

/** A snapshot for `show port`. */
struct session_info {
	enum session_state state;
	char reason[128];          /**< why it is waiting or broken; empty when up */
	uint32_t generation;       /**< connections so far */
	bool connected;
	uint64_t offered;          /**< virtio features that front-ends are offered */
	uint64_t protocol_offered;
	uint64_t features;         /**< negotiated virtio features */
	uint64_t protocol_features;
	uint16_t n_rings;
	struct vdev_ring rings[VDEV_RINGS_MAX];
	bool logging;              /**< the front-end has asked for the dirty log */
	uint64_t log_bytes;        /**< of the log that it has given; 0: none */
	uint32_t n_regions;
	struct gmem_region regions[GMEM_REGIONS_MAX];
};

/**
 * Creates the socket and starts to listen or connect.  A socket file that nobody answers on is
 * replaced.  Callbacks may come before this returns; `out` is set by then.
 *
 * @return  0; -EADDRINUSE: a live process answers on the path, or another session has it;
 *          -EEXIST: the path is something else than a socket; -ENOENT, -ENOTDIR, -EACCES: its
 *          folder is missing or closed to us; -ENAMETOOLONG; -ENOSPC: more sockets than
 *          librte_vhost can poll; -EINVAL; -ENOMEM; -errno of the socket calls, -EPERM of `mode`
 *          or `group`.  Nothing is left behind then.
 * @role    control, without `lock`
 */
int session_create(const struct session_opts *opts, struct session **out);

/**
 * Quiesces, disconnects, removes the socket file and frees.  NULL is allowed.
 *
 * @role  control, without `lock`
 */
void session_destroy(struct session *s);

/** Whether the guest's memory of now has vanished, in part or all.  @role as session_break() */
bool session_faulted(const struct session *s);

/**
 * Breaks the session from the data path's side (memory vanished): quiesces, disconnects nobody, and
 * stays broken until the front-end's next valid start.
 *
 * @param why  one line
 * @role       control, with `lock` held
 */
void session_break(struct session *s, const char *why);

/** Whether a front-end is connected.  @role control, with `lock` held */
bool session_connected(const struct session *s);

/** Fills a snapshot.  @role control, with `lock` held */
void session_info(const struct session *s, struct session_info *out);

#endif
