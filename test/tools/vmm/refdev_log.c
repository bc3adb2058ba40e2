/* SPDX-License-Identifier: BSD-3-Clause */
/* The reference device's dirty log, sound and faulty. */
#include "refdev.h"

#include <linux/virtio_ring.h>
#include <stddef.h>

void
refdev_log_set(struct refdev *d, struct vmm_log *log)
{
	d->log_old = d->log;
	d->log = log;
}

/* The log that a device would use that has not understood what a second one means. */
static struct vmm_log *
log_chosen(const struct refdev *d)
{
	if (d->log_old == NULL)
		return d->log;
	if (d->log_fault == REFDEV_LOG_NO_SECOND)
		return NULL;
	return d->log_fault == REFDEV_LOG_FIRST_LOG ? d->log_old : d->log;
}

static uint64_t
base_of(const struct refdev *d, uint64_t gpa)
{
	for (unsigned int i = 0; i < d->mem->n_regions; i++)
		if (gpa - d->mem->regions[i].gpa < d->mem->regions[i].size)
			return d->mem->regions[i].gpa;
	return 0;
}

static void
bit_set(const struct refdev *d, uint64_t *word, uint64_t bit)
{
	uint64_t old;

	if (d->log_fault != REFDEV_LOG_NOT_ATOMIC) {
		__atomic_fetch_or(word, bit, __ATOMIC_SEQ_CST);
		return;
	}
	old = __atomic_load_n(word, __ATOMIC_RELAXED);
	__atomic_store_n(word, old | bit, __ATOMIC_RELAXED);
}

void
refdev_mark(struct refdev *d, uint64_t gpa, uint64_t len)
{
	struct vmm_log *log = log_chosen(d);
	uint64_t base = d->log_fault == REFDEV_LOG_BASE ? base_of(d, gpa) : 0;
	uint64_t page = (gpa - base) / VMM_PAGE, last = (gpa + len - 1 - base) / VMM_PAGE;

	if (log == NULL || len == 0)
		return;
	if (d->log_fault == REFDEV_LOG_FIRST_PAGE)
		last = page;
	for (; page <= last; page++)
		if (d->log_fault != REFDEV_LOG_WORD_0 || page < 64)
			bit_set(d, &log->words[page / 64], 1ULL << page % 64);
}

static uint64_t
split_arm(struct refdev *d)
{
	uint64_t event = d->addr.used + offsetof(struct vring_used, ring) + d->conf.size * 8U;
	uint16_t *avail_event = vmm_mem_host(d->mem, event, sizeof(*avail_event));

	__atomic_store_n(avail_event, d->avail_idx, __ATOMIC_RELAXED);
	return event;
}

static uint64_t
packed_arm(struct refdev *d)
{
	struct vring_packed_desc_event *e = vmm_mem_host(d->mem, d->addr.used, sizeof(*e));

	e->off_wrap = (uint16_t)(d->avail_idx | (d->avail_wrap ? 1 << 15 : 0));
	e->flags = d->conf.event_idx ? VRING_PACKED_EVENT_FLAG_DESC :
				       VRING_PACKED_EVENT_FLAG_ENABLE;
	return d->addr.used;
}

void
refdev_arm(struct refdev *d)
{
	uint64_t gpa = d->conf.packed ? packed_arm(d) : split_arm(d);

	if (d->log_fault != REFDEV_LOG_NO_EVENT)
		refdev_mark(d, gpa, d->conf.packed ? 4 : 2);
}
