/* SPDX-License-Identifier: BSD-3-Clause */
#include "session_rig.h"

#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define LOG_ALL (1ULL << VMM_F_LOG_ALL)
#define LOG_LEN (1 << 20) /* for 32 GB */

static int
log_file(uint64_t len)
{
	int fd = memfd_create("log", MFD_CLOEXEC);

	CHECK(fd >= 0 && ftruncate(fd, (off_t)len) == 0);
	return fd;
}

static int
log_send(struct vmm_guest *g, uint64_t len, uint64_t offset)
{
	int fd = log_file(offset + len);
	int rc = vmm_front_send_log(g->front, fd, len, offset);

	close(fd);
	return rc;
}

static int
features_send(struct vmm_guest *g, uint64_t more)
{
	return vmm_front_send_u64(g->front, VMM_SET_FEATURES, g->front->features | more);
}

static void
offered(void)
{
	struct rig r;
	struct vmm_guest *g = rig_open_quiet(&r, "offered");

	CHECK(r.cfg.log == NULL);
	CHECK((g->front->offered & LOG_ALL) != 0);
	CHECK((g->front->protocol & VMM_PROTO_LOG_SHMFD) != 0);
	rig_close(&r, g);
}

/* As QEMU begins, cancels and begins again; positions and rings are not touched by it. */
static void
switched(void)
{
	struct session_info info;
	struct rig r;
	struct vmm_guest *g = rig_open_quiet(&r, "switched");

	CHECK(log_send(g, LOG_LEN, 0) == 0);
	CHECK_STR("a log alone changes nothing", rig_told(&r), "");
	for (int i = 0; i < 3; i++) {
		CHECK(features_send(g, LOG_ALL) == 0);
		CHECK_STR("on", rig_told(&r), "L");
		CHECK(r.cfg.log != NULL && r.cfg.log->n_pages == LOG_LEN * 8);
		rig_info(&r, &info);
		CHECK(info.logging && info.log_bytes == LOG_LEN);
		CHECK(features_send(g, 0) == 0);
		CHECK_STR("off", rig_told(&r), "L");
		CHECK(r.cfg.log == NULL);
	}
	rig_close(&r, g);
}

/* Marks go to the log of now: bit n of the file is page n, whatever stands before it. */
static void
replaced(void)
{
	struct rig r;
	struct vmm_guest *g = rig_open_quiet(&r, "replaced");
	int fd = log_file(LOG_LEN + 4096);
	uint8_t byte = 0;

	CHECK(log_send(g, LOG_LEN, 0) == 0);
	CHECK(features_send(g, LOG_ALL) == 0);
	rig_told(&r);
	CHECK(vmm_front_send_log(g->front, fd, LOG_LEN, 4096) == 0);
	CHECK_STR("before the answer", rig_told(&r), "L");
	CHECK(dirty_mark(r.cfg.log, (gpa_t){ 19 * 4096 + 4095 }, 2) == 2);
	CHECK(dirty_mark(r.cfg.log, (gpa_t){ 19 * 4096 + 4095 }, 2) == 0);
	CHECK(pread(fd, &byte, 1, 4096 + 2) == 1 && byte == 0x18);
	close(fd);
	rig_close(&r, g);
}

/* Nothing may be written while the log is still to come, and all from the first write on. */
static void
log_comes_last(void)
{
	struct session_info info;
	struct rig r;
	struct vmm_guest *g = rig_open_quiet(&r, "last");

	rig_move(&r, g, 1, 9, false);
	CHECK(features_send(g, LOG_ALL) == 0);
	CHECK_STR("nobody writes", rig_told(&r), "Q");
	rig_info(&r, &info);
	CHECK(info.state == SESSION_WAITING);
	CHECK_STR("its reason", info.reason,
		  "front-end has not given the dirty log that it asked to be kept");
	CHECK(log_send(g, LOG_LEN, 0) == 0);
	CHECK(vmm_front_ask_u64(g->front, VMM_GET_FEATURES, &info.features) == 0);
	CHECK_STR("now it does", rig_told(&r), "R");
	CHECK(r.cfg.log != NULL && r.rings[1].pos.avail == 9);
	rig_close(&r, g);
}

static void
memory_outgrows_log(void)
{
	struct session_info info;
	struct rig r;
	struct vmm_guest *g = rig_open_quiet(&r, "outgrows");
	uint64_t end = 0;

	for (unsigned int i = 0; i < g->mem->n_regions; i++)
		end = RTE_MAX(end, g->mem->regions[i].gpa + g->mem->regions[i].size);
	CHECK(log_send(g, (end / 4096 + 7) / 8, 0) == 0);
	CHECK(features_send(g, LOG_ALL) == 0);
	rig_told(&r);
	CHECK(vmm_guest_mem_plug(g, 1 << 20) >= 0);
	CHECK_STR("not written to any more", rig_told(&r), "Q");
	rig_info(&r, &info);
	CHECK_STR("its reason", info.reason, "dirty log does not cover the guest's memory");
	CHECK(log_send(g, LOG_LEN, 0) == 0);
	CHECK(vmm_front_ask_u64(g->front, VMM_GET_FEATURES, &info.features) == 0);
	CHECK_STR("with a larger one it is", rig_told(&r), "R");
	CHECK(r.cfg.log->n_pages == LOG_LEN * 8);
	rig_close(&r, g);
}

