/* SPDX-License-Identifier: BSD-3-Clause */
#include "device.h"

#include "bus.h"
#include "log.h"

#include <rte_common.h>
#include <rte_dev.h>

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <string.h>

#define BIT(n) (1ULL << (n))

/* Features of frames, not of rings: what the guest negotiated is what its device does. */
#define FRAME_FEATURES \
	(BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_MRG_RXBUF) | \
	 BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6) | \
	 BIT(VIRTIO_NET_F_GUEST_ECN) | BIT(VIRTIO_NET_F_GUEST_UFO) | \
	 BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6) | \
	 BIT(VIRTIO_NET_F_HOST_ECN) | BIT(VIRTIO_NET_F_HOST_UFO))

#define RING_FEATURES \
	(BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_RING_F_EVENT_IDX) | \
	 BIT(VIRTIO_F_RING_PACKED) | BIT(VIRTIO_F_IN_ORDER))

/* What a split ring of our own uses, where the device has it. */
#define SHADOW_FEATURES (BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_RING_F_EVENT_IDX))

/* What the driver wants for itself. */
#define OWN_FEATURES \
	(BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_STATUS) | BIT(VIRTIO_NET_F_CTRL_VQ) | \
	 BIT(VIRTIO_NET_F_CTRL_RX))

#define MUST_FEATURES (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM))

#define SHADOW_SIZE_MIN 256
#define IOVA_ALIGN      (2ULL << 20)

uint64_t
device_features(const struct device *d)
{
	uint64_t f = d->pci.features & (FRAME_FEATURES | BIT(VIRTIO_NET_F_MTU));
	uint64_t ring = RING_FEATURES;

	if (d->args.mode == MODE_DIRECT) {
		ring &= d->pci.features;
		if (!device_can(d, QUIRK_POSITIONS))
			ring &= ~BIT(VIRTIO_F_RING_PACKED);
	}
	if (d->n_pairs_max > 1)
		f |= BIT(VIRTIO_NET_F_MQ);
	/* Those are between a guest and its front-end. */
	f |= BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX) |
	     BIT(VIRTIO_NET_F_GUEST_ANNOUNCE);
	return f | ring | BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ANY_LAYOUT);
}

static struct ring *
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

/* the mode */

static bool
is_fresh(const struct ring *r)
{
	const struct vring_used *used = r->device;

	if (device_has(r->dev, VIRTIO_F_RING_PACKED))
		return r->pos == BIT(15);
	return r->pos == 0 && __atomic_load_n(&used->idx, __ATOMIC_RELAXED) == 0;
}

static enum mode
mode_now(struct device *d, const char **why)
{
	struct mode_facts f = {
		.wanted = d->args.mode,
		.kept = d->keep_shadow,
		.logging = d->logging,
		.fresh = true,
		.packed = device_has(d, VIRTIO_F_RING_PACKED),
		.ring_features = (d->features & RING_FEATURES & ~d->pci.features) == 0,
		.sizes = true,
		.positions = device_can(d, QUIRK_POSITIONS),
		.log = device_can(d, QUIRK_LOGGING),
	};
	struct ring *r;

	EACH_STARTED(d, r) {
		if (r->bad != SHADOW_BAD_NONE)
			continue;
		f.fresh = f.fresh && is_fresh(r);
		f.sizes = f.sizes && r->size <= d->queue_sizes[r->queue];
	}
	return mode_choose(&f, why);
}

/* memory */

static uint16_t
shadow_size(const struct ring *r)
{
	uint32_t largest = rte_align32prevpow2(r->dev->queue_sizes[r->queue]);
	uint32_t wanted = rte_align32pow2(RTE_MAX(r->size, SHADOW_SIZE_MIN));

	return (uint16_t)RTE_MIN(RTE_MIN(largest, wanted), 32768u);
}

static uint64_t
shadow_bytes(const struct ring *r)
{
	size_t n = shadow_dev_bytes(shadow_size(r), r->dev->pci.features & SHADOW_FEATURES);

	return RTE_ALIGN_CEIL((uint64_t)n, (uint64_t)OWN_ALIGN);
}

/* The device's log has a bit for each page below the end of the guest's memory. */
static uint64_t
log_bytes(const struct device *d)
{
	if (d->mode != MODE_DIRECT || !device_can(d, QUIRK_LOGGING))
		return 0;
	return mem_end(&d->mem, IOVA_ALIGN) >> MARK_PAGE_SHIFT >> 3;
}

