/* SPDX-License-Identifier: BSD-3-Clause */
/* Every fault does what it says, and nothing else: a driver can tell it from a sound device. */
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "selftest.h"
#include "vendor.h"

#define S(n) VIRTIO_CONFIG_S_##n

struct scene {
	struct rig r;
	struct driver d[2];
	struct vmm_flow flow;
};

static void
fault(struct scene *s, const char *what)
{
	char line[80];

	snprintf(line, sizeof(line), "fault 0 %s", what);
	CHECK_STR(what, rig_ask(&s->r, line), "ok");
}

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* One more frame for device 0, which the fault is in. */
static void
frame_to_it(struct scene *s)
{
	CHECK(driver_send(&s->d[1], s->d[0].g->mac, NULL, &s->flow, 1) == 1);
}

/* A counter of device 0 is more than 0 soon. */
static bool
grows(struct scene *s, const char *name)
{
	for (unsigned int ms = 0; ms < 10000; ms++) {
		if (rig_count(&s->r, 0, name) > 0)
			return true;
		usleep(1000);
	}
	return false;
}

static bool
interrupted(struct driver *d, int ms)
{
	struct pollfd p = { .fd = d->g->queues[0].ring->callfd, .events = POLLIN };
	uint64_t n;

	return poll(&p, 1, ms) > 0 && read(p.fd, &n, sizeof(n)) == sizeof(n);
}

