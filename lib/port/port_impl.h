/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_PORT_IMPL_H
#define FERRY_PORT_IMPL_H

/* Inside of lib/port. */

#include "port.h"

#include <rte_devargs.h>
#include <rte_ethdev.h>
#include <rte_mempool.h>

#include <pthread.h>
#include <signal.h>

#define GROUPS_MAX 256

/* A device and what we have set up on it; control only, but for `txqs` and `gone`. */
struct port_eth {
	struct port *port;
	char *bus;               /* of the device; NULL: none was found */
	char *name;              /* of the device on its bus */
	char *restore;           /* devargs of a device that was there before us, or NULL */
	uint16_t id;             /* DPDK's port id; RTE_MAX_ETHPORTS: not ours */
	uint16_t n_rxq;
	uint16_t n_txq;
	uint16_t mtu;            /* 0: the device names no limit */
	bool running;            /* started, and its events come */
	bool interrupts;         /* every receive queue can wake a sleeper */
	_Atomic bool gone;       /* interrupt thread: the device was removed under us */
	bool hidden;             /* and workers neither poll it nor send to it any more */
	uint64_t tx_offloads;
	struct port_txq *txqs;   /* n_txq */
	struct rte_mempool *pool;
	uint32_t workers[RTE_MAX_QUEUES_PER_PORT]; /* who polls a receive queue */
	bool parked[RTE_MAX_QUEUES_PER_PORT];      /* nobody does: it is moving */
};

/*
 * What is needed to hand rings over without their session: what it said last, kept up to date while
 * they run.  Under the port's lock, but for `uplink` and `elsewhere`.
 */
struct port_mover {
	struct vdev_cfg cfg;
	struct vdev_ring *rings;      /* of cfg */
	struct vring_pos *pos;        /* scratch */
	bool halted;                  /* stopped, and nobody took them: positions are in `rings` */
	bool arriving;                /* the guest ran elsewhere before; until nothing waits for it */
	uint64_t arrived_ns;
	char device[64];              /* its name, without arguments */
	char failed[96];              /* the device, until it is asked for again; "": it is fine */
	char refused[96];             /* the device did not take the rings of this run; "": it did */
	struct {
		uint64_t chains, calls, pages, rounds;
	} before[2][VDEV_RINGS_MAX];  /* of software and device, as of their last stop */
	struct port_provider_info info;
	_Atomic uint16_t uplink;      /* control: number of the port; PORT_NONE */
	_Atomic uint16_t elsewhere;   /* see struct port_live */
};

struct port {
	struct ports *ports;
	struct port_opts opts;   /* strings are ours */
	uint16_t number;
	uint16_t group;
	uint32_t id;
	struct stats *stats;
	struct port_live *live;  /* published; NULL before and after */
	struct port_live *bare;  /* published instead when the device behind it is gone */

	/* vhost-user; the lock is around everything that moves the rings. */
	pthread_mutex_t lock;
	struct session *session;
	struct vdev *vdev;       /* moves the rings, or did last: one of the next two */
	struct vdev *sw;
	struct vdev *hw;         /* NULL: no device */
	bool running;
	uint64_t features;       /* with which they run, or ran last */
	struct port_log_info log_info[2]; /* of software and device, as of the last look or stop */
	bool logging;
	struct port_mover mover;

	struct port_eth *eth;    /* ethdev */
};

struct ports {
	struct cross *cross;
	struct swdev_pool *pool;
	struct port_ops ops;
	void *ops_arg;
	struct port_devices devices;
	uint32_t last_id;
	struct port *ports[PORT_MAX];
	char *groups[GROUPS_MAX];          /* names; the index is the number, 0 is none */
	_Atomic(struct port_view *) view;
};

