/* SPDX-License-Identifier: BSD-3-Clause */
/* Positions and the dirty log of the vendor's capability. */
#include <errno.h>
#include <unistd.h>

#include "selftest.h"
#include "vendor.h"

#define LOG_IOVA (UINT64_C(1) << 44)

static uint32_t
vendor_get(struct driver *d, uint32_t reg)
{
	return (uint32_t)client_read(&d->c, &d->c.vendor, reg, 4);
}

static void
vendor_set(struct driver *d, uint32_t reg, uint32_t value)
{
	client_write(&d->c, &d->c.vendor, reg, value, reg == VENDOR_R_QUEUE ? 2 : 4);
}

static int
freeze(struct driver *d)
{
	vendor_set(d, VENDOR_R_FREEZE, 1);
	for (int ms = 0; ms < 1000; ms++) {
		if (vendor_get(d, VENDOR_R_FREEZE) == 1)
			return 0;
		usleep(1000);
	}
	return -ETIMEDOUT;
}

/* Where the device says that it stands is where the driver's ledgers say so. */
static void
positions_check(struct driver *d)
{
	CHECK(freeze(d) == 0);
	for (unsigned int i = 0; i < d->g->n_queues; i++) {
		uint32_t avail, used;

		vendor_set(d, VENDOR_R_QUEUE, i);
		avail = vendor_get(d, VENDOR_R_AVAIL);
		used = vendor_get(d, VENDOR_R_USED);
		CHECK(avail == used);
		d->g->queues[i].base = avail;
	}
	CHECK(driver_stop(d) == 0);
	CHECK(vmm_guest_settle(d->g) == 0);
}

/* Both stop somewhere and go on just there, until the rings have gone round several times. */
static void
goes_on(const char *options, bool packed, uint16_t size, uint16_t pos)
{
	struct driver d[2] = { { .c.fd = -1 }, { .c.fd = -1 } };
	struct rig r = { .control = -1 };
	struct vmm_guest_conf conf;
	int rc;

	conf_plain(&conf);
	conf.packed = packed;
	conf.size = size;
	conf.pos = pos;
	conf.rx_buf = 700;
	rc = rig_start(&r, 2, options, NULL);
	for (unsigned int i = 0; i < 2 && rc == 0; i++) {
		conf.mac_id = (uint8_t)(i + 1);
		rc = driver_open(&d[i], r.sockets[i], &conf);
		d[i].at_position = true;
	}
	for (unsigned int round = 0; round < 8 && rc == 0; round++) {
		for (unsigned int i = 0; i < 2 && rc == 0; i++)
			rc = driver_start(&d[i]);
		if (rc == 0)
			rc = pair_stream(d, 100 + 17 * round, 1500, 1);
		for (unsigned int i = 0; i < 2 && rc == 0; i++)
			positions_check(&d[i]);
	}
	CHECK(rc == 0);
	if (rc < 0)
		fprintf(stderr, "%s: %d %s\n", options, rc, rig_ask(&r, "stats"));
	for (unsigned int i = 0; i < 2; i++) {
		CHECK(rig_count(&r, i, "violations") == 0);
		CHECK_STR(options, d[i].fault.text, "");
	}
	pair_close(d);
	CHECK(rig_end(&r) == 0);
}

/* A device without the capability starts a ring at 0 only. */
static void
only_zero(void)
{
	struct rig r = { .control = -1 };
	struct vmm_guest_conf conf;
	struct driver d;

	conf_plain(&conf);
	conf.pos = 77;
	CHECK(rig_start(&r, 1, ",event_idx", NULL) == 0);
	CHECK(driver_open(&d, r.sockets[0], &conf) == 0);
	CHECK(d.c.vendor.length == 0);
	CHECK(driver_start(&d) == -EPROTO);
	CHECK(rig_count(&r, 0, "needs_reset") == 1);
	driver_close(&d);
	CHECK(rig_end(&r) == 0);
}

