/* SPDX-License-Identifier: BSD-3-Clause */
#include "device.h"

#include "bus.h"
#include "bus_abi.h"
#include "log.h"
#include "ops.h"
#include "vdpa_abi.h"

#include <rte_common.h>
#include <rte_vhost.h>

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>

#define DEVICES_MAX 256
#define LOG_ALL (1ULL << VHOST_F_LOG_ALL)

/* Devices come and go on control threads; operations find theirs under the same lock. */
static pthread_mutex_t devices_lock = PTHREAD_MUTEX_INITIALIZER;
static struct device *devices[DEVICES_MAX];

static int
device_add(struct device *d)
{
	int rc = -ENOSPC;

	pthread_mutex_lock(&devices_lock);
	for (size_t i = 0; rc < 0 && i < DEVICES_MAX; i++) {
		if (devices[i] != NULL)
			continue;
		devices[i] = d;
		rc = 0;
	}
	pthread_mutex_unlock(&devices_lock);
	return rc;
}

static void
device_del(const struct device *d)
{
	pthread_mutex_lock(&devices_lock);
	for (size_t i = 0; i < DEVICES_MAX; i++)
		if (devices[i] == d)
			devices[i] = NULL;
	pthread_mutex_unlock(&devices_lock);
}

struct device *
device_find(const struct rte_vdpa_device *vdpa)
{
	struct device *found = NULL;

	pthread_mutex_lock(&devices_lock);
	for (size_t i = 0; vdpa != NULL && i < DEVICES_MAX; i++)
		if (devices[i] != NULL && devices[i]->vdpa == vdpa)
			found = devices[i];
	pthread_mutex_unlock(&devices_lock);
	return found;
}

static struct device *
device_of(const struct rte_device *rte)
{
	struct device *found = NULL;

	pthread_mutex_lock(&devices_lock);
	for (size_t i = 0; i < DEVICES_MAX; i++)
		if (devices[i] != NULL && devices[i]->rte == rte)
			found = devices[i];
	pthread_mutex_unlock(&devices_lock);
	return found;
}

void
device_lock(struct device *d)
{
	atomic_fetch_add(&d->waiters, 1);
	pthread_mutex_lock(&d->lock);
	atomic_fetch_sub(&d->waiters, 1);
}

void
device_unlock(struct device *d)
{
	bool notify = d->notify;

	d->notify = false;
	pthread_mutex_unlock(&d->lock);
	if (notify)
		rte_dev_event_callback_process(d->rte->name, RTE_DEV_EVENT_REMOVE);
}

/* life */

static void
queues_find(struct device *d)
{
	d->n_queues = (uint16_t)RTE_MIN(d->pci.n_queues, (uint16_t)DEVICE_QUEUES_MAX);
	for (uint16_t i = 0; i < d->n_queues; i++) {
		d->queue_sizes[i] = pci_queue_size(&d->pci, i);
		pci_doorbell(&d->pci, i, &d->doors[i]);
	}
}

/* As many pairs as there are queues and, with one more for changes of configuration, vectors. */
static uint16_t
pairs_max(const struct device *d)
{
	uint32_t n = device_offers(d, VIRTIO_NET_F_MQ) ? d->config.n_pairs_max : 1;

	n = RTE_MIN(n, (d->pci.n_vectors - 1) / 2);
	n = RTE_MIN(n, d->n_queues / 2u);
	if (n > 1 && (!device_offers(d, VIRTIO_NET_F_CTRL_VQ) ||
		      2 * d->config.n_pairs_max >= d->n_queues))
		return 1;       /* without a control queue nobody can ask for more */
	return (uint16_t)n;
}

static int
discover(struct device *d, const char **why)
{
	int rc = pci_open(&d->pci, d->bus, why);

	if (rc < 0)
		return rc;
	*why = "does not answer";
	pci_begin(&d->pci);
	pci_net_config(&d->pci, &d->config);
	queues_find(d);
	d->quirk = quirk_find(&d->pci, &d->quirk_bits);
	if (pci_error(&d->pci) != 0)
		return pci_error(&d->pci);
	d->n_pairs_max = pairs_max(d);
	*why = "has no queue pair that can be used";
	return d->n_pairs_max > 0 && d->queue_sizes[0] > 0 && d->queue_sizes[1] > 0 ? 0 : -ENOTSUP;
}

static void
device_destroy(struct device *d)
{
	if (d == NULL)
		return;
	if (d->vdpa != NULL)
		rte_vdpa_unregister_device(d->vdpa);
	device_del(d);
	own_fini(&d->own);
	bus_close(d->bus);
	free(d);
}

static struct device *
device_new(struct rte_device *rte, struct bus *bus, const struct device_args *args)
{
	struct device *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	d->rte = rte;
	d->bus = bus;
	d->args = *args;
	d->vid = d->epfd = d->wake_fd = d->config_fd = -1;
	pthread_mutex_init(&d->lock, NULL);
	own_init(&d->own);
	for (uint16_t i = 0; i < RTE_DIM(d->rings); i++) {
		struct ring *r = &d->rings[i];

		*r = (struct ring){ .dev = d, .queue = i, .kickfd = -1, .callfd = -1, .irqfd = -1 };
	}
	return d;
}