/* Fills `why` and returns rc: the last line of whatever refuses. */
int port_refuse(char *why, size_t size, int rc, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* port_view.c */

/* Publishes all ports as they are and waits a grace period; -ENOMEM: nothing has changed. */
int port_view_publish(struct ports *ps);
void port_view_destroy(struct port_view *v);

/* port_vhost.c */

int port_vhost_start(struct port *p, char *why, size_t size);
void port_vhost_stop(struct port *p);

/* port_provider.c: who moves the rings.  The port's lock is held where nothing else is said. */

/* Options that belong together. */
int port_provider_check(const struct ports *ps, const struct port_opts *o, char *why, size_t size);
/* Creates both vdevs and what goes with them; nothing runs yet. */
int port_provider_create(struct port *p, char *why, size_t size);
/* When nothing runs any more. */
void port_provider_destroy(struct port *p);
/* What the session's callbacks of these names do. */
int port_provider_run(struct port *p, const struct vdev_cfg *cfg);
void port_provider_quiesce(struct port *p, struct vring_pos *pos);
int port_provider_ring_set(struct port *p, uint16_t qid, const struct vdev_ring_set *how);
int port_provider_log_set(struct port *p, const struct dirty *log);
/* A ring's figures, of whoever moved it. */
int port_provider_stats(const struct port *p, uint16_t qid, struct vdev_ring_stats *out);
void port_log_info_fold(struct port *p);
/* Control: the port that has come or goes may be somebody's uplink. */
void port_provider_uplinks(struct ports *ps, const struct port *goes);
/* Tells who stands above what has changed. */
void port_provider_tell(struct port *p, const char *fmt, ...) __rte_format_printf(2, 3);

/* port_handover.c */

/*
 * Stops the rings, which run, and has `to` go on with them.
 *
 * Returns 0: they run there; -errno: not there, and where they were if p->running.
 */
int port_handover(struct port *p, struct vdev *to, const char *why);
/* Starts them on a vdev, at the positions that are noted. */
int port_rings_start(struct port *p, struct vdev *dev);
/* Stops them and notes the positions. */
void port_rings_stop(struct port *p);
/* Says where frames for the guest are to go now, and has the addresses follow. */
void port_provider_follow(struct port *p);

/* port_eth.c */

/*
 * Opens a device, sets its queues up and starts it; it is not polled before it is in a view.
 *
 * @return 0; -ENODEV; -EEXIST: another port has it; -EINVAL; -ENOMEM; -errno, with `why` filled
 */
int port_eth_open(struct port *p, char *why, size_t size, struct port_eth **out);
/* Stops and closes it; after the view without it has passed a grace period.  NULL is allowed. */
void port_eth_close(struct port_eth *e);
/* Has a queue's interrupt wake its worker, or no longer; after the view that the queue is in. */
int port_eth_watch(struct ports *ps, struct port_eth *e, uint16_t queue, bool on);
/* Takes all its queues out of the workers' sleep. */
void port_eth_unwatch(struct ports *ps, struct port_eth *e);
bool port_eth_link_up(const struct port_eth *e);
void port_eth_info(const struct port_eth *e, struct port_info *out);

/* port_eth_find.c: devargs to a device that is ours. */

int port_eth_find(struct port_eth *e, const char *devargs, char *why, size_t size);

/* port_eth_why.c: what a person can do about a device that cannot be had. */

int port_eth_refused(const struct rte_devargs *da, int rc, char *why, size_t size);

/* port_eth_setup.c: queues, buffers and offloads, up to a device that runs. */

int port_eth_setup(struct port_eth *e, const struct port_opts *opts, char *why, size_t size);

/* port_eth_packet.c */

/* Has the af_packet driver never wait for its interface; nothing happens for other drivers. */
void port_eth_packet_relax(const struct port_eth *e, const struct rte_eth_dev_info *info);

/* port_eth_tap.c */

/* What the tap driver is not to see while it opens its queues. */
struct port_eth_tap {
	bool hidden;
	int log_type;
	int log_level;
	struct sigaction signals[_NSIG];
};

/* `driver` is a driver's or a device's name: nothing happens for those that are no tap's. */
void port_eth_tap_hide(struct port_eth_tap *t, const char *driver);
void port_eth_tap_show(struct port_eth_tap *t);

#endif
