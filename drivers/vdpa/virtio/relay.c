/* SPDX-License-Identifier: BSD-3-Clause */
#include "device.h"

#include "bus.h"
#include "log.h"

#include <rte_cycles.h>
#include <rte_lcore.h>
#include <rte_vhost.h>

#include <errno.h>
#include <linux/virtio_config.h>
#include <sched.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define TICK_MS    100          /* the device is asked how it is, and lost interrupts are found */
#define BLIND_MS   1            /* a ring without a kick descriptor, a log that is to come */
#define SPIN_US    30           /* looks for more before it sleeps */
#define BURST      64
#define TURN_MAX   4            /* bursts of a ring in one turn */
#define EVENTS_MAX 64
#define EVENTS_EVERY 16         /* turns of a busy relay between two looks at events */

/* What an epoll event is about: a ring's kick (its number), or one of those. */
enum {
	ABOUT_WAKE = 0x10000,
	ABOUT_CONFIG,
	ABOUT_GONE,
	ABOUT_IRQ = 0x20000,    /* and the ring's number */
};

/* Edge-triggered: nothing has to be read, and every write is an event. */
static void
watch(int epfd, int fd, uint32_t about)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.u32 = about };

	if (fd >= 0 && epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev) < 0 && errno == EEXIST)
		epoll_ctl(epfd, EPOLL_CTL_MOD, fd, &ev);
}

void
relay_watch(struct device *d, struct ring *r)
{
	watch(d->epfd, r->kickfd, r->queue);
	watch(d->epfd, r->irqfd, ABOUT_IRQ + r->queue);
}

void
relay_wake(struct device *d)
{
	eventfd_write(d->wake_fd, 1);
}

static uint64_t
cycles_of_us(uint64_t us)
{
	return rte_get_tsc_hz() / 1000000 * us;
}

/* shadow rings */

/* All that the device has shown: buffers of one frame are shown together, and stay so. */
static bool
shadow_in(struct ring *r)
{
	bool call = false;
	uint32_t n = shadow_complete(r->shadow, UINT32_MAX, &call);

	if (n > 0 && r->first == 0)
		r->first = rte_rdtsc();
	if (call)
		ring_call(r);
	return n > 0;
}

static bool
shadow_out(struct ring *r)
{
	bool doorbell = false;
	uint32_t n;

	if (!r->enabled || !r->on_device)
		return ring_is_tx(r) && shadow_discard(r->shadow, BURST) > 0;
	n = shadow_submit(r->shadow, BURST, &doorbell);
	if (doorbell)
		ring_doorbell(r);
	return n > 0;
}

static bool
shadow_turn(struct ring *r)
{
	bool work = false, more = true;

	for (int i = 0; more && i < TURN_MAX; i++) {
		more = shadow_in(r);
		more |= shadow_out(r);
		work |= more;
	}
	if (r->bad == SHADOW_BAD_NONE && shadow_bad(r->shadow) != SHADOW_BAD_NONE) {
		r->bad = shadow_bad(r->shadow);
		LOG(WARNING, "%s: ring %u is bad: %s", r->dev->bus->name, r->queue,
		    shadow_bad_names[r->bad]);
	}
	return work;
}

/* Which sides of a ring may have news: a receive ring that is not enabled takes nothing. */
static unsigned int
sides(const struct ring *r)
{
	bool guest = r->enabled || ring_is_tx(r);

	return (guest ? SHADOW_GUEST : 0) | (r->on_device ? SHADOW_DEVICE : 0);
}

/* Asks all sides for notifications.  @return whether there is something to do already */
static bool
rings_arm(struct device *d)
{
	bool more = false;

	for (uint16_t i = 0; i < d->n_rings; i++) {
		struct ring *r = &d->rings[i];

		if (r->shadow != NULL)
			more |= shadow_arm(r->shadow, sides(r));
	}
	return more;
}

static void
rings_disarm(struct device *d)
{
	for (uint16_t i = 0; i < d->n_rings; i++) {
		struct ring *r = &d->rings[i];

		if (r->shadow != NULL)
			shadow_disarm(r->shadow, sides(r));
	}
}

/* the device's health */

static void
heal(struct device *d)
{
	if (d->healed) {
		device_fail(d, FAILURE_NEEDS_RESET);
		return;
	}
	LOG(WARNING, "%s: asks for a reset; going on with shadow rings", d->bus->name);
	d->healed = true;
	d->keep_shadow = true;
	device_restart(d);
}

static void
health_check(struct device *d)
{
	uint8_t status;

	pci_begin(&d->pci);
	status = pci_status(&d->pci);
	if (pci_error(&d->pci) != 0)
		device_fail(d, pci_error(&d->pci) == -ETIMEDOUT ? FAILURE_TIMEOUT :
			    FAILURE_REMOVED);
	else if ((status & VIRTIO_CONFIG_S_NEEDS_RESET) != 0 ||
		 (status & VIRTIO_CONFIG_S_DRIVER_OK) == 0)
		heal(d);
}

static void
config_check(struct device *d)
{
	health_check(d);
	if (d->running)
		rte_vhost_slave_config_change(d->vid, false);
}