static int
memory_map(struct device *d)
{
	uint64_t size = CTRL_BYTES;
	struct ring *r;
	int rc;

	d->log = (struct own_part){ 0 };
	d->log_bytes = log_bytes(d);
	EACH_STARTED(d, r)
		size += shadow_bytes(r);
	rc = own_reserve(&d->own, size + RTE_ALIGN_CEIL(d->log_bytes, (uint64_t)OWN_ALIGN));
	if (rc == 0)
		rc = mem_map(&d->mem, d->bus);
	if (rc == 0)
		rc = own_map(&d->own, d->bus, mem_end(&d->mem, IOVA_ALIGN));
	if (rc == 0 && d->log_bytes > 0)
		d->log = own_take(&d->own, d->log_bytes);
	return rc;
}

/* rings */

static shadow_mark_t
mark_of(const struct device *d)
{
	return d->logging ? ring_mark : NULL;
}

static int
ring_shadow(struct ring *r)
{
	struct device *d = r->dev;
	struct own_part part = own_take(&d->own, shadow_bytes(r));
	const struct shadow_opts opts = {
		.mem = &d->mem, .features = d->features,
		.desc = r->desc_gpa, .driver = r->driver_gpa, .device = r->device_gpa,
		.size = r->size, .pos = r->pos, .tx = ring_is_tx(r),
		.dev_features = d->pci.features & SHADOW_FEATURES,
		.dev_size = shadow_size(r), .dev_mem = part.va, .dev_iova = part.iova,
		.mark = mark_of(d), .mark_arg = r,
	};

	return shadow_create(&r->shadow, &opts);
}

/* On the guest's ring the device itself asks for kicks; what another left there is undone. */
static void
ring_direct(struct ring *r)
{
	shadow_arm(r->shadow, SHADOW_GUEST);
	shadow_destroy(r->shadow);
	r->shadow = NULL;
	r->split_used = !device_has(r->dev, VIRTIO_F_RING_PACKED);
	r->direct_used = r->pos;
}

static int
rings_make(struct device *d)
{
	struct ring *r;

	EACH_STARTED(d, r) {
		int rc;

		if (r->bad != SHADOW_BAD_NONE)
			continue;
		rc = ring_shadow(r);
		if (rc < 0)
			return rc;
		r->bad = shadow_bad(r->shadow);
		/* A direct ring that is not enabled is none of the device's. */
		r->on_device = r->bad == SHADOW_BAD_NONE &&
			       (d->mode == MODE_SHADOW || r->enabled);
		if (r->on_device && d->mode == MODE_DIRECT)
			ring_direct(r);
	}
	return 0;
}

static void
queue_of(const struct ring *r, struct pci_queue *out)
{
	struct shadow_queue q = { r->desc_gpa, r->driver_gpa, r->device_gpa, r->size };

	if (r->shadow != NULL)
		shadow_queue(r->shadow, &q);
	*out = (struct pci_queue){
		.size = q.size, .vector = (uint16_t)(1 + r->queue),
		.desc = q.desc, .driver = q.driver, .device = q.device,
	};
}

static void
queues_set(struct device *d)
{
	struct pci_queue q;
	struct ring *r;

	EACH_STARTED(d, r) {
		if (!r->on_device)
			continue;
		queue_of(r, &q);
		pci_queue_set(&d->pci, r->queue, &q);
		if (d->mode == MODE_DIRECT && device_can(d, QUIRK_POSITIONS))
			d->quirk->pos_set(&d->pci, r->queue, r->pos, r->pos);
		pci_queue_enable(&d->pci, r->queue);
	}
}

static int
irqs_set(struct device *d, bool on)
{
	int fds[DEVICE_QUEUES_MAX];

	memset(fds, -1, sizeof(fds));
	for (uint16_t i = 0; on && i < d->n_rings; i++) {
		const struct ring *r = &d->rings[i];

		if (r->on_device)
			fds[1 + i] = r->shadow != NULL ? r->irqfd : r->callfd;
	}
	if (on)
		fds[0] = d->config_fd;
	return bus_irq_set(d->bus, 0, 1u + d->n_rings, fds);
}

/* control queue */

static uint16_t
pairs_started(struct device *d)
{
	uint16_t n = 1;
	struct ring *r;

	EACH_STARTED(d, r)
		n = (uint16_t)(r->queue / 2 + 1);
	return n;
}

static uint16_t
pairs_enabled(struct device *d)
{
	uint16_t n = 1;
	struct ring *r;

	EACH_STARTED(d, r)
		if (r->enabled && r->on_device && !ring_is_tx(r))
			n = (uint16_t)(r->queue / 2 + 1);
	return n;
}

static bool
wants_mq(struct device *d)
{
	return pairs_started(d) > 1 && device_offers(d, VIRTIO_NET_F_MQ);
}

