/* SPDX-License-Identifier: BSD-3-Clause */
#include "device.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define BIT(n) (1ULL << (n))

#define S_ACKNOWLEDGE VIRTIO_CONFIG_S_ACKNOWLEDGE
#define S_DRIVER      VIRTIO_CONFIG_S_DRIVER
#define S_DRIVER_OK   VIRTIO_CONFIG_S_DRIVER_OK
#define S_FEATURES_OK VIRTIO_CONFIG_S_FEATURES_OK
#define S_NEEDS_RESET VIRTIO_CONFIG_S_NEEDS_RESET
#define S_FAILED      VIRTIO_CONFIG_S_FAILED

/* News */

void
device_violation(struct device *d, const char *fmt, ...)
{
	va_list ap;

	if (d->stats.violations++ > 0)
		return;
	va_start(ap, fmt);
	vsnprintf(d->violation, sizeof(d->violation), fmt, ap);
	va_end(ap);
	fprintf(stderr, "%s: driver violation: %s\n", d->conf.path, d->violation);
}

void
device_fail(struct device *d, const char *fmt, ...)
{
	va_list ap;

	if ((d->status & S_NEEDS_RESET) != 0)
		return;
	va_start(ap, fmt);
	vsnprintf(d->failed, sizeof(d->failed), fmt, ap);
	va_end(ap);
	fprintf(stderr, "%s: needs reset: %s\n", d->conf.path, d->failed);
	d->stats.needs_reset++;
	d->status |= S_NEEDS_RESET;
	if ((d->status & S_DRIVER_OK) != 0)
		device_config_changed(d);
}

void
device_interrupt(struct device *d, uint16_t vector)
{
	uint64_t one = 1;

	if (vector >= VECTORS_MAX || d->irqs[vector] < 0)
		return;
	if (fault_on(d, FAULT_lost_interrupt)) {
		uint64_t *left = &d->faults.of[FAULT_lost_interrupt].arg;

		d->stats.interrupts_lost++;
		if (*left > 0 && --*left == 0)
			fault_set(d, FAULT_lost_interrupt, false, 0);
		return;
	}
	d->stats.interrupts++;
	if (write(d->irqs[vector], &one, sizeof(one)) < 0 && errno != EAGAIN)
		device_violation(d, "vector %u: no eventfd", vector);
}

void
device_config_changed(struct device *d)
{
	d->generation++;
	d->isr |= VIRTIO_CONFIG_S_DRIVER;
	device_interrupt(d, d->config_vector);
}

void
device_doorbell(struct device *d, unsigned int index)
{
	d->stats.doorbells++;
	if (fault_on(d, FAULT_ones))
		return;
	if (index >= d->n_rings || !d->rings[index].enabled || (d->status & S_DRIVER_OK) == 0)
		device_violation(d, "doorbell of queue %u that does not run", index);
	else
		d->rings[index].kicked = true;
}

bool
device_running(const struct device *d)
{
	return (d->status & (S_DRIVER_OK | S_NEEDS_RESET)) == S_DRIVER_OK && !d->stopping &&
	       !d->frozen && !fault_on(d, FAULT_ones);
}

/* Life */

static uint64_t
features_offered(const struct device_conf *conf)
{
	uint64_t f = BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_MAC) |
		     BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6) |
		     BIT(VIRTIO_NET_F_GUEST_ECN) | BIT(VIRTIO_NET_F_HOST_TSO4) |
		     BIT(VIRTIO_NET_F_HOST_TSO6) | BIT(VIRTIO_NET_F_HOST_ECN) |
		     BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_NET_F_STATUS) |
		     BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX) |
		     BIT(VIRTIO_NET_F_CTRL_RX_EXTRA) | BIT(VIRTIO_NET_F_CTRL_MAC_ADDR) |
		     BIT(VIRTIO_NET_F_GUEST_ANNOUNCE) | BIT(VIRTIO_F_VERSION_1) |
		     BIT(VIRTIO_F_ACCESS_PLATFORM);

	f |= conf->pairs > 1 ? BIT(VIRTIO_NET_F_MQ) : 0;
	f |= conf->mtu > 0 ? BIT(VIRTIO_NET_F_MTU) : 0;
	f |= conf->packed ? BIT(VIRTIO_F_RING_PACKED) : 0;
	f |= conf->event_idx ? BIT(VIRTIO_RING_F_EVENT_IDX) : 0;
	f |= conf->indirect ? BIT(VIRTIO_RING_F_INDIRECT_DESC) : 0;
	return f;
}

