/* SPDX-License-Identifier: BSD-3-Clause */
#include "device.h"

#include <errno.h>
#include <string.h>

#define LATE_DMA_MS   20
#define AFTER_STOP_MS 200
#define EVERY_US      1000

static const char *const names[FAULTS_N] = {
#define X(name) [FAULT_##name] = #name,
	FAULTS(X)
#undef X
};

int
fault_find(const char *name)
{
	for (int i = 0; i < FAULTS_N; i++) {
		if (strcmp(names[i], name) == 0)
			return i;
	}
	return -ENOENT;
}

bool
fault_on(const struct device *d, enum fault f)
{
	return d->faults.of[f].on;
}

bool
fault_once(struct device *d, enum fault f)
{
	bool on = d->faults.of[f].on;

	d->faults.of[f].on = false;
	return on;
}

void
fault_set(struct device *d, enum fault f, bool on, uint64_t arg)
{
	d->faults.of[f].on = on;
	d->faults.of[f].arg = arg;
	if (f == FAULT_bad_bitmap)
		d->dma.log_bad = on;
	else if (f == FAULT_needs_reset && fault_once(d, f))
		device_fail(d, "asked for");
}

/* Stops that go wrong */

/* Buffers that the driver has posted: what a device that is late would still write to. */
static void
buffers_note(struct device *d)
{
	struct ring *r = &d->rings[0];
	uint16_t before = queue_avail(&r->q);
	struct faults *f = &d->faults;

	f->n_late = 0;
	if (!r->enabled)
		return;
	while (f->n_late < LATE_MAX && queue_take(&r->q, &r->chain) > 0) {
		if (r->chain.n_segs == r->chain.n_read)
			continue;
		f->late[f->n_late].iova = r->chain.segs[r->chain.n_read].iova;
		f->late[f->n_late++].len = r->chain.segs[r->chain.n_read].len;
	}
	queue_back(&r->q, before);
}

static void
buffers_write(struct device *d)
{
	static uint8_t junk[256];
	struct faults *f = &d->faults;

	memset(junk, ++junk[0] | 0x80, sizeof(junk));
	for (unsigned int i = 0; i < f->n_late; i++) {
		uint32_t len = f->late[i].len;

		if (dma_write(&d->dma, f->late[i].iova, junk,
			      len > sizeof(junk) ? sizeof(junk) : len) == 0)
			d->stats.late_writes++;
	}
}

static uint64_t
arg_us(const struct device *d, enum fault f, uint64_t otherwise_ms)
{
	uint64_t arg = d->faults.of[f].arg;

	return (arg == 0 ? otherwise_ms : arg) * 1000;
}

bool
fault_stop(struct device *d)
{
	struct faults *f = &d->faults;
	uint64_t now = loop_now_us();

	if (fault_on(d, FAULT_late_dma) || fault_on(d, FAULT_dma_after_stop))
		buffers_note(d);
	if (fault_on(d, FAULT_stuck_stop))
		return false;
	if (!fault_on(d, FAULT_late_dma))
		return true;
	f->stop_at = now + arg_us(d, FAULT_late_dma, LATE_DMA_MS);
	f->late_until = f->stop_at;
	return false;
}

void
fault_stopped(struct device *d)
{
	struct faults *f = &d->faults;

	f->stop_at = f->late_until = 0;
	if (fault_on(d, FAULT_dma_after_stop) && f->n_late > 0)
		f->late_until = loop_now_us() + arg_us(d, FAULT_dma_after_stop, AFTER_STOP_MS);
}

void
fault_poll(struct device *d)
{
	struct faults *f = &d->faults;
	uint64_t now = loop_now_us();

	if (f->late_until > now) {
		buffers_write(d);
		loop_at(now + EVERY_US);
	}
	if (f->stop_at == 0)
		return;
	loop_at(f->stop_at);
	if (f->stop_at <= now) {
		fault_stopped(d);
		device_reset(d);
	}
}