static int
ctrl_start(struct device *d)
{
	uint16_t queue = wants_mq(d) ? (uint16_t)(2 * d->config.n_pairs_max) : 2;
	bool packed = d->mode == MODE_DIRECT && device_has(d, VIRTIO_F_RING_PACKED);
	struct pci_queue q;
	int rc;

	d->has_ctrl = device_offers(d, VIRTIO_NET_F_CTRL_VQ) && queue < d->n_queues;
	if (!d->has_ctrl)
		return 0;
	rc = ctrl_init(&d->ctrl, &d->pci, &d->doors[queue], packed, d->queue_sizes[queue],
		own_take(&d->own, CTRL_BYTES), &q);
	if (rc < 0)
		return rc;
	pci_queue_set(&d->pci, queue, &q);
	pci_queue_enable(&d->pci, queue);
	return 0;
}

int
device_pairs_set(struct device *d)
{
	if (!d->has_ctrl || !wants_mq(d))
		return 0;
	return ctrl_pairs(&d->ctrl, pairs_enabled(d));
}

/* The guest's address is its own: without being told it, the device hears all. */
static int
ctrl_commands(struct device *d)
{
	int rc = device_pairs_set(d);

	if (rc < 0 || !d->has_ctrl || !device_offers(d, VIRTIO_NET_F_CTRL_RX))
		return rc;
	rc = d->args.has_mac ? ctrl_mac(&d->ctrl, d->args.mac) : ctrl_promiscuous(&d->ctrl);
	if (rc != -EIO)
		return rc;
	LOG(WARNING, "%s: does not take %s; it hears what it hears", d->bus->name,
	    d->args.has_mac ? "a MAC address" : "promiscuous mode");
	return 0;
}

/* log of the device's own */

static int
device_logs(struct device *d, bool on)
{
	if (d->log.va == NULL)
		return 0;
	return d->quirk->log_set(&d->pci, d->log.iova, on ? d->log_bytes : 0);
}

void
device_log_sync(struct device *d)
{
	uint64_t *words = d->log.va;
	struct ring *r = &d->rings[0];

	if (words == NULL || !d->logging || d->mark.bits == NULL)
		return;
	for (uint64_t w = 0; w < d->log_bytes / 8; w++) {
		uint64_t bits = __atomic_load_n(&words[w], __ATOMIC_RELAXED);

		if (bits == 0)
			continue;
		bits = __atomic_exchange_n(&words[w], 0, __ATOMIC_SEQ_CST);
		for (; bits != 0; bits &= bits - 1)
			ring_mark(r, (w * 64 + (uint64_t)__builtin_ctzll(bits)) << MARK_PAGE_SHIFT, 1);
	}
}

int
device_log_set(struct device *d, bool on)
{
	struct ring *r;
	int rc;

	if (on)
		mark_load(&d->mark, d->vid);
	d->logging = on;
	if (d->mode == MODE_DIRECT && on && !device_can(d, QUIRK_LOGGING))
		return device_restart(d);
	EACH_STARTED(d, r)
		if (r->shadow != NULL)
			shadow_log_set(r->shadow, mark_of(d), r);
	pci_begin(&d->pci);
	rc = device_logs(d, on);
	if (rc < 0 && on) {
		LOG(WARNING, "%s: does not log; going on with shadow rings", d->bus->name);
		d->keep_shadow = true;
		return device_restart(d);
	}
	return rc;
}

/* start and stop */

static uint64_t
driver_features(struct device *d)
{
	uint64_t ring = d->mode == MODE_DIRECT ? d->features & RING_FEATURES : SHADOW_FEATURES;
	uint64_t mq = wants_mq(d) ? BIT(VIRTIO_NET_F_MQ) : 0;

	return ((d->features & FRAME_FEATURES) | ring | OWN_FEATURES | mq | MUST_FEATURES) &
	       d->pci.features;
}

static int
bring_up(struct device *d)
{
	int rc;

	pci_begin(&d->pci);
	rc = pci_negotiate(&d->pci, driver_features(d));
	if (rc == 0)
		rc = irqs_set(d, true);
	if (rc < 0)
		return rc;
	pci_config_vector(&d->pci, 0);
	queues_set(d);
	rc = ctrl_start(d);
	if (rc == 0 && d->logging)
		rc = device_logs(d, true);
	pci_status_add(&d->pci, VIRTIO_CONFIG_S_DRIVER_OK);
	return rc < 0 ? rc : pci_error(&d->pci);
}

