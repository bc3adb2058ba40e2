/* SPDX-License-Identifier: BSD-3-Clause */
#include "log.h"
#include "session_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

LOG_REGISTER(session);
LOG_USE(session);

/* Features that are between the front-end and its guest: a provider does not see them. */
#define FEATURES_FRONT \
	(1ULL << VHOST_USER_F_PROTOCOL_FEATURES | 1ULL << VIRTIO_NET_F_CTRL_VQ | \
	 1ULL << VIRTIO_NET_F_CTRL_RX | 1ULL << VIRTIO_NET_F_GUEST_ANNOUNCE)

/* Offered by the library, done by nobody here. */
#define FEATURES_NEVER \
	(1ULL << VIRTIO_F_ACCESS_PLATFORM | \
	 1ULL << VIRTIO_NET_F_GSO | 1ULL << VIRTIO_NET_F_HOST_UFO | \
	 1ULL << VIRTIO_NET_F_GUEST_UFO)

/* No back-end channel (so no host notifiers), no in-flight set: the requests that belong to them
 * are not in the table of session_hook.c either. */
#define PROTOCOL_FEATURES \
	(1ULL << VHOST_USER_PROTOCOL_F_MQ | 1ULL << VHOST_USER_PROTOCOL_F_RARP | \
	 1ULL << VHOST_USER_PROTOCOL_F_REPLY_ACK | 1ULL << VHOST_USER_PROTOCOL_F_NET_MTU | \
	 1ULL << VHOST_USER_PROTOCOL_F_STATUS | 1ULL << VHOST_USER_PROTOCOL_F_LOG_SHMFD)

/*
 * The library tells every message at INFO, several lines each.  Who has asked for another level
 * than this default keeps it.
 */
static void
library_log_lower(void)
{
	int type = rte_log_register("lib.vhost.config");

	if (type >= 0 && rte_log_get_level(type) == RTE_LOG_INFO)
		rte_log_set_level(type, RTE_LOG_WARNING);
}

/* Once per process. */
static void
library_prepare(void)
{
	library_log_lower();
	session_recv_check();
	session_accept_check();
}

static uint64_t
features_offered(const struct session_opts *opts)
{
	uint64_t features = opts->features | FEATURES_FRONT;

	features &= ~(1ULL << VIRTIO_NET_F_MQ | 1ULL << VIRTIO_NET_F_MTU);
	if (opts->n_pairs_max > 1)
		features |= 1ULL << VIRTIO_NET_F_MQ;
	if (opts->mtu != 0)
		features |= 1ULL << VIRTIO_NET_F_MTU;
	if (opts->can_log)
		features |= 1ULL << VHOST_F_LOG_ALL;
	return features & ~FEATURES_NEVER;
}

static uint64_t
protocol_features_offered(const struct session_opts *opts)
{
	uint64_t features = PROTOCOL_FEATURES;

	if (opts->mtu == 0)
		features &= ~(1ULL << VHOST_USER_PROTOCOL_F_NET_MTU);
	if (!opts->can_log)
		features &= ~(1ULL << VHOST_USER_PROTOCOL_F_LOG_SHMFD);
	return features;
}

/* The library says no more than that it failed. */
static int
library_error(void)
{
	return errno != 0 ? -errno : -EIO;
}

/*
 * What the library offers is only ever narrowed: rte_vhost_driver_set_features() would make it
 * wait for rings that a guest never starts.
 */
static int
driver_configure(struct session *s)
{
	const char *path = s->opts.path;
	uint64_t features, protocol;

	if (rte_vhost_driver_get_features(path, &features) < 0 ||
	    rte_vhost_driver_get_protocol_features(path, &protocol) < 0)
		return library_error();
	s->offered = features & features_offered(&s->opts);
	s->protocol_offered = protocol & protocol_features_offered(&s->opts);
	if (rte_vhost_driver_disable_features(path, features & ~s->offered) < 0 ||
	    rte_vhost_driver_set_protocol_features(path, s->protocol_offered) < 0 ||
	    rte_vhost_driver_callback_register(path, &session_device_ops) < 0)
		return library_error();
	return 0;
}

static int
driver_start(struct session *s)
{
	const struct session_opts *opts = &s->opts;
	int rc;

	errno = 0;
	if (rte_vhost_driver_register(opts->path, opts->client ? RTE_VHOST_USER_CLIENT : 0) < 0)
		return library_error();
	rc = driver_configure(s);
	if (rc == 0 && rte_vhost_driver_start(opts->path) < 0)
		rc = library_error();
	if (rc == 0 && !opts->client)
		rc = session_path_mode(opts);
	return rc;
}