static void
rings_start_again(void)
{
	struct rig r;
	struct vmm_guest *g = rig_open_quiet(&r, "again");

	CHECK(log_send(g, LOG_LEN, 0) == 0);
	CHECK(features_send(g, LOG_ALL) == 0);
	CHECK(vmm_front_send_mem(g->front, g->mem) == 0);
	CHECK_STR("with the log", rig_told(&r), "LQR");
	CHECK(r.cfg.log != NULL);
	r.log_set_rc = -ENOTSUP;
	CHECK(log_send(g, LOG_LEN, 0) == 0);
	CHECK(vmm_front_ask_u64(g->front, VMM_GET_FEATURES, &g->front->offered) == 0);
	CHECK_STR("who cannot change it starts with it", rig_told(&r), "LQR");
	CHECK(r.cfg.log != NULL);
	rig_close(&r, g);
}

/* The answer to this one comes after all that the messages before it have caused. */
static void
settle(struct vmm_guest *g)
{
	uint64_t features;

	CHECK(vmm_front_ask_u64(g->front, VMM_GET_FEATURES, &features) == 0);
}

/* What the flight recorder is told of a guest that arrives, logs, stops, goes on and goes. */
static void
moments(void)
{
	static const uint8_t mac[8] = { 0x52, 0x54, 0, 1, 2, 3, 0xff, 0xff };
	struct rig r;
	struct vmm_guest *g;

	CHECK(rig_create(&r, "moments", false, 1) == 0);
	g = rig_guest(&r, false, 1);
	g->conf.pos = 7;
	CHECK(vmm_guest_open(g) == 0);
	settle(g);
	CHECK_STR("starts", rig_moments(&r), "started=7 ready=0 ready=1 ");
	CHECK(vmm_front_send(g->front, VMM_SEND_RARP, mac, 8, NULL, 0) == 0);
	settle(g);
	CHECK_STR("is announced", rig_moments(&r), "announced=30201005452 ");
	CHECK(vmm_guest_stop(g) == 0);
	CHECK(vmm_guest_start(g) == 0);
	settle(g);
	CHECK_STR("does not leave", rig_moments(&r), "started=7 ready=0 ready=1 ");
	CHECK(log_send(g, LOG_LEN, 0) == 0 && features_send(g, LOG_ALL) == 0);
	CHECK(features_send(g, LOG_ALL) == 0);
	settle(g);
	CHECK_STR("logs", rig_moments(&r), "log_base=100000 log_on=0 ");
	CHECK(vmm_guest_stop(g) == 0);
	settle(g);
	CHECK_STR("stops", rig_moments(&r), "stop=0 drained=0 stop=1 drained=1 base=1 ");
	g->front->features |= LOG_ALL;
	CHECK(vmm_guest_start(g) == 0);
	settle(g);
	CHECK_STR("goes on", rig_moments(&r), "started=7 ready=0 ready=1 ");
	g->front->features &= ~LOG_ALL;
	CHECK(features_send(g, 0) == 0);
	settle(g);
	CHECK_STR("is cancelled", rig_moments(&r), "log_off=0 ");
	vmm_guest_destroy(g);
	CHECK(rig_wait(&r, SESSION_WAITING));
	CHECK_STR("goes", rig_moments(&r), "disconnected=0 ");
	rig_destroy(&r);
}

/* Once, before anything stops, and only while writes are logged. */
static void
leaves_and_returns(void)
{
	struct rig r;
	struct vmm_guest *g = rig_open_quiet(&r, "leaves");
	uint32_t base;

	CHECK(vmm_front_ask_base(g->front, 0, &base) == 0);
	CHECK(vmm_front_ask_base(g->front, 1, &base) == 0);
	CHECK_STR("a stop is no departure", rig_told(&r), "QRQ");
	vmm_guest_destroy(g);
	g = rig_guest(&r, false, 1);
	CHECK(vmm_guest_open(g) == 0);
	CHECK(log_send(g, LOG_LEN, 0) == 0);
	CHECK(features_send(g, LOG_ALL) == 0);
	rig_told(&r);
	CHECK(vmm_front_ask_base(g->front, 0, &base) == 0);
	CHECK(vmm_front_ask_base(g->front, 1, &base) == 0);
	CHECK_STR("while logging it is", rig_told(&r), "VQRQ");
	rig_close(&r, g);
}