static enum failure
failure_of(int rc)
{
	switch (rc) {
	case -ENODEV:
		return FAILURE_REMOVED;
	case -ETIMEDOUT:
		return FAILURE_TIMEOUT;
	case -ENOTSUP:
		return FAILURE_FEATURES;
	case -EIO:
		return FAILURE_CONTROL;
	default:
		return FAILURE_DRIVER;
	}
}

enum failure
failure_of_fault(enum shadow_fault fault)
{
	switch (fault) {
	case SHADOW_FAULT_INDEX:
		return FAILURE_INDEX;
	case SHADOW_FAULT_ID:
		return FAILURE_ID;
	default:
		return FAILURE_LENGTH;
	}
}

void
device_blame(struct device *d, enum failure why)
{
	if (d->failure != FAILURE_NONE)
		return;
	d->failure = why;
	d->notify = true;
}

static int
blame(struct device *d, int rc, enum failure why)
{
	if (rc < 0)
		device_blame(d, why);
	return rc;
}

static int
start(struct device *d)
{
	int rc = memory_map(d);

	if (rc < 0)
		return blame(d, rc, rc == -ENODEV ? FAILURE_REMOVED : FAILURE_MEMORY);
	rc = rings_make(d);
	if (rc == 0)
		rc = bring_up(d);
	if (rc < 0)
		return blame(d, rc, failure_of(rc));
	d->running = true;
	rc = ctrl_commands(d);
	return blame(d, rc, rc == -ENODEV ? FAILURE_REMOVED : FAILURE_CONTROL);
}

static void
rings_wake(struct device *d)
{
	struct ring *r;

	EACH_STARTED(d, r) {
		atomic_store(&r->kicked, true);
		relay_watch(d, r);
	}
	relay_wake(d);
}

int
device_start(struct device *d)
{
	const char *why;
	int rc;

	d->mode = mode_now(d, &why);
	if (d->mode == MODE_AUTO) {
		LOG(ERR, "%s: mode=direct is not possible: %s", d->bus->name, why);
		return -ENOTSUP;
	}
	rc = start(d);
	if (rc < 0) {
		LOG(ERR, "%s: does not start: %s (%s)", d->bus->name, strerror(-rc),
		    failure_texts[d->failure]);
		device_stop(d);
		return rc;
	}
	LOG(INFO, "%s: %s mode: %s", d->bus->name, d->mode == MODE_DIRECT ? "direct" : "shadow",
	    why);
	rings_wake(d);
	return 0;
}

static bool
position_fits(const struct ring *r, uint16_t pos)
{
	return !device_has(r->dev, VIRTIO_F_RING_PACKED) || (pos & 0x7fff) < r->size;
}

/* A device that tells positions is asked before it forgets them. */
static void
positions_take(struct device *d)
{
	struct ring *r;
	int rc;

	if (d->mode != MODE_DIRECT || !d->running || !device_can(d, QUIRK_POSITIONS))
		return;
	rc = d->quirk->freeze(&d->pci);
	blame(d, rc, rc == -ENODEV ? FAILURE_REMOVED : FAILURE_RESET);
	EACH_STARTED(d, r) {
		uint16_t avail, used;

		if (!r->on_device || r->shadow != NULL)
			continue;
		d->quirk->pos_get(&d->pci, r->queue, &avail, &used);
		if (pci_error(&d->pci) == 0 && position_fits(r, used))
			r->pos = used;
		else
			blame(d, -EIO, FAILURE_POSITION);
	}
}

/*
 * Memory is taken away before anything of it is read for good: a device that writes after it has
 * said that it stands cannot change what was read.
 */
void
device_stop(struct device *d)
{
	struct ring *r;
	int rc;

	pci_begin(&d->pci);
	positions_take(d);
	pci_begin(&d->pci);
	rc = pci_reset(&d->pci);
	blame(d, rc, rc == -ENODEV ? FAILURE_REMOVED : FAILURE_RESET);
	irqs_set(d, false);
	own_unmap(&d->own, d->bus);
	mem_unmap(&d->mem, d->bus);
	device_log_sync(d);
	d->log = (struct own_part){ 0 };
	EACH_STARTED(d, r)
		ring_settle(r);
	d->running = false;
	d->has_ctrl = false;
}

int
device_restart(struct device *d)
{
	int rc;

	device_stop(d);
	rc = d->failure == FAILURE_NONE ? device_start(d) : -EIO;
	if (rc < 0)
		device_fail(d, failure_of(rc));
	return rc;
}

void
device_fail(struct device *d, enum failure why)
{
	device_blame(d, why);
	if (d->running)
		device_stop(d);
	LOG(ERR, "%s: failed: %s", d->bus->name, failure_texts[d->failure]);
	relay_wake(d);
}