/* The guest of a direct ring is interrupted once more: the device's own interrupt may be lost. */
static void
tick(struct device *d)
{
	health_check(d);
	device_log_sync(d);
	for (uint16_t i = 0; i < d->n_rings; i++) {
		struct ring *r = &d->rings[i];

		if (ring_direct_count(r) > 0 && r->callfd >= 0)
			eventfd_write(r->callfd, 1);
	}
}

/* one turn */

static bool
may_write(struct device *d)
{
	return !d->logging || d->mark.bits != NULL || mark_load(&d->mark, d->vid);
}

static bool
ring_turn(struct ring *r)
{
	bool kicked = atomic_exchange(&r->kicked, false);

	r->counts.kicks += kicked;
	if (r->shadow != NULL)
		return shadow_turn(r);
	if (r->on_device && (kicked || r->kickfd < 0))
		ring_doorbell(r);
	return false;
}

static void
faults_check(struct device *d)
{
	for (uint16_t i = 0; d->running && i < d->n_rings; i++) {
		struct ring *r = &d->rings[i];

		if (r->shadow != NULL && shadow_fault(r->shadow) != SHADOW_FAULT_NONE)
			device_fail(d, failure_of_fault(shadow_fault(r->shadow)));
	}
}

static bool
turn(struct device *d)
{
	bool work = false;

	if (!may_write(d))
		return false;
	for (uint16_t i = 0; i < d->n_rings; i++)
		if (d->rings[i].started)
			work |= ring_turn(&d->rings[i]);
	faults_check(d);
	return work;
}

static void
news(struct device *d)
{
	uint64_t now = rte_rdtsc();

	if (atomic_exchange(&d->gone, false) && d->running)
		device_fail(d, FAILURE_REMOVED);
	if (atomic_exchange(&d->config_changed, false) && d->running)
		config_check(d);
	if (now < d->next_tick)
		return;
	d->next_tick = now + cycles_of_us(TICK_MS * 1000);
	if (d->running)
		tick(d);
}

/* the thread */

static bool
is_blind(const struct device *d)
{
	if (d->logging && d->mark.bits == NULL)
		return true;
	for (uint16_t i = 0; i < d->n_rings; i++)
		if (d->rings[i].started && d->rings[i].kickfd < 0)
			return true;
	return false;
}

static void
events_take(struct device *d, int timeout_ms)
{
	struct epoll_event events[EVENTS_MAX];
	int n = epoll_wait(d->epfd, events, EVENTS_MAX, timeout_ms);

	for (int i = 0; i < n; i++) {
		uint32_t about = events[i].data.u32;

		if (about == ABOUT_CONFIG)
			atomic_store(&d->config_changed, true);
		else if (about == ABOUT_GONE)
			atomic_store(&d->gone, true);
		else if (about < RTE_DIM(d->rings))
			atomic_store(&d->rings[about].kicked, true);
	}
}

/* The relay is the one who waits: operations come first. */
static void
relay_lock(struct device *d)
{
	while (atomic_load(&d->waiters) > 0)
		sched_yield();
	pthread_mutex_lock(&d->lock);
}

static void *
relay_main(void *arg)
{
	struct device *d = arg;
	uint64_t spin = cycles_of_us(SPIN_US), last = 0;
	bool armed = false;
	uint32_t turns = 0;

	while (!atomic_load(&d->stopping)) {
		bool sleeps = false;
		int timeout = 0;

		relay_lock(d);
		if (armed && d->running)
			rings_disarm(d);
		armed = false;
		news(d);
		if (d->running && turn(d))
			last = rte_rdtsc();
		if (!d->running || rte_rdtsc() - last > spin) {
			sleeps = armed = true;
			if (d->running && may_write(d) && rings_arm(d))
				sleeps = false;
			timeout = is_blind(d) ? BLIND_MS : TICK_MS;
		}
		device_unlock(d);
		if (sleeps || ++turns % EVENTS_EVERY == 0)
			events_take(d, sleeps ? timeout : 0);
	}
	return NULL;
}

static void
fds_close(struct device *d)
{
	int *fds[] = { &d->epfd, &d->wake_fd, &d->config_fd };

	for (size_t i = 0; i < RTE_DIM(fds); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

int
relay_start(struct device *d)
{
	char name[16];
	int rc;

	d->epfd = epoll_create1(EPOLL_CLOEXEC);
	d->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	d->config_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (d->epfd < 0 || d->wake_fd < 0 || d->config_fd < 0) {
		rc = -errno;
		fds_close(d);
		return rc;
	}
	watch(d->epfd, d->wake_fd, ABOUT_WAKE);
	watch(d->epfd, d->config_fd, ABOUT_CONFIG);
	watch(d->epfd, bus_gone_fd(d->bus), ABOUT_GONE);
	atomic_store(&d->stopping, false);
	d->next_tick = 0;
	snprintf(name, sizeof(name), "vdpa-%.10s", d->bus->name);
	rc = rte_ctrl_thread_create(&d->relay, name, NULL, relay_main, d);
	if (rc != 0)
		fds_close(d);
	return rc;
}

void
relay_stop(struct device *d)
{
	atomic_store(&d->stopping, true);
	relay_wake(d);
	device_unlock(d);
	pthread_join(d->relay, NULL);
	device_lock(d);
	fds_close(d);
}
