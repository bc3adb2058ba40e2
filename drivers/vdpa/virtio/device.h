/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VDPA_VIRTIO_DEVICE_H
#define VDPA_VIRTIO_DEVICE_H

/**
 * @file
 * A device and the guest that it serves.
 *
 * A device is idle, or configured for the rings of a vhost device.  While it is configured it runs
 * on the guest's rings (direct) or on shadow rings; stopping and starting again, in the same or the
 * other mode, keeps positions.  A device that fails stands, and its rings are where they are.
 *
 * Life     created by a probe, destroyed by the remove
 * Threads  one lock a device.  Operations of the application take it by device_lock(), before
 *          which its relay thread makes room; the relay holds it for one turn at a time.
 * Units    queue pairs; ring positions as vhost's: index, packed: slot | wrap counter << 15
 */

#include "ctrl.h"
#include "failure.h"
#include "mark.h"
#include "mem.h"
#include "mode.h"
#include "own.h"
#include "pci.h"
#include "quirk.h"
#include "shadow.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define DEVICE_QUEUES_MAX 257   /* 128 pairs and the control queue */

struct rte_device;
struct rte_vdpa_device;

/** What devargs say. */
struct device_args {
	enum mode mode;
	bool has_mac;
	uint8_t mac[6];
};

/** Counters of a ring: they only grow. */
struct ring_counts {
	uint64_t chains;        /**< given back by shadow rings that are gone, and in direct mode */
	uint64_t calls;
	uint64_t pages;
	uint64_t rounds;        /**< marks of the index that were taken meanwhile */
	uint64_t kicks;
	uint64_t doorbells;
	uint64_t discards;      /**< chains given back that the device never had */
};

/** A guest's ring. */
struct ring {
	struct device *dev;
	uint16_t queue;
	bool enabled;           /**< outlives a configuration: the application tells changes only */
	bool started;
	bool on_device;         /**< the device has its queue */
	bool split_used;        /**< the device is on the guest's own ring, a split one */
	uint16_t size;
	uint16_t pos;           /**< while nothing runs it */
	void *desc, *driver, *device;
	uint64_t desc_gpa, driver_gpa, device_gpa;
	int kickfd, callfd;     /**< our own references; -1: poll, or the guest polls */
	int irqfd;              /**< the device's interrupt, when it is ours */
	atomic_bool kicked;
	enum shadow_bad bad;
	struct shadow *shadow;  /**< NULL: direct, or not running */
	uint16_t direct_used;   /**< split, direct: used index that was counted up to */
	uint64_t first;         /**< time stamp at the first chain given back since the start */
	struct ring_counts counts;
};

struct device {
	struct rte_vdpa_device *vdpa;
	struct rte_device *rte;
	struct bus *bus;
	struct pci pci;
	struct pci_net_config config;   /**< as it was at the probe */
	const struct quirk *quirk;      /**< NULL: none */
	uint32_t quirk_bits;
	struct device_args args;
	uint16_t n_pairs_max;
	uint16_t n_queues;              /**< with the control queue */
	uint16_t queue_sizes[DEVICE_QUEUES_MAX];
	struct pci_doorbell doors[DEVICE_QUEUES_MAX];

	pthread_mutex_t lock;
	atomic_uint waiters;            /**< operations that want the lock */
	int vid;
	bool configured;
	bool running;
	bool healed;                    /**< it has asked for a reset once */
	bool keep_shadow;               /**< direct mode did not work for this guest */
	enum mode mode;
	enum failure failure;
	bool notify;                    /**< the failure is still to be told */
	uint64_t features;              /**< the guest's */
	bool logging;
	struct mark mark;
	struct own_part log;            /**< the device's own log; va NULL: none */
	uint64_t log_bytes;
	struct mem mem;
	struct own own;
	struct ctrl ctrl;
	bool has_ctrl;
	uint16_t n_rings;
	struct ring rings[DEVICE_QUEUES_MAX - 1];

	pthread_t relay;
	atomic_bool stopping;
	int epfd, wake_fd, config_fd;
	atomic_bool config_changed, gone;
	uint64_t next_tick;             /**< cycles */
};

/* life */

/**
 * Takes over a bus and registers the device behind it as a vDPA device.
 *
 * @param bus  closed when this fails, too
 * @return     0; -ENOTSUP: no device that can be driven, a line says why; -EEXIST: its name is
 *             taken; -ENOMEM; -errno
 */
int device_create(struct rte_device *rte, struct bus *bus, const struct device_args *args);

/** Closes and unregisters the device of a DPDK device.  @return 0; -ENODEV: it is none of ours */
int device_remove(const struct rte_device *rte);

/** The device of a vDPA device; NULL: none of ours. */
struct device *device_find(const struct rte_vdpa_device *vdpa);

void device_lock(struct device *d);

/** Gives the lock away and tells the application of a device that has failed meanwhile. */
void device_unlock(struct device *d);

/* operations, with the lock held */

/** Puts the device before the rings of a vhost device.  @return 0; -errno, it is idle then */
int device_conf(struct device *d, int vid);

