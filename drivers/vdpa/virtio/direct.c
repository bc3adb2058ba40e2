/* SPDX-License-Identifier: BSD-3-Clause */
#include "device.h"

#include "bus.h"
#include "log.h"

#include <errno.h>
#include <linux/virtio_config.h>

static bool
position_fits(const struct ring *r, uint16_t pos)
{
	return !device_has(r->dev, VIRTIO_F_RING_PACKED) || (pos & 0x7fff) < r->size;
}

/* A device that tells positions is asked before it forgets them. */
void
direct_positions_take(struct device *d)
{
	struct ring *r;
	int rc;

	if (d->mode != MODE_DIRECT || !d->running || !device_can(d, QUIRK_POSITIONS))
		return;
	rc = d->quirk->freeze(&d->pci);
	if (rc < 0)
		device_blame(d, rc == -ENODEV ? FAILURE_REMOVED : FAILURE_RESET);
	EACH_STARTED(d, r) {
		uint16_t avail, used;

		if (!r->on_device || r->shadow != NULL)
			continue;
		d->quirk->pos_get(&d->pci, r->queue, &avail, &used);
		if (pci_error(&d->pci) == 0 && position_fits(r, used))
			r->pos = used;
		else
			device_blame(d, FAILURE_POSITION);
	}
}

int
direct_log(struct device *d, bool on)
{
	if (d->log.va == NULL)
		return 0;
	return d->quirk->log_set(&d->pci, d->log.iova, on ? d->log_bytes : 0);
}

void
device_log_sync(struct device *d)
{
	uint64_t *words = d->log.va;

	if (words == NULL || !d->logging || d->mark.bits == NULL)
		return;
	for (uint64_t w = 0; w < d->log_bytes / 8; w++) {
		uint64_t bits = __atomic_load_n(&words[w], __ATOMIC_RELAXED);

		if (bits == 0)
			continue;
		bits = __atomic_exchange_n(&words[w], 0, __ATOMIC_SEQ_CST);
		for (; bits != 0; bits &= bits - 1)
			rings_mark(d, (w * 64 + (uint64_t)__builtin_ctzll(bits)) << MARK_PAGE_SHIFT);
	}
}

/* What the device has logged until it was told to stop belongs to the log that ends. */
static int
log_end(struct device *d)
{
	struct ring *r;
	int rc = direct_log(d, false);

	device_log_sync(d);
	d->logging = false;
	EACH_STARTED(d, r)
		if (r->shadow != NULL)
			shadow_log_set(r->shadow, NULL, NULL);
	return rc;
}

int
device_log_set(struct device *d, bool on)
{
	struct ring *r;

	pci_begin(&d->pci);
	if (!on)
		return log_end(d);
	mark_load(&d->mark, d->vid);
	d->logging = true;
	if (d->mode == MODE_DIRECT && !device_can(d, QUIRK_LOGGING))
		return device_restart(d);
	EACH_STARTED(d, r)
		if (r->shadow != NULL)
			shadow_log_set(r->shadow, ring_mark, r);
	if (direct_log(d, true) == 0)
		return 0;
	LOG(WARNING, "%s: does not log; going on with shadow rings", d->bus->name);
	d->keep_shadow = true;
	return device_restart(d);
}
