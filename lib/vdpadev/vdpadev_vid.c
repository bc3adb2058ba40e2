/* SPDX-License-Identifier: BSD-3-Clause */
#include "log.h"
#include "vdpadev_impl.h"
#include "call.h"
#include "vdpa_abi.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

LOG_USE(vdpadev);

/*
 * The dynamic linker looks for a symbol in the executable first, whatever version of it a library
 * asks for.  So a driver's rte_vhost_get_mem_table() is the one below, and so is ferry's own.
 */

#define VIDS_MAX 1024

/* Calls that are ours for our vids and the library's for all others:
 * X(result, name, parameters, arguments). */
#define CALLS(X) \
	X(struct rte_vdpa_device *, rte_vhost_get_vdpa_device, (int vid), (vid)) \
	X(int, rte_vhost_get_mem_table, (int vid, struct rte_vhost_memory **mem), (vid, mem)) \
	X(int, rte_vhost_get_negotiated_features, (int vid, uint64_t *features), \
	  (vid, features)) \
	X(int, rte_vhost_get_negotiated_protocol_features, (int vid, uint64_t *features), \
	  (vid, features)) \
	X(uint16_t, rte_vhost_get_vring_num, (int vid), (vid)) \
	X(int, rte_vhost_get_vhost_vring, (int vid, uint16_t q, struct rte_vhost_vring *vring), \
	  (vid, q, vring)) \
	X(int, rte_vhost_get_vring_base, (int vid, uint16_t q, uint16_t *avail, uint16_t *used), \
	  (vid, q, avail, used)) \
	X(int, rte_vhost_get_vring_base_from_inflight, \
	  (int vid, uint16_t q, uint16_t *avail, uint16_t *used), (vid, q, avail, used)) \
	X(int, rte_vhost_set_vring_base, (int vid, uint16_t q, uint16_t avail, uint16_t used), \
	  (vid, q, avail, used)) \
	X(int, rte_vhost_get_log_base, (int vid, uint64_t *base, uint64_t *size), \
	  (vid, base, size)) \
	X(int, rte_vhost_get_mtu, (int vid, uint16_t *mtu), (vid, mtu)) \
	X(int, rte_vhost_get_numa_node, (int vid), (vid)) \
	X(int, rte_vhost_get_ifname, (int vid, char *buf, size_t len), (vid, buf, len)) \
	X(int, rte_vhost_vring_call, (int vid, uint16_t q), (vid, q)) \
	X(int, rte_vhost_vring_call_nonblock, (int vid, uint16_t q), (vid, q)) \
	X(int, rte_vhost_enable_guest_notification, (int vid, uint16_t q, int enable), \
	  (vid, q, enable)) \
	X(int, rte_vhost_host_notifier_ctrl, (int vid, uint16_t q, bool enable), \
	  (vid, q, enable)) \
	X(int, rte_vhost_slave_config_change, (int vid, bool need_reply), (vid, need_reply)) \
	X(int, rte_vdpa_relay_vring_used, (int vid, uint16_t q, void *mediated), \
	  (vid, q, mediated))

/* The same without a result. */
#define CALLS_VOID(X) \
	X(void, rte_vhost_log_write, (int vid, uint64_t addr, uint64_t len), (vid, addr, len)) \
	X(void, rte_vhost_log_used_vring, (int vid, uint16_t q, uint64_t off, uint64_t len), \
	  (vid, q, off, len))

struct slot {
	pthread_mutex_t lock;
	struct vdpadev *d;
};

static struct slot slots[VIDS_MAX] = {
	[0 ... VIDS_MAX - 1] = { .lock = PTHREAD_MUTEX_INITIALIZER },
};

#define X(type, name, params, args) static type (*next_##name) params;
CALLS(X)
CALLS_VOID(X)
#undef X

/* Before main(), so that nobody can come too early. */
__attribute__((constructor)) static void
next_find(void)
{
#define X(type, name, params, args) *(void **)&next_##name = dlsym(RTLD_NEXT, #name);
	CALLS(X)
	CALLS_VOID(X)
#undef X
}

static bool
is_ours(int vid)
{
	return vid >= VDPADEV_VID_BASE && vid < VDPADEV_VID_BASE + VIDS_MAX;
}