/** Takes it away: nothing writes to the guest after return, and positions are stored. */
void device_close(struct device *d);

/** Takes a ring's enabled bit and its descriptors.  @return 0; -ERANGE; -errno of a restart */
int device_ring_set(struct device *d, uint16_t queue, bool enabled);

/** Takes changed features: whether the guest is logged.  @return 0; -errno of a restart */
int device_features_set(struct device *d);

/** What a guest can be offered. */
uint64_t device_features(const struct device *d);

/** What a shadow ring's device side uses. */
uint64_t device_shadow_features(const struct device *d);

/** What the driver accepts, in the mode of the device. */
uint64_t device_driver_features(const struct device *d);

/** The mode that fits now.  @return MODE_AUTO: the one that is asked for cannot be */
enum mode device_mode(struct device *d, const char **why);

/* walks over started rings */

static inline struct ring *
ring_next(struct device *d, uint16_t *i)
{
	while (*i < d->n_rings) {
		struct ring *r = &d->rings[(*i)++];

		if (r->started)
			return r;
	}
	return NULL;
}

#define EACH_STARTED(d, r) \
	for (uint16_t each_ = 0; ((r) = ring_next((d), &each_)) != NULL; )

/* start and stop (start.c), with the lock held */

/** Starts the rings where they are.  @return 0; -errno, and the device stands */
int device_start(struct device *d);

/** Stops; positions are in the rings afterwards. */
void device_stop(struct device *d);

/** Stop and start, in the mode that fits now; a failure is the device's. */
int device_restart(struct device *d);

/** Stops the device for good and keeps the reason. */
void device_fail(struct device *d, enum failure why);

/** Notes a failure that showed while the device was stopped: the first counts. */
void device_blame(struct device *d, enum failure why);

/** What a device has done to a shadow ring. */
enum failure failure_of_fault(enum shadow_fault fault);

/** Marks guest memory on behalf of a ring; NULL: it is not logged. */
shadow_mark_t device_mark(const struct device *d);

/* control queue (control.c) */

/** Pairs up to the last that has a started ring. */
uint16_t device_pairs(const struct device *d);

/** Whether the device is to be driven with MQ. */
bool device_wants_mq(const struct device *d);

/** Sets the queue up, where there is one.  @return 0; -EINVAL: it is too small */
int control_start(struct device *d);

/** Says what a device that runs now is to hear.  @return 0; -errno of a command */
int control_commands(struct device *d);

/** Tells the device how many pairs are enabled. */
int device_pairs_set(struct device *d);

/* a device on the guest's own rings (direct.c) */

/** Asks a device that tells positions for them, before it forgets them. */
void direct_positions_take(struct device *d);

/** Begins or ends the device's own log.  @return 0; -errno */
int direct_log(struct device *d, bool on);

/** Takes over what the device has logged by itself. */
void device_log_sync(struct device *d);

/** Begins or ends logging of the running device.  @return 0; -errno */
int device_log_set(struct device *d, bool on);

/* relay (relay.c) */

/** Starts the thread.  @return 0; -errno */
int relay_start(struct device *d);

/** Ends the thread; call it with the lock held, which is given away meanwhile. */
void relay_stop(struct device *d);

/** Watches a ring's descriptors, after they were set. */
void relay_watch(struct device *d, struct ring *r);

void relay_wake(struct device *d);

/* rings (ring.c) */

/** Reads what the application knows of the rings.  @return 0; -ERANGE; -EMFILE */
int rings_load(struct device *d);

/** Stores positions and lets go of descriptors. */
void rings_store(struct device *d);

/** Takes the descriptors of a ring again.  @return 0; -EMFILE */
int ring_fds_load(struct ring *r);

void ring_call(struct ring *r);
void ring_doorbell(struct ring *r);

/** Marks guest memory on behalf of a ring: shadow_mark_t. */
void ring_mark(void *ring, uint64_t gpa, uint64_t len);

/** Marks a page that a device has logged, on behalf of the ring whose index it shows. */
void rings_mark(struct device *d, uint64_t gpa);

/** Counts what a device on the guest's own ring has given back.  @return chains since last time */
uint16_t ring_direct_count(struct ring *r);

/** Settles a ring whose device stands: its position is exact then. */
void ring_settle(struct ring *r);

/** Position and counters as of now. */
struct ring_now {
	uint64_t chains;
	uint64_t discards;
	uint16_t avail, used;
};

void ring_now(struct ring *r, struct ring_now *out);

/** Whether the device was to give back chains in this mode. */
static inline bool
ring_is_tx(const struct ring *r)
{
	return r->queue % 2 == 1;
}

static inline bool
device_has(const struct device *d, unsigned int bit)
{
	return (d->features >> bit & 1) != 0;
}

static inline bool
device_offers(const struct device *d, unsigned int bit)
{
	return (d->pci.features >> bit & 1) != 0;
}

static inline bool
device_can(const struct device *d, uint32_t quirk_bits)
{
	return d->quirk != NULL && (d->quirk_bits & quirk_bits) == quirk_bits;
}

#endif