static int
opts_check(const struct session_opts *opts)
{
	if (opts->n_pairs_max == 0 || opts->n_pairs_max > VDEV_RINGS_MAX / 2)
		return -EINVAL;
	return session_path_fits(opts->path);
}

static void
session_free(struct session *s)
{
	free((char *)(uintptr_t)s->opts.path);
	free((char *)(uintptr_t)s->opts.name);
	free(s->said);
	free(s->rings);
	free(s->pos);
	free(s);
}

static int
session_alloc(const struct session_opts *opts, struct session **out)
{
	uint16_t n = 2 * opts->n_pairs_max;
	struct session *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return -ENOMEM;
	s->opts = *opts;
	s->opts.path = strdup(opts->path);
	s->opts.name = strdup(opts->name);
	s->said = calloc(n, sizeof(*s->said));
	s->rings = calloc(n, sizeof(*s->rings));
	s->pos = calloc(n, sizeof(*s->pos));
	if (s->opts.path == NULL || s->opts.name == NULL || s->said == NULL || s->rings == NULL ||
	    s->pos == NULL) {
		session_free(s);
		return -ENOMEM;
	}
	s->vid = s->connfd = s->taken = -1;
	for (uint16_t i = 0; i < n; i++)
		s->rings[i].kickfd = s->rings[i].callfd = -1;
	snprintf(s->reason, sizeof(s->reason), "no front-end is connected");
	*out = s;
	return 0;
}

static int
session_start(struct session *s)
{
	int rc = s->opts.client ? 0 : session_path_claim(s->opts.path);

	return rc < 0 ? rc : driver_start(s);
}

int
session_create(const struct session_opts *opts, struct session **out)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct session *s = NULL;
	int rc = opts_check(opts);

	if (rc < 0)
		return rc;
	pthread_once(&once, library_prepare);
	rc = session_alloc(opts, &s);
	if (rc < 0)
		return rc;
	rc = session_map_add(s);
	if (rc < 0) {
		session_free(s);
		return rc;
	}
	*out = s; /* a front-end may connect before the next call returns */
	rc = session_start(s);
	if (rc < 0) {
		*out = NULL;
		session_destroy(s);
	}
	return rc;
}

/*
 * The library says nothing of the end of a connection that it ends by unregister, and waits there
 * for callbacks that may want the lock: so the session lets go first, then unregisters.
 */
void
session_destroy(struct session *s)
{
	if (s == NULL)
		return;
	pthread_mutex_lock(s->opts.lock);
	s->dying = true;
	if (s->vid >= 0)
		session_disconnect(s);
	pthread_mutex_unlock(s->opts.lock);
	rte_vhost_driver_unregister(s->opts.path);
	session_map_del(s);
	session_free(s);
}

bool
session_faulted(const struct session *s)
{
	return session_mem_faulted(s);
}

void
session_break(struct session *s, const char *why)
{
	snprintf(s->broken, sizeof(s->broken), "%s", why);
	LOG_RL(ERR, "%s: broken: %s", s->opts.name, s->broken);
	session_quiesce(s);
	session_state_update(s);
}

/*
 * A message that lets go of the rings does not change the state for the moment that it takes; but
 * when the library could not carry it out there is no second hook, and nothing runs.
 */
static void
info_state(const struct session *s, struct session_info *out)
{
	bool halfway = s->state == SESSION_UP && !s->running;

	out->state = halfway ? SESSION_WAITING : s->state;
	if (halfway && s->open != 0)
		snprintf(out->reason, sizeof(out->reason), "%s was not carried out",
			 session_request_name(s->open));
	else
		snprintf(out->reason, sizeof(out->reason), "%s", s->reason);
}

bool
session_connected(const struct session *s)
{
	return s->vid >= 0;
}

void
session_info(const struct session *s, struct session_info *out)
{
	memset(out, 0, sizeof(*out));
	info_state(s, out);
	out->generation = s->generation;
	out->connected = session_connected(s);
	out->offered = s->offered;
	out->protocol_offered = s->protocol_offered;
	out->features = s->features;
	out->protocol_features = s->protocol_features;
	out->n_rings = s->n_rings;
	memcpy(out->rings, s->rings, s->n_rings * sizeof(*s->rings));
	out->logging = session_logging(s);
	out->log_bytes = s->log != NULL ? s->log->n_pages / 8 : 0;
	if (s->mem == NULL)
		return;
	out->n_regions = s->mem->n_regions;
	memcpy(out->regions, s->mem->regions, s->mem->n_regions * sizeof(*s->mem->regions));
}