/* The device of a vid with its lock held; NULL: there is none. */
static struct vdpadev *
device_lock(int vid)
{
	struct slot *s = &slots[vid - VDPADEV_VID_BASE];
	struct vdpadev *d;

	pthread_mutex_lock(&s->lock);
	d = s->d;
	if (d != NULL)
		pthread_mutex_lock(&d->lock);
	pthread_mutex_unlock(&s->lock);
	return d;
}

/* The same while it has a guest. */
static struct vdpadev *
guest_lock(int vid)
{
	struct vdpadev *d = device_lock(vid);

	if (d == NULL || d->bound)
		return d;
	pthread_mutex_unlock(&d->lock);
	return NULL;
}

/* The same, and a ring of it; NULL: there is no such ring. */
static struct vdpadev_ring *
ring_lock(int vid, uint16_t q, struct vdpadev **out)
{
	struct vdpadev *d = guest_lock(vid);

	*out = d;
	if (d == NULL)
		return NULL;
	if (q < d->n_rings)
		return &d->rings[q];
	pthread_mutex_unlock(&d->lock);
	return NULL;
}

static void
unlock(struct vdpadev *d)
{
	pthread_mutex_unlock(&d->lock);
}

/* Our answers */

static struct rte_vdpa_device *
our_rte_vhost_get_vdpa_device(int vid)
{
	struct vdpadev *d = device_lock(vid);
	struct rte_vdpa_device *device;

	if (d == NULL)
		return NULL;
	device = d->device;
	unlock(d);
	return device;
}

static struct rte_vhost_memory *
mem_table_make(const struct gmem *mem)
{
	struct rte_vhost_memory *t = malloc(sizeof(*t) + mem->n_regions * sizeof(t->regions[0]));

	if (t == NULL)
		return NULL;
	t->nregions = mem->n_regions;
	for (uint32_t i = 0; i < mem->n_regions; i++) {
		const struct gmem_region *r = &mem->regions[i];
		uint64_t off = r->fd >= 0 ? r->fd_offset : 0;

		t->regions[i] = (struct rte_vhost_mem_region){
			.guest_phys_addr = r->gpa, .guest_user_addr = r->uva, .size = r->size,
			.host_user_addr = (uintptr_t)r->host, .fd = r->fd,
			.mmap_addr = r->host - off, .mmap_size = r->size + off,
		};
	}
	return t;
}

static int
our_rte_vhost_get_mem_table(int vid, struct rte_vhost_memory **mem)
{
	struct vdpadev *d = guest_lock(vid);

	if (d == NULL)
		return -1;
	*mem = mem_table_make(d->mem);
	unlock(d);
	return *mem == NULL ? -1 : 0;
}

static int
our_rte_vhost_get_negotiated_features(int vid, uint64_t *features)
{
	struct vdpadev *d = guest_lock(vid);

	if (d == NULL)
		return -1;
	*features = d->features;
	unlock(d);
	return 0;
}

/* No request can go to the front-end: those that need one are not negotiated. */
static int
our_rte_vhost_get_negotiated_protocol_features(int vid, uint64_t *features)
{
	struct vdpadev *d = guest_lock(vid);

	if (d == NULL)
		return -1;
	*features = 0;
	unlock(d);
	return 0;
}

static uint16_t
our_rte_vhost_get_vring_num(int vid)
{
	struct vdpadev *d = guest_lock(vid);
	uint16_t n;

	if (d == NULL)
		return 0;
	n = d->n_rings;
	unlock(d);
	return n;
}

/* A ring that is not for the device is as one that the front-end has stopped. */
static int
our_rte_vhost_get_vhost_vring(int vid, uint16_t q, struct rte_vhost_vring *vring)
{
	struct vdpadev *d;
	struct vdpadev_ring *r = ring_lock(vid, q, &d);

	if (r == NULL)
		return -1;
	memset(vring, 0, sizeof(*vring));
	vring->callfd = vring->kickfd = -1;
	if (r->live) {
		vring->desc = r->desc;
		vring->avail = r->driver;
		vring->used = r->device;
		/* Where the library would mark used entries, and rightly for packed rings too. */
		vring->log_guest_addr = d->packed ? r->said.desc.v : r->said.device.v;
		vring->callfd = r->said.callfd;
		vring->kickfd = r->said.kickfd;
		vring->size = r->said.size;
	}
	unlock(d);
	return 0;
}

