/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_PORT_H
#define FERRY_PORT_H

/**
 * @file
 * Ports: what the switch switches between.  A port is a vhost-user socket with a provider behind
 * it, or an Ethernet device of DPDK.
 *
 * Life     port_add() to port_del(); a number is reused after all workers have forgotten it.
 * Threads  calls: control.  Workers read `struct port_view`.
 * Units    MTU in bytes of payload
 */

#include "cross.h"
#include "port_choice.h"
#include "session.h"
#include "stats.h"
#include "swdev.h"
#include "vdpadev.h"

#include <rte_ether.h>

#include <stdbool.h>
#include <stdint.h>

#define PORT_MAX      1024
#define PORT_NAME_MAX 32
#define PORT_NONE     UINT16_MAX
#define PORT_AWAY     (UINT16_MAX - 1)

#define PORT_QUEUES_MAX  (VDEV_RINGS_MAX / 2)
#define PORT_QUEUES_DEFAULT 8 /**< vhost-user: pairs, where nothing else is said */
#define PORT_WORKER_NONE UINT16_MAX

/** Microseconds that what is on the wire to or from a device has to arrive; see `drain_us`. */
#define PORT_DRAIN_US     1000
#define PORT_DRAIN_US_MAX 100000

enum port_type { PORT_VHOST_USER, PORT_ETHDEV };

struct port;
struct ports;

struct port_opts {
	const char *name;        /**< letters, digits, '-', '_', '.'; at most PORT_NAME_MAX - 1 */
	enum port_type type;
	const char *socket;      /**< vhost-user: path */
	bool client;             /**< vhost-user: role is client */
	uint16_t n_queues;       /**< vhost-user: most pairs, 0: 8; ethdev: receive queues, 0: as many
				      as workers where the device has them */
	mode_t mode;             /**< vhost-user: of the socket file; 0: by the umask */
	gid_t gid;               /**< vhost-user: of the socket file; (gid_t)-1: unchanged */
	const char *devargs;     /**< ethdev */
	uint16_t mtu;            /**< frames with more payload are dropped; 0: no limit, ethdev: the
				      device's own */
	bool no_park;            /**< frames for a guest that migrates are dropped meanwhile */
	const char *group;       /**< isolation group: ports of one group do not hear each other;
				      NULL: vhost-user none, ethdev "uplink"; "": none */
	uint16_t n_workers;      /**< queues, from the first, whose place is said */
	uint16_t workers[PORT_QUEUES_MAX]; /**< who polls a transmit ring (vhost-user, by pair) or
				      a receive queue (ethdev); PORT_WORKER_NONE: who has least */
	const char *vdpa;        /**< vhost-user: device that can move the rings; NULL: none */
	enum port_want provider; /**< who is to move them; needs a device */
	const char *uplink;      /**< port that stands for the device's own wire; NULL: none does */
	uint32_t drain_us;       /**< bound of each wait of a handover */
};

/** A change of mover, for who stands above. */
struct port_handover {
	bool to_hw;
	uint64_t features;       /**< of the guest */
	uint16_t n_rx;           /**< receive rings that it is reached through */
	uint16_t uplink;         /**< port that stands for the device's wire; PORT_NONE */
};

/** News for who stands above. */
struct port_ops {
	void (*added)(void *arg, struct port *p);
	void (*removed)(void *arg, struct port *p); /**< before its number is reused */
	void (*changed)(void *arg, struct port *p); /**< state or reason; any thread but workers */
	/** The front-end has guest writes logged, or no longer; port's mutex held. */
	void (*logging)(void *arg, struct port *p, bool on);
	/** The guest leaves: see struct session_ops; port's mutex held. */
	void (*leaving)(void *arg, struct port *p, uint64_t features, uint16_t n_rx);
	/** A guest runs again, or another: see struct session_ops; port's mutex held. */
	void (*arrived)(void *arg, struct port *p, uint64_t features, bool restored);
	/** SEND_RARP came for this port, whose rings run, or ran, with `features`; vhost thread, port's
	 *  mutex held. */
	void (*announce)(void *arg, struct port *p, const struct rte_ether_addr *mac,
			 uint64_t features);
	/** The rings are about to change their mover while they run; port's mutex held.  Frames for
	 *  the guest are kept from the return on. */
	void (*handing_over)(void *arg, struct port *p, const struct port_handover *h);
	/** They have: what was kept may go where they are now; port's mutex held. */
	void (*handed_over)(void *arg, struct port *p, const struct port_handover *h);
	/** Another one moves them, or will, or for another reason; port's mutex held. */
	void (*provider)(void *arg, struct port *p, const char *text);
	/** Whether what was kept for a guest that has come is not all out yet. */
	bool (*awaited)(void *arg, const struct port *p);
};