static void
doorbell_ready(void *arg)
{
	struct ring *r = arg;
	uint64_t n;

	if (read(r->doorbell, &n, sizeof(n)) == sizeof(n))
		device_doorbell(r->dev, r->index);
}

static int
rings_init(struct device *d)
{
	for (unsigned int i = 0; i < d->n_rings; i++) {
		struct ring *r = &d->rings[i];
		int rc;

		r->dev = d;
		r->index = (uint16_t)i;
		r->doorbell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (r->doorbell < 0)
			return -errno;
		rc = loop_watch(&r->watch, r->doorbell, doorbell_ready, r);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int
device_init(struct device *d, const struct device_conf *conf)
{
	int rc;

	d->conf = *conf;
	d->n_rings = 2U * conf->pairs + 1;
	d->offered = features_offered(conf);
	d->link_up = true;
	for (unsigned int i = 0; i < VECTORS_MAX; i++)
		d->irqs[i] = -1;
	rc = rings_init(d);
	if (rc < 0)
		return rc;
	pci_init(d);
	device_reset(d);
	d->reset_unread = false;
	return wire_add(&d->member, &net_ops, d, &d->stats);
}

void
device_fini(struct device *d)
{
	device_release(d);
	for (unsigned int i = 0; i < d->n_rings; i++) {
		loop_forget(&d->rings[i].watch);
		close(d->rings[i].doorbell);
	}
}

static void
ring_reset(struct ring *r)
{
	uint64_t n;

	r->desc = r->driver = r->device = 0;
	r->size = r->dev->conf.size;
	r->vector = NO_VECTOR;
	r->enabled = r->vector_unread = r->position_set = false;
	r->start_avail = r->start_used = 0;
	r->kicked = r->interrupt = r->peeked = false;
	/* A doorbell from before is not one of the next driver's. */
	if (read(r->doorbell, &n, sizeof(n)) < 0 && errno != EAGAIN)
		fprintf(stderr, "doorbell %u: %s\n", r->index, strerror(errno));
}

void
device_reset(struct device *d)
{
	d->status = 0;
	d->features = 0;
	d->offered_select = d->features_select = 0;
	d->config_vector = NO_VECTOR;
	d->queue_select = d->vendor_queue = 0;
	d->isr = 0;
	d->reset_unread = true;
	d->features_unread = d->stopping = d->frozen = d->announce = false;
	d->dma.logging = false;
	d->dma.log_base = d->dma.log_size = 0;
	for (unsigned int i = 0; i < d->n_rings; i++)
		ring_reset(&d->rings[i]);
	memcpy(d->mac, d->conf.mac, sizeof(d->mac));
	d->pairs = 1;
	d->filter = (struct filter){ .promisc = true };
	memset(d->member.got, 0, sizeof(d->member.got));
}

void
device_release(struct device *d)
{
	device_reset(d);
	d->reset_unread = false;
	d->faults.late_until = d->faults.stop_at = 0;
	d->faults.n_late = 0;
	maps_clear(&d->dma.maps);
	for (unsigned int i = 0; i < VECTORS_MAX; i++) {
		if (d->irqs[i] >= 0)
			close(d->irqs[i]);
		d->irqs[i] = -1;
	}
}

/* What others have sent until now still is for this driver, and before what it says next. */
static void
stop(struct device *d)
{
	d->stats.resets++;
	if (device_running(d))
		wire_settle();
	if ((d->status & S_DRIVER_OK) == 0 || fault_stop(d)) {
		fault_stopped(d);
		device_reset(d);
	} else {
		d->stopping = true;
	}
}

/* Status */

static const struct {
	unsigned int bit, other;
	const char *name;
} needs[] = {
	{ VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_CSUM, "GUEST_TSO4 without GUEST_CSUM" },
	{ VIRTIO_NET_F_GUEST_TSO6, VIRTIO_NET_F_GUEST_CSUM, "GUEST_TSO6 without GUEST_CSUM" },
	{ VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_CSUM, "HOST_TSO4 without CSUM" },
	{ VIRTIO_NET_F_HOST_TSO6, VIRTIO_NET_F_CSUM, "HOST_TSO6 without CSUM" },
	{ VIRTIO_NET_F_CTRL_RX, VIRTIO_NET_F_CTRL_VQ, "CTRL_RX without CTRL_VQ" },
	{ VIRTIO_NET_F_CTRL_RX_EXTRA, VIRTIO_NET_F_CTRL_VQ, "CTRL_RX_EXTRA without CTRL_VQ" },
	{ VIRTIO_NET_F_CTRL_MAC_ADDR, VIRTIO_NET_F_CTRL_VQ, "CTRL_MAC_ADDR without CTRL_VQ" },
	{ VIRTIO_NET_F_GUEST_ANNOUNCE, VIRTIO_NET_F_CTRL_VQ, "GUEST_ANNOUNCE without CTRL_VQ" },
	{ VIRTIO_NET_F_MQ, VIRTIO_NET_F_CTRL_VQ, "MQ without CTRL_VQ" },
};

/* Whether the device can work with what the driver has chosen. */
static bool
features_agreed(struct device *d)
{
	bool ok = true;

	if ((d->features & ~d->offered) != 0) {
		device_violation(d, "features 0x%llx that are not offered",
				 (unsigned long long)(d->features & ~d->offered));
		return false;
	}
	for (unsigned int i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
		if (device_has(d, needs[i].bit) && !device_has(d, needs[i].other)) {
			device_violation(d, "%s", needs[i].name);
			ok = false;
		}
	}
	return ok && device_has(d, VIRTIO_F_VERSION_1) && device_has(d, VIRTIO_F_ACCESS_PLATFORM);
}

static bool
ring_start(struct device *d, struct ring *r)
{
	uint16_t used = r->start_used, idx;

	r->q = (struct queue){
		.dma = &d->dma, .desc = r->desc, .driver = r->driver, .device = r->device,
		.size = r->size, .packed = device_has(d, VIRTIO_F_RING_PACKED),
		.event_idx = device_has(d, VIRTIO_RING_F_EVENT_IDX),
		.indirect = device_has(d, VIRTIO_RING_F_INDIRECT_DESC),
	};
	if (!r->position_set)
		r->start_avail = r->start_used = used = r->q.packed ? 1 << 15 : 0;
	queue_start(&r->q, r->start_avail, r->start_used);
	r->kicked = true;
	if (r->q.packed)
		return true;
	if (dma_load16(&d->dma, r->device + 2, &idx) == 0 && idx == used)
		return true;
	device_fail(d, "queue %u: used index is not %u", r->index, used);
	return false;
}

static bool
rings_start(struct device *d)
{
	for (unsigned int i = 0; i < d->n_rings; i++) {
		if (d->rings[i].vector_unread)
			device_violation(d, "queue %u: its vector was not read back", i);
		if (d->rings[i].enabled && !ring_start(d, &d->rings[i]))
			return false;
	}
	return true;
}

static void
start(struct device *d)
{
	if (d->features_unread)
		device_violation(d, "DRIVER_OK without a look at FEATURES_OK");
	wire_settle();
	d->stats.starts++;
	d->status |= S_DRIVER_OK;
	if (rings_start(d))
		wire_started(&d->member, d->mac);
}

static void
status_order_check(struct device *d, uint8_t status)
{
	uint8_t order = S_ACKNOWLEDGE | S_DRIVER | S_FEATURES_OK | S_DRIVER_OK;
	uint8_t steps_set = status & order;

	if ((d->status & ~S_NEEDS_RESET & ~status) != 0)
		device_violation(d, "status 0x%02x clears bits of 0x%02x", status, d->status);
	if ((status & S_FAILED) == 0 && steps_set != S_ACKNOWLEDGE &&
	    steps_set != (S_ACKNOWLEDGE | S_DRIVER) &&
	    steps_set != (S_ACKNOWLEDGE | S_DRIVER | S_FEATURES_OK) && steps_set != order)
		device_violation(d, "status 0x%02x: a step is missing", status);
	if (d->reset_unread)
		device_violation(d, "status 0x%02x before the reset was seen to be done", status);
}

void
device_status_write(struct device *d, uint8_t status)
{
	uint8_t added = status & ~d->status;

	if (status == 0) {
		if (!d->stopping)
			stop(d);
		return;
	}
	if (d->stopping) {
		device_violation(d, "status 0x%02x while a reset is under way", status);
		return;
	}
	status_order_check(d, status);
	d->status |= status & (S_ACKNOWLEDGE | S_DRIVER | S_FAILED);
	if ((added & S_FEATURES_OK) != 0 && features_agreed(d)) {
		d->status |= S_FEATURES_OK;
		d->features_unread = true;
	}
	if ((added & S_DRIVER_OK) != 0 && (d->status & S_FEATURES_OK) != 0)
		start(d);
}

uint8_t
device_status_read(struct device *d)
{
	if (d->status == 0)
		d->reset_unread = false;
	d->features_unread = false;
	return d->status;
}

void
device_poll(struct device *d)
{
	fault_poll(d);
	if (device_running(d))
		ctrl_run(d);
}
