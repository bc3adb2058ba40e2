/* SPDX-License-Identifier: BSD-3-Clause */
#include "ops.h"

#include "device.h"
#include "vdpa_abi.h"

#include <rte_common.h>
#include <rte_vhost.h>

#include <linux/if_ether.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <stdio.h>
#include <string.h>

/* librte_vhost's callers know 0 and -1. */
static int
told(int rc)
{
	return rc < 0 ? -1 : 0;
}

/* The device that is attached to a vhost device, locked; NULL: none of ours. */
static struct device *
attached(int vid)
{
	struct device *d = device_find(rte_vhost_get_vdpa_device(vid));

	if (d != NULL)
		device_lock(d);
	return d;
}

static int
get_queue_num(struct rte_vdpa_device *vdpa, uint32_t *n)
{
	const struct device *d = device_find(vdpa);

	if (d == NULL)
		return -1;
	*n = d->n_pairs_max;
	return 0;
}

static int
get_features(struct rte_vdpa_device *vdpa, uint64_t *features)
{
	const struct device *d = device_find(vdpa);

	if (d == NULL)
		return -1;
	*features = device_features(d) | 1ULL << VHOST_USER_F_PROTOCOL_FEATURES;
	/* Shadow rings can always log. */
	if (d->args.mode != MODE_DIRECT || device_can(d, QUIRK_LOGGING))
		*features |= 1ULL << VHOST_F_LOG_ALL;
	return 0;
}

static int
get_protocol_features(struct rte_vdpa_device *vdpa, uint64_t *features)
{
	*features = 1ULL << VHOST_USER_PROTOCOL_F_MQ |
		    1ULL << VHOST_USER_PROTOCOL_F_LOG_SHMFD |
		    1ULL << VHOST_USER_PROTOCOL_F_REPLY_ACK |
		    1ULL << VHOST_USER_PROTOCOL_F_NET_MTU |
		    1ULL << VHOST_USER_PROTOCOL_F_SLAVE_REQ |
		    1ULL << VHOST_USER_PROTOCOL_F_CONFIG;
	return device_find(vdpa) != NULL ? 0 : -1;
}

static int
dev_conf(int vid)
{
	struct device *d = attached(vid);
	int rc;

	if (d == NULL)
		return -1;
	rc = device_conf(d, vid);
	device_unlock(d);
	return told(rc);
}

static int
dev_close(int vid)
{
	struct device *d = attached(vid);

	if (d == NULL)
		return -1;
	if (d->vid == vid)
		device_close(d);
	device_unlock(d);
	return 0;
}

/* The next connection begins with no ring enabled. */
static int
dev_cleanup(int vid)
{
	struct device *d = attached(vid);

	if (d == NULL)
		return -1;
	device_close(d);
	for (size_t i = 0; i < RTE_DIM(d->rings); i++)
		d->rings[i].enabled = false;
	device_unlock(d);
	return 0;
}

static int
set_vring_state(int vid, int vring, int state)
{
	struct device *d = attached(vid);
	int rc;

	if (d == NULL)
		return -1;
	rc = vring < 0 ? -1 : device_ring_set(d, (uint16_t)RTE_MIN(vring, UINT16_MAX), state != 0);
	device_unlock(d);
	return told(rc);
}

static int
set_features(int vid)
{
	struct device *d = attached(vid);
	int rc;

	if (d == NULL)
		return -1;
	rc = device_features_set(d);
	device_unlock(d);
	return told(rc);
}

static int
get_config(int vid, uint8_t *config, uint32_t size)
{
	struct device *d = attached(vid);
	int rc;

	if (d == NULL)
		return -1;
	memset(config, 0, size);
	pci_begin(&d->pci);
	rc = pci_config_read(&d->pci, 0, config, RTE_MIN(size, d->pci.device.len));
	/* Without the feature the field is there and means nothing. */
	if ((d->pci.features & (1ULL << VIRTIO_NET_F_MAC)) == 0)
		memset(config, 0, RTE_MIN(size, (uint32_t)ETH_ALEN));
	device_unlock(d);
	return told(rc);
}

/* With VERSION_1 there is nothing in it that a driver may write (5.1.4). */
static int
set_config(int vid, uint8_t *config, uint32_t offset, uint32_t size, uint32_t flags)
{
	return -1;
}

static int
get_dev_type(struct rte_vdpa_device *vdpa, uint32_t *type)
{
	*type = RTE_VHOST_VDPA_DEVICE_TYPE_NET;
	return 0;
}