/** Where devices come from: lib/vdpadev, or a test. */
struct port_devices {
	int (*create)(const struct vdpadev_opts *opts, char *why, size_t size, struct vdev **out);
	const char *(*failed)(const struct vdev *dev); /**< NULL: it is fine */
	/** As vdpadev_info(); NULL: nothing is known. */
	void (*info)(const struct vdev *dev, struct vdpadev_info *out);
	/** As vdpadev_stats_next(); NULL: none counts. */
	bool (*stats_next)(const struct vdev *dev, uint16_t qid, uint32_t *iter,
			   struct vdpadev_stat *out);
};

/** @return 0; -ENOMEM */
int ports_create(struct cross *x, struct swdev_pool *pool, const struct port_ops *ops, void *arg,
		 struct ports **out);

/** Removes all ports and frees; NULL is allowed. */
void ports_destroy(struct ports *ps);

/**
 * Adds a port and starts it.
 *
 * @param why  one line that says what is wrong and what to do
 * @return     0; -EINVAL; -EEXIST: name or socket in use; -ENOSPC; -ENODEV: no such device;
 *             -EADDRINUSE: a live process answers on the socket; -errno; nothing has changed then
 */
int port_add(struct ports *ps, const struct port_opts *opts, char *why, size_t why_size,
	     struct port **out);

void port_del(struct ports *ps, struct port *p);

/** Names where devices come from; before the first port that has one. */
void ports_devices(struct ports *ps, const struct port_devices *devices);

/* control: who moves the rings */

/**
 * Says who is to, and hands over if that changes anything.  PORT_HW gives a device that failed another
 * chance.
 *
 * @return  0; -EINVAL: no device; -ENOTSUP: PORT_HW, and the device cannot now: `why` says why, and
 *          the port is as PORT_AUTO has it until it can; -errno of a device that did not start
 */
int port_provider_set(struct ports *ps, struct port *p, enum port_want want, char *why, size_t size);

/** Looks whether another one should move the rings now, and at the device; by EVENT_PROVIDER,
 *  EVENT_DEVICE_FAILED and once in a while. */
void port_provider_look(struct ports *ps, struct port *p);

/* control: look */

struct port *port_find(const struct ports *ps, const char *name);
struct port *port_by_number(const struct ports *ps, uint16_t number);

/** Next port by number. @param iter starts at 0  @return NULL: no more */
struct port *port_next(const struct ports *ps, uint32_t *iter);

const char *port_name(const struct port *p);
uint16_t port_number(const struct port *p);
/** Of this port alone: another one that gets its number has another. */
uint32_t port_id(const struct port *p);
/** What it was added with; lives as long as the port. */
const struct port_opts *port_opts(const struct port *p);

/** Who moves a port's rings. */
struct port_provider_info {
	const char *device;      /**< NULL: it has none */
	bool hw;                 /**< the device moves them, or will when there are any */
	bool failed;             /**< the device did, and was not asked for since */
	char why[160];           /**< why it is so */
	uint16_t uplink;         /**< number of the port; PORT_NONE: no such port */
	uint64_t n_to_hw, n_to_sw;
	uint64_t gap_us;         /**< of the last handover: from the stop to the start */
	uint64_t time_ns;        /**< of the last handover, since 1970; 0: none */
	char last[160];          /**< why that was */
};

void port_provider_info(struct port *p, struct port_provider_info *out);

/** Where what is for the port goes: see struct port_live.  @role any */
uint16_t port_elsewhere(const struct port *p);

/** Address that the device has by itself.  @return false: no device, or it does not say */
bool port_device_mac(struct port *p, struct rte_ether_addr *out);

/** Walks over the device's own counters of a ring, as vdpadev_stats_next(). */
bool port_device_stats_next(struct port *p, uint16_t qid, uint32_t *iter, struct vdpadev_stat *out);

/** All that `show port` shows. */
struct port_info {
	const char *state;       /**< "waiting", "up", "broken" */
	char reason[160];
	struct stats_lane stats;
	uint64_t features;       /**< vhost-user: negotiated */
	uint16_t n_queues;
	uint16_t workers[PORT_QUEUES_MAX]; /**< who polls a transmit ring (vhost-user, by pair) or a
				      receive queue (ethdev); PORT_WORKER_NONE: nobody */
	uint16_t n_rings;        /**< vhost-user: rings that the front-end has named */
	struct {
		struct vdev_ring ring;
		struct vdev_ring_stats now;
		const char *provider; /**< of the vdev that moves it; NULL: none does */
	} rings[VDEV_RINGS_MAX];
	struct session_info session; /**< vhost-user */
	uint16_t eth_id;         /**< ethdev: DPDK's port id */
	char driver[64];         /**< ethdev */
	bool link_up;            /**< ethdev */
	uint32_t link_mbps;      /**< ethdev */
	bool rx_interrupts;      /**< ethdev: the driver can wake a sleeping worker */
	uint16_t n_rxq, n_txq;   /**< ethdev */
	struct rte_ether_addr mac; /**< ethdev: its own address */
};

