/* SPDX-License-Identifier: BSD-3-Clause */
/* The wire: it holds who sends, it knows where an address is, and it says what it drops. */
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "selftest.h"

#define PATIENCE_MS 300
#define FOR_EVER    "60000"

static const uint8_t nobody[6] = { 0x52, 0x54, 0, 0xfe, 0, 0x77 };

struct place {
	struct rig r;
	struct driver d[3];
	struct vmm_flow flow;
};

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool
place_init(struct place *p, unsigned int n, const char *patience_ms)
{
	const char *const more[] = { "--patience", patience_ms, NULL };
	struct vmm_guest_conf conf;
	int rc;

	memset(p, 0, sizeof(*p));
	p->flow.id = 3;
	conf_plain(&conf);
	rc = rig_start(&p->r, n, ",event_idx", more);
	for (unsigned int i = 0; i < 3; i++)
		p->d[i].c.fd = p->d[i].config_fd = -1;
	for (unsigned int i = 0; i < n && rc == 0; i++) {
		conf.mac_id = (uint8_t)(i + 1);
		rc = driver_open(&p->d[i], p->r.sockets[i], &conf);
		if (rc == 0)
			rc = driver_start(&p->d[i]);
	}
	CHECK(rc == 0);
	return rc == 0;
}

static void
place_fini(struct place *p)
{
	for (unsigned int i = 0; i < 3; i++) {
		if (p->d[i].g == NULL)
			continue;
		CHECK_STR("wire", p->d[i].fault.text, "");
		CHECK(rig_count(&p->r, i, "violations") == 0);
		CHECK(vmm_mem_check(p->d[i].g->mem) == 0);
		driver_close(&p->d[i]);
	}
	CHECK(rig_end(&p->r) == 0);
}

/* A frame from `from` makes its address known. */
static void
be_known(struct place *p, unsigned int from, const uint8_t *src)
{
	struct vmm_flow hello = { .id = 99 };
	static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	CHECK(driver_send(&p->d[from], all, src, &hello, 1) == 1);
	for (unsigned int ms = 0; ms < 1000 && vmm_guest_unsent(p->d[from].g) > 0; ms++) {
		usleep(1000);
		vmm_guest_reclaim(p->d[from].g);
	}
	CHECK(vmm_guest_unsent(p->d[from].g) == 0);
}

static int
restart(struct driver *d)
{
	int rc = driver_stop(d);

	while (vmm_guest_reclaim(d->g) > 0)
		continue;
	if (rc == 0)
		rc = vmm_guest_reboot(d->g);
	return rc == 0 ? driver_start(d) : rc;
}

static void
no_buffers(void)
{
	struct place p;
	int sent, rc;

	if (place_init(&p, 2, FOR_EVER)) {
		be_known(&p, 1, NULL);
		sent = driver_send(&p.d[0], p.d[1].g->mac, NULL, &p.flow, 256);
		for (unsigned int ms = 0; ms < 5000 && vmm_guest_unsent(p.d[0].g) > 0; ms++) {
			usleep(1000);
			vmm_guest_reclaim(p.d[0].g);
		}
		rc = driver_send(&p.d[0], p.d[1].g->mac, NULL, &p.flow, 256);
		usleep(100000);
		CHECK(sent == 256 && rc == 256);
		CHECK(rig_count(&p.r, 1, "frames_received") == 256);
		CHECK(driver_receive(&p.d[1], &p.flow, 512) == 512);
		CHECK(rig_count(&p.r, 0, "dropped_no_buffer") == 0);
	}
	place_fini(&p);
}

static void
not_running(void)
{
	struct place p;

	if (place_init(&p, 2, FOR_EVER)) {
		be_known(&p, 1, NULL);
		CHECK(driver_stop(&p.d[1]) == 0);
		CHECK(driver_send(&p.d[0], p.d[1].g->mac, NULL, &p.flow, 100) == 100);
		usleep(200000);
		CHECK(vmm_guest_reclaim(p.d[0].g) == 0);
		CHECK(restart(&p.d[1]) == 0);
		CHECK(driver_receive(&p.d[1], &p.flow, 100) == 100);
		CHECK(rig_count(&p.r, 0, "dropped_not_running") == 0);
	}
	place_fini(&p);
}

static void
patience_ends(void)
{
	struct place p;
	int64_t begin;

	if (place_init(&p, 2, "300")) {
		be_known(&p, 1, NULL);
		CHECK(driver_stop(&p.d[1]) == 0);
		begin = now_ms();
		CHECK(driver_send(&p.d[0], p.d[1].g->mac, NULL, &p.flow, 20) == 20);
		for (unsigned int i = 0; i < 1000 && vmm_guest_unsent(p.d[0].g) > 0; i++) {
			usleep(10000);
			vmm_guest_reclaim(p.d[0].g);
		}
		CHECK(now_ms() - begin >= PATIENCE_MS);
		CHECK(rig_count(&p.r, 0, "dropped_not_running") == 20);
		/* Whoever comes back is waited for anew. */
		CHECK(restart(&p.d[1]) == 0);
		CHECK(driver_send(&p.d[0], p.d[1].g->mac, NULL, &p.flow, 5) == 5);
		CHECK(driver_receive(&p.d[1], &p.flow, 5) == 5);
	}
	place_fini(&p);
}

static void
address_moves(void)
{
	struct place p;

	if (place_init(&p, 3, FOR_EVER)) {
		be_known(&p, 1, nobody);
		CHECK(driver_stop(&p.d[1]) == 0);
		CHECK(driver_send(&p.d[0], nobody, NULL, &p.flow, 50) == 50);
		usleep(100000);
		CHECK(rig_count(&p.r, 2, "frames_received") == 1);
		be_known(&p, 2, nobody);
		CHECK(driver_receive(&p.d[2], &p.flow, 50) == 50);
		CHECK(driver_send(&p.d[0], nobody, NULL, &p.flow, 50) == 50);
		CHECK(driver_receive(&p.d[2], &p.flow, 50) == 50);
		CHECK(rig_count(&p.r, 0, "dropped_not_running") == 0);
	}
	place_fini(&p);
}

/* What is for nobody in particular reaches all that run, each of them once. */
static void
flooded(void)
{
	struct place p;

	if (place_init(&p, 3, FOR_EVER)) {
		struct vmm_flow other = p.flow;

		CHECK(driver_send(&p.d[0], nobody, NULL, &p.flow, 100) == 100);
		CHECK(driver_receive(&p.d[1], &p.flow, 100) == 100);
		other.sent = p.flow.sent;
		CHECK(driver_receive(&p.d[2], &other, 100) == 100);
		CHECK(driver_stop(&p.d[2]) == 0);
		CHECK(driver_send(&p.d[0], nobody, NULL, &p.flow, 100) == 100);
		CHECK(driver_receive(&p.d[1], &p.flow, 100) == 100);
	}
	place_fini(&p);
}

void
stories_wire(void)
{
	no_buffers();
	not_running();
	patience_ends();
	address_moves();
	flooded();
}