static void
late_dma(struct scene *s)
{
	int64_t begin = now_ms();

	fault(s, "late_dma 500");
	client_write(&s->d[0].c, &s->d[0].c.common, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	CHECK(driver_status(&s->d[0]) != 0);
	CHECK(driver_stop(&s->d[0]) == 0);
	CHECK(now_ms() - begin >= 499);
	CHECK(rig_count(&s->r, 0, "late_writes") > 0);
	CHECK(rig_count(&s->r, 0, "violations") == 0);
}

static void
lost_interrupt(struct scene *s)
{
	struct vmm_ring *r = s->d[0].g->queues[0].ring;

	fault(s, "lost_interrupt 1");
	vmm_ring_arm(r);
	interrupted(&s->d[0], 0);
	frame_to_it(s);
	CHECK(!interrupted(&s->d[0], 100));
	CHECK(vmm_ring_used(r));
	CHECK(rig_count(&s->r, 0, "interrupts_lost") == 1);
	CHECK(driver_receive(&s->d[0], &s->flow, 1) == 1);
	vmm_ring_arm(r);
	frame_to_it(s);
	CHECK(interrupted(&s->d[0], 1000));
}

static void
stuck_stop(struct scene *s)
{
	struct exchange x = { .command = VFU_RESET };

	fault(s, "stuck_stop");
	CHECK(driver_stop(&s->d[0]) == -ETIMEDOUT);
	CHECK(client_call(&s->d[0].c, &x) == 0);
	CHECK(driver_status(&s->d[0]) == 0);
}

static void
stuck_hard(struct scene *s)
{
	struct exchange x = { .command = VFU_RESET };

	fault(s, "stuck_stop 1");
	CHECK(driver_stop(&s->d[0]) == -ETIMEDOUT);
	CHECK(client_call(&s->d[0].c, &x) == -EIO);
	CHECK(driver_status(&s->d[0]) != 0);
	client_close(&s->d[0].c);
	CHECK_STR("stuck_stop", rig_ask(&s->r, "fault 0 stuck_stop off"), "ok");
	CHECK(client_open(&s->d[0].c, s->r.sockets[0]) == 0);
	CHECK(client_caps(&s->d[0].c) == 0 && driver_status(&s->d[0]) == 0);
}

static void
wrong_index(struct scene *s)
{
	bool packed = s->d[0].g->conf.packed;

	fault(s, "wrong_index");
	frame_to_it(s);
	/* A packed ring has no index: its driver waits in vain. */
	CHECK(driver_receive(&s->d[0], &s->flow, 1) == (packed ? 0 : -EPROTO));
	CHECK(vmm_fault_found(&s->d[0].fault) != packed);
}

static void
wrong_id(struct scene *s)
{
	fault(s, "wrong_id");
	frame_to_it(s);
	CHECK(driver_receive(&s->d[0], &s->flow, 1) == -EPROTO);
	CHECK(vmm_fault_found(&s->d[0].fault));
}

static void
surprise_removal(struct scene *s)
{
	struct pollfd p = { .fd = s->d[0].c.fd, .events = POLLIN };
	struct client again;
	char byte;

	fault(s, "surprise_removal");
	CHECK(poll(&p, 1, 1000) == 1 && read(p.fd, &byte, 1) == 0);
	CHECK(client_read(&s->d[0].c, &s->d[0].c.common, VIRTIO_PCI_COMMON_STATUS, 1) == 0xff);
	CHECK(client_open(&again, s->r.sockets[0]) < 0);
	CHECK(rig_count(&s->r, 0, "maps") == 0);
	fault(s, "surprise_removal off");
	CHECK(client_open(&again, s->r.sockets[0]) == 0);
	client_close(&again);
}

/* It writes what it may not write, until it cannot reach it any more. */
static void
dma_after_stop(struct scene *s)
{
	uint64_t late;

	fault(s, "dma_after_stop 20000");
	CHECK(driver_stop(&s->d[0]) == 0);
	CHECK(grows(s, "late_writes"));
	CHECK(driver_unmap(&s->d[0]) == 0);
	late = rig_count(&s->r, 0, "late_writes");
	CHECK(grows(s, "refused_dma"));
	CHECK(rig_count(&s->r, 0, "late_writes") == late);
}

static void
needs_reset(struct scene *s)
{
	struct pollfd p = { .fd = s->d[0].config_fd, .events = POLLIN };

	fault(s, "needs_reset");
	CHECK(poll(&p, 1, 1000) == 1);
	CHECK((driver_status(&s->d[0]) & S(NEEDS_RESET)) != 0);
	CHECK(driver_stop(&s->d[0]) == 0);
	CHECK(vmm_guest_reboot(s->d[0].g) == 0);
	CHECK(driver_start(&s->d[0]) == 0);
	frame_to_it(s);
	CHECK(driver_receive(&s->d[0], &s->flow, 1) == 1);
}

static void
ones(struct scene *s)
{
	fault(s, "ones");
	CHECK(driver_status(&s->d[0]) == 0xff);
	CHECK(client_read(&s->d[0].c, &s->d[0].c.config, 0, 4) == UINT32_MAX);
	frame_to_it(s);
	usleep(50000);
	CHECK(!vmm_ring_used(s->d[0].g->queues[0].ring));
	CHECK(driver_stop(&s->d[0]) == -ETIMEDOUT);
	fault(s, "ones off");
	CHECK(driver_stop(&s->d[0]) == 0);
}

/* Slow for its own driver; the wire goes on meanwhile. */
static void
slow_registers(struct scene *s)
{
	const struct {
		struct vfu_header header;
		struct vfu_access access;
	} ask = {
		.header = { .command = VFU_REGION_READ, .size = sizeof(ask) },
		.access = { .offset = VIRTIO_PCI_COMMON_STATUS, .region = 4, .count = 1 },
	};
	struct pollfd p = { .fd = s->d[0].c.fd, .events = POLLIN };
	int64_t begin = now_ms();

	fault(s, "slow_registers 100");
	driver_status(&s->d[0]);
	CHECK(now_ms() - begin >= 100);
	fault(s, "slow_registers 5000");
	CHECK(send(p.fd, &ask, sizeof(ask), MSG_NOSIGNAL) == sizeof(ask));
	driver_status(&s->d[1]);
	CHECK(poll(&p, 1, 0) == 0);
}

static void
ctrl_no_answer(struct scene *s)
{
	uint8_t on = 1;

	fault(s, "ctrl_no_answer");
	CHECK(driver_command(&s->d[0], VIRTIO_NET_CTRL_RX, 0, &on, 1) == -ETIMEDOUT);
	frame_to_it(s);
	CHECK(driver_receive(&s->d[0], &s->flow, 1) == 1);
}

static void
unknown(struct scene *s)
{
	CHECK_STR("unknown", rig_ask(&s->r, "fault 0 nonsense"), "error: no such fault");
	CHECK_STR("unknown", rig_ask(&s->r, "fault 7 ones"), "error: fault DEVICE NAME [ARG|off]");
	CHECK_STR("unknown", rig_ask(&s->r, "hello"), "error: fault, link or stats");
}

/* The configuration changes with the link, and says so. */
static void
link_changes(struct scene *s)
{
	struct driver *d = &s->d[0];
	struct pollfd p = { .fd = d->config_fd, .events = POLLIN };
	uint64_t before = client_read(&d->c, &d->c.common, VIRTIO_PCI_COMMON_CFGGENERATION, 1);

	CHECK(client_read(&d->c, &d->c.config, 6, 2) == VIRTIO_NET_S_LINK_UP);
	CHECK_STR("link", rig_ask(&s->r, "link 0 down"), "ok");
	CHECK(poll(&p, 1, 1000) == 1);
	CHECK(client_read(&d->c, &d->c.config, 6, 2) == 0);
	CHECK(client_read(&d->c, &d->c.common, VIRTIO_PCI_COMMON_CFGGENERATION, 1) != before);
}

static const struct {
	const char *story;
	void (*run)(struct scene *s);
} rows[] = {
	{ "late_dma", late_dma }, { "lost_interrupt", lost_interrupt },
	{ "stuck_stop", stuck_stop }, { "stuck_stop, hard", stuck_hard },
	{ "wrong_index", wrong_index }, { "wrong_id", wrong_id },
	{ "surprise_removal", surprise_removal }, { "dma_after_stop", dma_after_stop },
	{ "needs_reset", needs_reset }, { "ones", ones }, { "slow_registers", slow_registers },
	{ "ctrl_no_answer", ctrl_no_answer }, { "what is not understood", unknown },
	{ "the link", link_changes },
};

static void
row_run(unsigned int i, bool packed)
{
	struct scene s = { .r.control = -1, .d = { { .c.fd = -1 }, { .c.fd = -1 } } };
	unsigned int failed = checks_failed;
	struct vmm_guest_conf conf;
	int rc;

	s.flow.id = 5;
	conf_plain(&conf);
	conf.shadow = false;
	conf.packed = packed;
	conf.pos = packed ? 1 << 15 : 0;
	rc = rig_start(&s.r, 2, packed ? ",event_idx,packed" : ",event_idx", NULL);
	if (rc == 0)
		rc = pair_open(s.d, &s.r, &conf);
	if (rc == 0)
		rc = pair_stream(s.d, 50, 1500, 1);
	CHECK(rc == 0);
	if (rc == 0)
		rows[i].run(&s);
	pair_close(s.d);
	CHECK(rig_end(&s.r) == 0);
	if (checks_failed > failed)
		fprintf(stderr, "^ %s, %s\n", rows[i].story, packed ? "packed" : "split");
}

void
stories_fault(void)
{
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		row_run(i, false);
		row_run(i, true);
	}
}
