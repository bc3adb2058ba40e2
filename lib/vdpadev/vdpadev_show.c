/* SPDX-License-Identifier: BSD-3-Clause */
#include "vdpadev_impl.h"
#include "event.h"
#include "vdpa_abi.h"

#include <rte_common.h>
#include <rte_cycles.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* More than any driver has. */
#define STATS_MAX 128u

/*
 * Names under which a driver of this project tells what the contract asks for; others have names of
 * their own, which are shown and mean nothing here.
 */
static const char *const count_names[] = {
#define X(field, name) name,
	VDPADEV_COUNTS(X)
#undef X
};

#define COUNTS RTE_DIM(count_names)

/* Words of drivers, kept for good: there are few, and who holds one need not ask how long. */
static pthread_mutex_t words_lock = PTHREAD_MUTEX_INITIALIZER;
static struct word {
	struct word *next;
	char text[VDPADEV_NAME_MAX];
} *words;

static const char *
word_keep(const char *text)
{
	struct word *w;

	pthread_mutex_lock(&words_lock);
	for (w = words; w != NULL && strcmp(w->text, text) != 0; w = w->next)
		;
	if (w == NULL && (w = calloc(1, sizeof(*w))) != NULL) {
		memcpy(w->text, text, strnlen(text, sizeof(w->text) - 1));
		w->next = words;
		words = w;
	}
	pthread_mutex_unlock(&words_lock);
	return w != NULL ? w->text : "unknown";
}

static unsigned int
names_get(const struct rte_vdpa_device *device, struct rte_vdpa_stat_name *names)
{
	int n = 0;

	if (device->ops->get_stats_names != NULL)
		n = device->ops->get_stats_names((struct rte_vdpa_device *)(uintptr_t)device, names,
						 STATS_MAX);
	return n < 0 ? 0 : RTE_MIN((unsigned int)n, STATS_MAX);
}

static unsigned int
stats_get(const struct rte_vdpa_device *device, uint16_t qid, struct rte_vdpa_stat *stats)
{
	int n = 0;

	if (device->ops->get_stats != NULL)
		n = device->ops->get_stats((struct rte_vdpa_device *)(uintptr_t)device, qid, stats,
					   STATS_MAX);
	return n < 0 ? 0 : RTE_MIN((unsigned int)n, STATS_MAX);
}

bool
vdpadev_tells(const struct rte_vdpa_device *device, const char *name)
{
	struct rte_vdpa_stat_name names[STATS_MAX];
	unsigned int n = names_get(device, names);

	for (unsigned int i = 0; i < n; i++)
		if (strncmp(names[i].name, name, sizeof(names[i].name)) == 0)
			return true;
	return false;
}

/* One counter after the other, by name; false at the end. */
struct walk {
	struct rte_vdpa_stat_name names[STATS_MAX];
	struct rte_vdpa_stat stats[STATS_MAX];
	unsigned int n_names, n_stats;
};

static void
walk_begin(struct walk *w, const struct rte_vdpa_device *device, uint16_t qid)
{
	w->n_names = names_get(device, w->names);
	w->n_stats = stats_get(device, qid, w->stats);
}

static bool
walk_next(const struct walk *w, uint32_t *iter, struct vdpadev_stat *out)
{
	while (*iter < w->n_stats) {
		const struct rte_vdpa_stat *s = &w->stats[(*iter)++];

		if (s->id >= w->n_names)
			continue;
		memset(out, 0, sizeof(*out));
		memcpy(out->name, w->names[s->id].name,
		       RTE_MIN(sizeof(out->name), sizeof(w->names[0].name)) - 1);
		out->value = s->value;
		return true;
	}
	return false;
}

static enum vring_bad
bad_named(const char *name)
{
	for (unsigned int i = 0; i < VRING_BAD_N; i++)
		if (strcmp(vring_bad_names[i], name) == 0)
			return (enum vring_bad)i;
	return VRING_BAD_NONE;
}

static void
told_note(struct vdpadev_told *told, const struct vdpadev_stat *s)
{
	for (unsigned int i = 0; i < COUNTS; i++) {
		if (strcmp(s->name, count_names[i]) != 0)
			continue;
		told->known[i] = true;
		told->counts[i] = s->value;
	}
	if (strcmp(s->name, "used_index") == 0) {
		told->has_index = true;
		told->index = (uint16_t)s->value;
	} else if (strcmp(s->name, "first") == 0) {
		told->first = s->value;
	} else if (strncmp(s->name, "bad_", 4) == 0 && s->value != 0) {
		told->bad = bad_named(s->name + 4);
	}
}

void
vdpadev_told_get(const struct vdpadev *d, uint16_t qid, struct vdpadev_told *out)
{
	struct vdpadev_stat stat;
	uint32_t iter = 0;
	struct walk w;

	memset(out, 0, sizeof(*out));
	walk_begin(&w, d->device, qid);
	while (walk_next(&w, &iter, &stat))
		told_note(out, &stat);
}

bool
vdpadev_stats_next(const struct vdev *dev, uint16_t qid, uint32_t *iter, struct vdpadev_stat *out)
{
	const struct vdpadev *d = vdpadev_of(dev);
	struct walk w;

	if (qid >= 2 * dev->n_pairs_max)
		return false;
	walk_begin(&w, d->device, qid);
	return walk_next(&w, iter, out);
}