static uint16_t
base_encode(const struct vdpadev *d, uint16_t index, bool wrap)
{
	return d->packed ? (uint16_t)((index & 0x7fff) | (uint16_t)wrap << 15) : index;
}

static int
our_rte_vhost_get_vring_base(int vid, uint16_t q, uint16_t *avail, uint16_t *used)
{
	struct vdpadev *d;
	struct vdpadev_ring *r = ring_lock(vid, q, &d);

	if (r == NULL)
		return -1;
	*avail = base_encode(d, r->said.pos.avail, r->said.pos.avail_wrap);
	*used = base_encode(d, r->said.pos.used, r->said.pos.used_wrap);
	unlock(d);
	return 0;
}

static int
our_rte_vhost_get_vring_base_from_inflight(int vid, uint16_t q, uint16_t *avail, uint16_t *used)
{
	return -1;
}

static int
our_rte_vhost_set_vring_base(int vid, uint16_t q, uint16_t avail, uint16_t used)
{
	struct vdpadev *d;
	struct vdpadev_ring *r = ring_lock(vid, q, &d);
	uint16_t mask;

	if (r == NULL)
		return -1;
	mask = d->packed ? 0x7fff : UINT16_MAX;
	if (r->live) {
		r->said.pos = (struct vring_pos){
			.avail = avail & mask, .avail_wrap = d->packed && avail >> 15 != 0,
			.used = used & mask, .used_wrap = d->packed && used >> 15 != 0,
		};
		r->stored = true;
	}
	unlock(d);
	return 0;
}

static int
our_rte_vhost_get_log_base(int vid, uint64_t *base, uint64_t *size)
{
	struct vdpadev *d = guest_lock(vid);

	if (d == NULL)
		return -1;
	*base = 0;
	*size = vdpadev_log_size(d->log, base);
	unlock(d);
	return 0;
}

static void
our_rte_vhost_log_write(int vid, uint64_t addr, uint64_t len)
{
	struct vdpadev *d = guest_lock(vid);

	if (d == NULL)
		return;
	vdpadev_mark(d, NULL, (gpa_t){ addr }, len);
	unlock(d);
}

static void
our_rte_vhost_log_used_vring(int vid, uint16_t q, uint64_t off, uint64_t len)
{
	struct vdpadev *d;
	struct vdpadev_ring *r = ring_lock(vid, q, &d);

	if (r == NULL)
		return;
	if (r->live)
		vdpadev_mark(d, r, (gpa_t){ (d->packed ? r->said.desc.v : r->said.device.v) + off },
			     len);
	unlock(d);
}

static int
our_rte_vhost_get_mtu(int vid, uint16_t *mtu)
{
	struct vdpadev *d = guest_lock(vid);
	int rc;

	if (d == NULL)
		return -ENODEV;
	rc = (d->features >> VIRTIO_NET_F_MTU & 1) != 0 && d->mtu > 0 ? 0 : -ENOTSUP;
	if (rc == 0)
		*mtu = d->mtu;
	unlock(d);
	return rc;
}

static int
our_rte_vhost_get_numa_node(int vid)
{
	return -1;
}

static int
our_rte_vhost_get_ifname(int vid, char *buf, size_t len)
{
	struct vdpadev *d = device_lock(vid);

	if (d == NULL)
		return -1;
	snprintf(buf, len, "%s", d->name);
	unlock(d);
	return 0;
}

/* A guest with an event index gets one interrupt too many rather than one too few: what it has
 * been told already is the driver's to know. */
static int
our_rte_vhost_vring_call(int vid, uint16_t q)
{
	struct vdpadev *d;
	struct vdpadev_ring *r = ring_lock(vid, q, &d);
	int rc = -1;

	if (r == NULL)
		return -1;
	if (r->live) {
		rc = 0;
		if (r->said.callfd >= 0 && !vdpadev_ring_silent(d, r)) {
			call_send(r->said.callfd);
			r->calls++;
		}
	}
	unlock(d);
	return rc;
}