/* Each is refused by name and nothing has changed; the front-end comes back. */
static void
refused_one(const char *what, const char *reason, int fd, uint64_t len, uint64_t offset)
{
	struct session_info info;
	struct rig r;
	struct vmm_guest *g = rig_open_quiet(&r, "refused");

	CHECK(vmm_front_send_log(g->front, fd, len, offset) < 0);
	CHECK(strchr(rig_told(&r), 'L') == NULL);
	rig_info(&r, &info);
	CHECK_STR(what, strstr(info.reason, reason) != NULL ? reason : info.reason, reason);
	CHECK(info.log_bytes == 0);
	if (fd >= 0)
		close(fd);
	rig_close(&r, g);
}

static void
refused(void)
{
	int ends[2];

	CHECK(pipe(ends) == 0);
	refused_one("no descriptor", "0 descriptors", -1, LOG_LEN, 0);
	refused_one("a pipe", "not in a file", ends[0], LOG_LEN, 0);
	refused_one("an eventfd", "not in a file", eventfd(0, 0), LOG_LEN, 0);
	refused_one("leaves its file", "leaves its file", log_file(4096), 8192, 0);
	refused_one("leaves it at the end", "leaves its file", log_file(8192), 8192, 4096);
	refused_one("wraps", "leaves its file", log_file(8192), UINT64_MAX, 4096);
	refused_one("odd offset", "cannot be mapped", log_file(LOG_LEN + 8), LOG_LEN, 8);
	refused_one("empty", "cannot be mapped", log_file(8192), 0, 0);
	refused_one("too small", "does not cover", log_file(4096), 8, 0);
	close(ends[1]);
}

static bool
pages_are(const char *bits, uint64_t len, uint64_t first, uint64_t last)
{
	for (uint64_t i = 0; i < len * 8; i++)
		if ((bits[i / 8] >> i % 8 & 1) != (i >= first && i <= last))
			return false;
	return true;
}

/* Every range has exactly its pages, at any place in the words. */
static void
marks(void)
{
	static const uint64_t at[] = { 0, 1, 4095, 4096, 63 * 4096, 64 * 4096 - 1, 200 * 4096 + 7 };
	static const uint64_t lens[] = { 1, 2, 4096, 4097, 64 * 4096, 65 * 4096, 200 * 4096 };
	int fd = log_file(128);
	char *bits = mmap(NULL, 128, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct dirty *d;

	CHECK(dirty_map(fd, 0, 128, 0, &d) == 0);
	CHECK(dirty_mark(d, (gpa_t){ 5 * 4096 }, 0) == 0 && pages_are(bits, 128, 1, 0));
	CHECK(dirty_mark(d, (gpa_t){ 1023 * 4096 }, 4097) == 0 && pages_are(bits, 128, 1, 0));
	for (size_t i = 0; i < RTE_DIM(at); i++)
		for (size_t k = 0; k < RTE_DIM(lens); k++) {
			uint64_t first = at[i] / 4096, last = (at[i] + lens[k] - 1) / 4096;

			memset(bits, 0, 128);
			CHECK(dirty_mark(d, (gpa_t){ at[i] }, lens[k]) == last - first + 1);
			CHECK(pages_are(bits, 128, first, last));
			CHECK(dirty_mark(d, (gpa_t){ at[i] }, lens[k]) == 0);
		}
	dirty_destroy(d);
	munmap(bits, 128);
	close(fd);
}

/* A front-end that cuts its own log off loses its migration, not us. */
static void
log_vanishes(void)
{
	int fd = log_file(LOG_LEN);
	struct dirty *d;

	CHECK(dirty_map(fd, 0, LOG_LEN, 0, &d) == 0);
	CHECK(ftruncate(fd, 0) == 0);
	CHECK(!dirty_faulted(d));
	dirty_mark(d, (gpa_t){ 1ULL << 30 }, 1);
	CHECK(dirty_faulted(d));
	dirty_destroy(d);
	close(fd);
}

void
session_log_stories(void)
{
	rig_can_log = true;
	rig_story("a provider that logs is offered to migrate", offered);
	rig_story("logging is switched while the rings run", switched);
	rig_story("a log is replaced before the answer", replaced);
	rig_story("the log comes after the rings", log_comes_last);
	rig_story("memory outgrows the log", memory_outgrows_log);
	rig_story("rings start again with the log", rings_start_again);
	rig_story("what is told of a migration", moments);
	rig_story("a guest leaves", leaves_and_returns);
	rig_story("logs that cannot be", refused);
	rig_story("marks are the pages of their ranges", marks);
	rig_story("the log vanishes", log_vanishes);
	rig_can_log = false;
}