static uint64_t
count_go_on(struct vdpadev_count *c, uint64_t now)
{
	if (now < c->last)
		c->before += c->last;
	c->last = now;
	return c->before + now;
}

void
vdpadev_counts_begin(struct vdpadev *d)
{
	for (uint16_t q = 0; q < 2 * d->vdev.n_pairs_max; q++) {
		struct vdpadev_told told;

		vdpadev_told_get(d, q, &told);
		for (unsigned int i = 0; i < COUNTS; i++)
			d->rings[q].counts[i] = (struct vdpadev_count){
				.before = -told.counts[i], .last = told.counts[i],
			};
	}
}

/* What a device sees there is not what the guest has: its rings are of no use, whatever they seem. */
static bool
memory_gone(const struct vdpadev *d)
{
	return d->mem != NULL && atomic_load_explicit(&d->mem->faulted, memory_order_relaxed);
}

/* What we did on the driver's behalf counts where it does not say so itself. */
void
vdpadev_counts_read(struct vdpadev *d, uint16_t qid, struct vdpadev_told *told)
{
	struct vdpadev_ring *r = &d->rings[qid];
	uint64_t ours[COUNTS], marked;

	vdpadev_told_get(d, qid, told);
	pthread_mutex_lock(&d->lock);
	ours[0] = vdpadev_ring_chains(d, r);
	ours[1] = r->calls;
	ours[2] = r->pages;
	ours[3] = r->rounds;
	marked = r->marked;
	pthread_mutex_unlock(&d->lock);
	for (unsigned int i = 0; i < COUNTS; i++)
		told->counts[i] = told->known[i] ? count_go_on(&r->counts[i], told->counts[i]) : ours[i];
	told->counts[2] += marked;
	if (r->bad == VRING_BAD_NONE)
		r->bad = memory_gone(d) ? VRING_BAD_MEMORY : told->bad;
}

/* When the driver does not say when the first chain came back, it is when that was seen. */
static uint64_t
first_seen(struct vdpadev_ring *r, const struct vdpadev_told *told)
{
	if (told->first != 0)
		return told->first;
	if (r->first == 0 && told->counts[0] > r->start_chains)
		r->first = rte_rdtsc();
	return r->first;
}

int
vdpadev_stats(const struct vdev *dev, uint16_t qid, struct vdev_ring_stats *out)
{
	struct vdpadev *d = vdpadev_of(dev);
	struct vdpadev_ring *r = &d->rings[qid];
	struct vdpadev_told told;

	if (qid >= d->n_rings || !r->said.started)
		return -ERANGE;
	memset(out, 0, sizeof(*out));
	vdpadev_counts_read(d, qid, &told);
	vdpadev_bad_report(d, qid);
	out->pos = vdpadev_ring_now(d, r, &told);
	out->bad = r->bad;
	out->running = d->configured && r->bad == VRING_BAD_NONE && vdpadev_failed(dev) == NULL;
	out->worker = UINT16_MAX;
	out->chains = told.counts[0];
	out->calls = told.counts[1];
	out->pages = told.counts[2];
	out->rounds = told.counts[3];
	out->first = first_seen(r, &told);
	vdpadev_ring_asked(r, out);
	return 0;
}

void
vdpadev_bad_report(struct vdpadev *d, uint16_t qid)
{
	struct vdpadev_ring *r = &d->rings[qid];
	const struct event ev = {
		.kind = EVENT_RING_BROKEN, .port = d->port, .index = qid, .reason = r->bad,
	};

	if (!r->said.started || r->bad == VRING_BAD_NONE || r->reported)
		return;
	r->reported = event_send(d->cross, &ev);
}

void
vdpadev_fail(struct vdpadev *d, const char *why)
{
	const struct event ev = { .kind = EVENT_DEVICE_FAILED, .port = d->port };
	const char *none = NULL;

	if (atomic_compare_exchange_strong(&d->failed, &none, why))
		event_send(d->cross, &ev);
}

bool
vdpadev_device_tells(const struct rte_vdpa_device *device, const char *name)
{
	struct vdpadev_stat stat;
	uint32_t iter = 0;
	struct walk w;

	walk_begin(&w, device, 0);
	while (walk_next(&w, &iter, &stat))
		if (strcmp(stat.name, name) == 0)
			return stat.value != 0;
	return false;
}

const char *
vdpadev_device_failed(const struct rte_vdpa_device *device)
{
	struct vdpadev_stat stat;
	uint32_t iter = 0;
	struct walk w;

	walk_begin(&w, device, 0);
	while (walk_next(&w, &iter, &stat))
		if (strncmp(stat.name, "failed_", 7) == 0 && stat.value != 0)
			return word_keep(stat.name + 7);
	return NULL;
}

const char *
vdpadev_failed(const struct vdev *dev)
{
	struct vdpadev *d = vdpadev_of(dev);
	const char *why = atomic_load(&d->failed), *told;

	if (why == NULL)
		return NULL;
	told = vdpadev_device_failed(d->device);
	return told != NULL ? told : why;
}