/** What the rings of a vhost-user port have done, over all of their starts. */
struct port_log_info {
	uint64_t pages;          /**< newly marked in the dirty log */
	uint64_t rounds;         /**< times that the front-end was seen to have harvested the log */
	uint64_t first_receive;  /**< time stamp counter when the guest was given its first frame since
				      a start of the rings; 0: never */
	uint64_t first_transmit; /**< likewise, when it gave its first one */
};

void port_log_info(struct port *p, struct port_log_info *out);

/** Adds up a port's counters. */
void port_stats(const struct port *p, struct stats_lane *out);

/** Counts frames that control has moved.  @role control */
void port_count(struct port *p, enum count c, uint64_t n);

/** Whether there is anybody behind the port: a front-end, or a link. */
bool port_connected(struct port *p);

/** Its counters, of all workers. */
void port_stats(const struct port *p, struct stats_lane *out);

/** Large: not for a small stack. */
void port_info(struct port *p, struct port_info *out);

/**
 * Moves a ring (vhost-user: its index; ethdev: receive queue) to another worker, live, or says who
 * will poll it when the front-end starts it.  From then on it is one of the port's options.
 *
 * @return  0; -ERANGE: no such transmit ring or receive queue; -EINVAL: no such worker; -ENOMEM
 */
int port_queue_move(struct ports *ps, struct port *p, uint16_t ring, uint32_t worker);

/**
 * Makes `workers` of a port's options what they are in `opts`, live.  A queue whose place is no
 * longer said stays where it is.
 *
 * @return  0; -EINVAL with `why` filled, nothing has changed then; -ENOMEM
 */
int port_place(struct ports *ps, struct port *p, const struct port_opts *opts, char *why,
	       size_t why_size);

/** Takes a device that was removed under us out of the workers' hands; on news that the port has
 *  changed.  Nothing happens to other ports, nor twice. */
void port_device_gone(struct ports *ps, struct port *p);

/** Breaks a port whose memory vanished; by EVENT_MEM_FAULT. */
void port_mem_fault(struct ports *ps, uint16_t number);

/* worker: view */

/** A transmit queue of a device has one sender at a time, as a guest's receive ring has. */
struct port_txq {
	_Atomic uint32_t claim;  /**< 0 free, else worker + 1 */
} __rte_cache_aligned;

static inline bool
port_txq_claim(struct port_txq *q, uint32_t worker)
{
	uint32_t nobody = 0;

	return atomic_compare_exchange_strong_explicit(&q->claim, &nobody, worker + 1,
						       memory_order_acquire, memory_order_relaxed);
}

static inline void
port_txq_release(struct port_txq *q)
{
	atomic_store_explicit(&q->claim, 0, memory_order_release);
}

/** One port as workers see it: immutable. */
struct port_live {
	uint16_t number;
	uint16_t group;          /**< 0: none */
	uint32_t id;             /**< port_id() */
	enum port_type type;
	uint32_t frame_max;      /**< bytes of the longest frame that it gives and takes, Ethernet
				      header counted, tag not */
	struct stats *stats;
	uint16_t eth_id;         /**< ethdev */
	uint16_t n_txq;          /**< vhost-user, and a device that was removed: 0 */
	struct port_txq *txqs;   /**< ethdev: one claim a queue */
	uint64_t eth_tx_offloads;/**< ethdev: RTE_ETH_TX_OFFLOAD_* that are on */
	struct rte_mempool *pool;/**< ethdev: buffers for what is sent */
	const _Atomic uint16_t *elsewhere; /**< what is for the port goes to this one, since its
				      rings are a device's: PORT_AWAY: nowhere, PORT_NONE: they are
				      not; NULL: it has no device */
};

/** One receive queue of an ethdev that a worker polls. */
struct port_poll {
	const struct port_live *port;
	uint16_t queue;
	bool interrupts;
};

struct port_view {
	const struct port_live *ports[PORT_MAX]; /**< by number; NULL: none */
	uint16_t n_list;
	uint16_t list[PORT_MAX];                 /**< numbers in use, for flooding */
	struct {
		uint32_t n;
		struct port_poll *polls;
	} workers[CROSS_WORKERS_MAX];
};

/** @role worker, between two quiescent points */
const struct port_view *port_view(const struct ports *ps);

#endif