int
device_create(struct rte_device *rte, struct bus *bus, const struct device_args *args)
{
	const char *why = "out of memory";
	struct device *d = device_new(rte, bus, args);
	int rc;

	if (d == NULL) {
		bus_close(bus);
		return -ENOMEM;
	}
	rc = discover(d, &why);
	if (rc == 0) {
		why = "there are too many devices";
		rc = device_add(d);
	}
	if (rc == 0) {
		why = "its name is taken";
		d->vdpa = rte_vdpa_register_device(rte, &device_ops);
		rc = d->vdpa != NULL ? 0 : -EEXIST;
	}
	if (rc < 0) {
		LOG(ERR, "%s: %s", bus->name, why);
		device_destroy(d);
		return rc;
	}
	LOG(NOTICE, "%s: %u pairs, %s%s%s", bus->name, d->n_pairs_max,
	    d->quirk != NULL ? d->quirk->name : "no vendor capability",
	    device_can(d, QUIRK_POSITIONS) ? ", tells positions" : "",
	    device_can(d, QUIRK_LOGGING) ? ", logs" : "");
	return 0;
}

int
device_remove(const struct rte_device *rte)
{
	struct device *d = device_of(rte);

	if (d == NULL)
		return -ENODEV;
	device_lock(d);
	device_close(d);
	device_unlock(d);
	device_destroy(d);
	return 0;
}

/* operations */

static int
guest_load(struct device *d, int vid)
{
	int rc;

	d->vid = vid;
	d->failure = FAILURE_NONE;
	d->healed = d->keep_shadow = d->notify = false;
	d->features = 0;
	if (rte_vhost_get_negotiated_features(vid, &d->features) != 0)
		return -ENODEV;
	d->logging = (d->features & LOG_ALL) != 0;
	d->mark = (struct mark){ 0 };
	if (d->logging)
		mark_load(&d->mark, vid);
	if (!device_has(d, VIRTIO_F_VERSION_1)) {
		LOG(ERR, "%s: guest has not negotiated VERSION_1", d->bus->name);
		return -ENOTSUP;
	}
	rc = mem_load(&d->mem, vid);
	return rc < 0 ? rc : rings_load(d);
}

int
device_conf(struct device *d, int vid)
{
	int rc;

	if (d->configured)
		device_close(d);
	rc = guest_load(d, vid);
	if (rc < 0) {
		LOG(ERR, "%s: guest cannot be served: %s", d->bus->name, strerror(-rc));
		rings_store(d);
		return rc;
	}
	rc = relay_start(d);
	if (rc == 0) {
		rc = device_start(d);
		if (rc < 0)
			relay_stop(d);
	}
	d->configured = rc == 0;
	if (rc == 0)
		return 0;
	rings_store(d);
	d->notify = false;      /* the caller is told now */
	return rc;
}

void
device_close(struct device *d)
{
	if (!d->configured)
		return;
	relay_stop(d);
	if (d->running)
		device_stop(d);
	rings_store(d);
	d->mem.n_regions = 0;
	d->logging = false;
	d->configured = false;
}

/* A ring that is to get nothing more wants its buffers back, which only a stop gives. */
static bool
wants_restart(const struct ring *r, bool enabled)
{
	if (!r->started || r->enabled == enabled || r->bad != SHADOW_BAD_NONE)
		return false;
	return r->dev->mode == MODE_DIRECT || (!enabled && !ring_is_tx(r));
}

static int
irq_move(struct ring *r)
{
	if (!r->on_device || r->shadow != NULL)
		return 0;
	return bus_irq_set(r->dev->bus, 1u + r->queue, 1, &r->callfd);
}

int
device_ring_set(struct device *d, uint16_t queue, bool enabled)
{
	struct ring *r = &d->rings[queue];
	bool restart;
	int rc;

	if (queue >= RTE_DIM(d->rings))
		return -ERANGE;
	restart = d->running && wants_restart(r, enabled);
	if (!d->configured || !r->started) {
		r->enabled = enabled;
		return 0;
	}
	rc = ring_fds_load(r);
	r->enabled = enabled;
	if (rc == 0 && restart)
		rc = device_restart(d);
	else if (rc == 0 && d->running)
		rc = irq_move(r);
	if (rc == 0 && d->running && !ring_is_tx(r))
		rc = device_pairs_set(d);
	relay_watch(d, r);
	atomic_store(&r->kicked, true);
	relay_wake(d);
	ring_call(r);
	return rc;
}

int
device_features_set(struct device *d)
{
	uint64_t features = 0;
	bool logging;

	if (!d->configured || rte_vhost_get_negotiated_features(d->vid, &features) != 0)
		return 0;
	logging = (features & LOG_ALL) != 0;
	if (logging == d->logging)
		return 0;
	d->features = features;
	if (d->running)
		return device_log_set(d, logging);
	d->logging = logging;
	return 0;
}