static int
our_rte_vhost_vring_call_nonblock(int vid, uint16_t q)
{
	return our_rte_vhost_vring_call(vid, q);
}

static int
our_rte_vhost_enable_guest_notification(int vid, uint16_t q, int enable)
{
	struct vdpadev *d;
	struct vdpadev_ring *r = ring_lock(vid, q, &d);
	int rc = -1;

	if (r == NULL)
		return -1;
	if (r->live) {
		rc = 0;
		if (enable != 0)
			vdpadev_ring_arm(d, r);
		else
			vdpadev_ring_disarm(r);
	}
	unlock(d);
	return rc;
}

/* Guests' kicks come by eventfd, which drivers relay anyway; one of them takes a refusal for a
 * failure of the ring. */
static int
our_rte_vhost_host_notifier_ctrl(int vid, uint16_t q, bool enable)
{
	return 0;
}

static int
our_rte_vhost_slave_config_change(int vid, bool need_reply)
{
	return -ENOTSUP;
}

static int
our_rte_vdpa_relay_vring_used(int vid, uint16_t q, void *mediated)
{
	struct vdpadev *d;
	struct vdpadev_ring *r = ring_lock(vid, q, &d);
	int n;

	if (r == NULL)
		return -1;
	n = r->live && !d->packed ? vdpadev_ring_relay(d, r, mediated) : -1;
	unlock(d);
	return n;
}

/* What the executable exports */

#define X(type, name, params, args) \
	type \
	name params \
	{ \
		return is_ours(vid) ? our_##name args : next_##name args; \
	}
CALLS(X)
#undef X

#define X(type, name, params, args) \
	type \
	name params \
	{ \
		if (is_ours(vid)) \
			our_##name args; \
		else \
			next_##name args; \
	}
CALLS_VOID(X)
#undef X

/* vids */

int
vdpadev_vid_bind(struct vdpadev *d)
{
	for (int i = 0; i < VIDS_MAX; i++) {
		struct slot *s = &slots[i];
		bool free;

		pthread_mutex_lock(&s->lock);
		free = s->d == NULL;
		if (free)
			s->d = d;
		pthread_mutex_unlock(&s->lock);
		if (free) {
			d->vid = VDPADEV_VID_BASE + i;
			return 0;
		}
	}
	return -ENOSPC;
}

void
vdpadev_vid_unbind(struct vdpadev *d)
{
	struct slot *s;

	if (!is_ours(d->vid))
		return;
	s = &slots[d->vid - VDPADEV_VID_BASE];
	pthread_mutex_lock(&s->lock);
	s->d = NULL;
	pthread_mutex_unlock(&s->lock);
	/* Who found it before that still holds its lock. */
	pthread_mutex_lock(&d->lock);
	pthread_mutex_unlock(&d->lock);
	d->vid = -1;
}

struct vdpadev *
vdpadev_vid_owner(const struct rte_vdpa_device *device)
{
	for (int i = 0; i < VIDS_MAX; i++) {
		struct vdpadev *d;

		pthread_mutex_lock(&slots[i].lock);
		d = slots[i].d;
		pthread_mutex_unlock(&slots[i].lock);
		if (d != NULL && d->device == device)
			return d;
	}
	return NULL;
}

/* A driver finds what dlsym() finds; what it finds has to be ours, and behind it the library's. */
static int
call_check(const char *name, const void *own, const void *next)
{
	const void *found = dlsym(RTLD_DEFAULT, name);

	if (found == own && next != NULL && next != own)
		return 0;
	LOG(ERR, "vDPA drivers would not reach ferryd: %s %s (build it with "
	    "-Wl,--export-dynamic-symbol and shared DPDK libraries)", name,
	    found != own ? "is not exported by this executable" : "is in no library");
	return -ENOEXEC;
}

int
vdpadev_vid_check(void)
{
	int rc = 0;

#define X(type, name, params, args) \
	if (rc == 0) \
		rc = call_check(#name, (const void *)name, (const void *)next_##name);
	CALLS(X)
	CALLS_VOID(X)
#undef X
	return rc;
}