/* statistics: the order of names is the order of values */

#define COUNTS(X) \
	X(chains,       now->chains) \
	X(calls,        r->counts.calls) \
	X(pages,        r->counts.pages) \
	X(rounds,       r->counts.rounds) \
	X(kicks,        r->counts.kicks) \
	X(doorbells,    r->counts.doorbells) \
	X(discards,     now->discards) \
	X(first,        r->first) \
	X(avail_index,  now->avail) \
	X(used_index,   now->used) \
	X(mode_direct,  r->dev->running && r->dev->mode == MODE_DIRECT) \
	X(mode_shadow,  r->dev->running && r->dev->mode == MODE_SHADOW) \
	X(cap_positions, device_can(r->dev, QUIRK_POSITIONS)) \
	X(cap_logging,  device_can(r->dev, QUIRK_LOGGING)) \
	X(cap_packed,   device_offers(r->dev, VIRTIO_F_RING_PACKED)) \
	X(doorbell_mapped, r->dev->doors[r->queue].reg != NULL) \
	X(doorbell_fd,  r->dev->doors[r->queue].fd >= 0)

enum {
#define X(name, value) COUNT_##name,
	COUNTS(X)
#undef X
	N_COUNTS
};

/* "none" is no reason. */
#define N_STATS (N_COUNTS + SHADOW_BAD_N - 1 + FAILURE_N - 1)

static const char *const count_names[] = {
#define X(name, value) #name,
	COUNTS(X)
#undef X
};

static void
stat_name(unsigned int i, struct rte_vdpa_stat_name *out)
{
	const unsigned int failed = N_COUNTS + SHADOW_BAD_N - 1;

	if (i < N_COUNTS)
		snprintf(out->name, sizeof(out->name), "%s", count_names[i]);
	else if (i < failed)
		snprintf(out->name, sizeof(out->name), "bad_%s", shadow_bad_names[i - N_COUNTS + 1]);
	else
		snprintf(out->name, sizeof(out->name), "failed_%s", failure_names[i - failed + 1]);
}

static int
get_stats_names(struct rte_vdpa_device *vdpa, struct rte_vdpa_stat_name *names, unsigned int size)
{
	for (unsigned int i = 0; names != NULL && i < N_STATS && i < size; i++)
		stat_name(i, &names[i]);
	return N_STATS;
}

static void
values_get(struct ring *r, uint64_t *values)
{
	struct ring_now at, *now = &at;

	ring_now(r, now);
#define X(name, value) values[COUNT_##name] = (uint64_t)(value);
	COUNTS(X)
#undef X
	for (unsigned int i = 1; i < SHADOW_BAD_N; i++)
		values[N_COUNTS + i - 1] = r->bad == (enum shadow_bad)i;
	for (unsigned int i = 1; i < FAILURE_N; i++)
		values[N_COUNTS + SHADOW_BAD_N - 1 + i - 1] = r->dev->failure == (enum failure)i;
}

static int
get_stats(struct rte_vdpa_device *vdpa, int qid, struct rte_vdpa_stat *stats, unsigned int n)
{
	struct device *d = device_find(vdpa);
	uint64_t values[N_STATS];

	if (d == NULL || qid < 0 || qid >= 2 * d->n_pairs_max)
		return -1;
	device_lock(d);
	device_log_sync(d);
	values_get(&d->rings[qid], values);
	device_unlock(d);
	for (unsigned int i = 0; i < N_STATS && i < n; i++)
		stats[i] = (struct rte_vdpa_stat){ .id = i, .value = values[i] };
	return (int)RTE_MIN(n, (unsigned int)N_STATS);
}

static int
reset_stats(struct rte_vdpa_device *vdpa, int qid)
{
	return -1;      /* they only grow: who wants a difference subtracts */
}

struct rte_vdpa_dev_ops device_ops = {
	.get_queue_num = get_queue_num,
	.get_features = get_features,
	.get_protocol_features = get_protocol_features,
	.dev_conf = dev_conf,
	.dev_close = dev_close,
	.dev_cleanup = dev_cleanup,
	.set_vring_state = set_vring_state,
	.set_features = set_features,
	.get_stats_names = get_stats_names,
	.get_stats = get_stats,
	.reset_stats = reset_stats,
	.get_config = get_config,
	.set_config = set_config,
	.get_dev_type = get_dev_type,
};