static void
rules(void)
{
	struct rig r = { .control = -1 };
	struct vmm_guest_conf conf;
	struct driver d;

	conf_plain(&conf);
	CHECK(rig_start(&r, 1, ",event_idx,positions,logging", NULL) == 0);
	CHECK(driver_open(&d, r.sockets[0], &conf) == 0);
	CHECK(vendor_get(&d, VENDOR_R_ID) == VENDOR_ID);
	CHECK(vendor_get(&d, VENDOR_R_BITS) == (VENDOR_POSITIONS | VENDOR_LOGGING));
	CHECK(driver_start(&d) == 0);
	CHECK(rig_count(&r, 0, "violations") == 0);
	vendor_set(&d, VENDOR_R_AVAIL, 5);              /* a ring that is enabled */
	CHECK(rig_count(&r, 0, "violations") == 1);
	vendor_get(&d, VENDOR_R_AVAIL);                 /* a ring that runs */
	CHECK(rig_count(&r, 0, "violations") == 2);
	vendor_set(&d, VENDOR_R_LOG_BASE + 4, 1);
	vendor_set(&d, VENDOR_R_LOG_SIZE, 4096);
	vendor_set(&d, VENDOR_R_LOG_ENABLE, 1);         /* a log that is not mapped */
	CHECK(rig_count(&r, 0, "violations") == 3);
	CHECK(vendor_get(&d, VENDOR_R_LOG_ENABLE) == 0);
	driver_close(&d);
	CHECK(rig_end(&r) == 0);
}

/* The log */

static void
log_write64(struct driver *d, uint32_t reg, uint64_t value)
{
	vendor_set(d, reg, (uint32_t)value);
	vendor_set(d, reg + 4, (uint32_t)(value >> 32));
}

static int
log_on(struct driver *d, const struct vmm_log *log)
{
	uint64_t size = (log->n_words * 8 + VMM_PAGE - 1) & ~(VMM_PAGE - 1);
	int rc = client_map(&d->c, log->fd, 0, LOG_IOVA, size);

	log_write64(d, VENDOR_R_LOG_BASE, LOG_IOVA);
	log_write64(d, VENDOR_R_LOG_SIZE, size);
	vendor_set(d, VENDOR_R_LOG_ENABLE, 1);
	return rc == 0 && vendor_get(d, VENDOR_R_LOG_ENABLE) == 1 ? 0 : -EIO;
}

/* The copy of a guest's memory that is made from what the log names is equal to it in the end. */
static bool
log_right(const char *options, bool packed, const char *fault)
{
	struct driver d[2] = { { .c.fd = -1 }, { .c.fd = -1 } };
	struct rig r = { .control = -1 };
	struct vmm_guest_conf conf;
	struct vmm_log *log = NULL;
	struct vmm_harvest h;
	bool right;

	conf_plain(&conf);
	conf.packed = packed;
	conf.pos = packed ? 1 << 15 : 0;
	conf.twin = conf.pattern = true;
	conf.edge = 100;
	conf.n_regions = 3;
	CHECK(rig_start(&r, 2, options, NULL) == 0);
	CHECK(pair_open(d, &r, &conf) == 0);
	CHECK(pair_stream(d, 200, 1500, 1) == 0);
	vmm_harvest_init(&h, d[0].g->mem, 1);
	CHECK(vmm_log_create(&log, (vmm_log_size(d[0].g->mem) + 4095) & ~4095ULL, false) == 0);
	CHECK(log_on(&d[0], log) == 0);
	CHECK(vmm_harvest_turn(&h, log) == 0);
	vmm_mem_copy(d[0].g->mem);
	if (fault != NULL)
		CHECK_STR(fault, rig_ask(&r, fault), "ok");
	for (unsigned int i = 0; i < 5; i++) {
		CHECK(pair_stream(d, 200, 1500, 1) == 0);
		CHECK(vmm_harvest_round(&h) == 0);
	}
	CHECK(driver_stop(&d[0]) == 0);
	CHECK(vmm_harvest_round(&h) == 0);
	CHECK(rig_count(&r, 0, "violations") == 0);
	right = vmm_mem_differs(d[0].g->mem, 0) == VMM_GPA_NONE;
	vmm_harvest_fini(&h);
	pair_close(d);
	CHECK(rig_end(&r) == 0);
	return right;
}

void
stories_vendor(void)
{
	goes_on(",event_idx,positions", false, 32, 0);
	goes_on(",event_idx,positions", false, 64, 65500);
	goes_on(",event_idx,positions,packed", true, 33, 1 << 15);
	goes_on(",event_idx,positions,packed", true, 48, 17);
	only_zero();
	rules();
	CHECK(log_right(",event_idx,logging", false, NULL));
	CHECK(log_right(",event_idx,logging,packed", true, NULL));
	CHECK(!log_right(",event_idx,logging", false, "fault 0 bad_bitmap"));
}
