/* SPDX-License-Identifier: BSD-3-Clause */
#include "session_rig.h"

#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The owner touches what it has when it lets go: a table that is unmapped too early crashes. */
static void
table_changes(void)
{
	struct rig r;
	struct vmm_guest *g = rig_open_quiet(&r, "table");

	rig_move(&r, g, 1, 40, false);
	CHECK(vmm_guest_mem_plug(g, 1 << 20) >= 0);
	CHECK_STR("plug", rig_told(&r), "QR");
	CHECK(r.cfg.mem->n_regions == 3);
	CHECK(r.rings[1].pos.avail == 40);
	CHECK(vmm_guest_mem_unplug(g) == 0);
	CHECK_STR("unplug", rig_told(&r), "QR");
	CHECK(r.cfg.mem->n_regions == 2);
	CHECK(vmm_front_send_mem(g->front, g->mem) == 0);
	CHECK_STR("the same again, which the library ignores", rig_told(&r), "QR");
	CHECK(r.rings[1].pos.avail == 40);
	CHECK(r.rings[1].device.v == g->queues[1].ring->addr.used);
	rig_close(&r, g);
}

/* The descriptor of a region that the library cannot map is forgotten there. */
static void
forgotten_close(int fd)
{
	struct stat st, same;

	CHECK(fstat(fd, &st) == 0);
	for (int i = 3; i < 1024; i++)
		if (fstat(i, &same) == 0 && same.st_ino == st.st_ino && same.st_dev == st.st_dev)
			close(i);
}

static void
seal(void *arg)
{
	CHECK(fcntl(*(const int *)arg, F_ADD_SEALS, F_SEAL_WRITE) == 0);
}

/* A file that cannot be mapped any more, when the old memory is gone already. */
static void
table_fails_in_library(void)
{
	struct vmm_mem_table table = { .n = 1, .regions = { { .size = 1 << 20 } } };
	int fd = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct session_info info;
	struct rig r;
	struct vmm_guest *g = rig_open_quiet(&r, "sealed");

	CHECK(fd >= 0 && ftruncate(fd, 1 << 20) == 0);
	rig_move(&r, g, 1, 5, false);
	r.on_quiesce = seal;
	r.arg = &fd;
	CHECK(vmm_front_send(g->front, VMM_SET_MEM_TABLE, &table, 40, &fd, 1) == -EREMOTEIO);
	CHECK_STR("nothing runs without memory", rig_told(&r), "Q");
	rig_info(&r, &info);
	CHECK(info.state == SESSION_WAITING && info.n_regions == 0);
	CHECK_STR("its reason", info.reason, "SET_MEM_TABLE was not carried out");
	CHECK(vmm_guest_enable(g, 0, true) == 0);
	CHECK_STR("nor after another message", rig_told(&r), "");

	CHECK(vmm_front_send(g->front, VMM_SET_MEM_TABLE, &table, 40, &fd, 1) == -EREMOTEIO);
	CHECK_STR("sealed from the start", rig_told(&r), "");
	rig_info(&r, &info);
	CHECK_STR("its reason", info.reason, "memory region 0 cannot be mapped");

	CHECK(vmm_front_send_mem(g->front, g->mem) == 0);
	CHECK_STR("a good table brings it back", rig_told(&r), "R");
	CHECK(r.rings[1].pos.avail == 5);
	CHECK(rig_wait(&r, SESSION_UP));
	forgotten_close(fd);
	rig_close(&r, g);
}

static void
truncate_all(void *arg)
{
	const struct vmm_mem *mem = arg;

	for (unsigned int i = 0; i < mem->n_regions; i++)
		CHECK(ftruncate(mem->regions[i].fd, 0) == 0);
}

static void
restore_all(const struct vmm_mem *mem)
{
	for (unsigned int i = 0; i < mem->n_regions; i++)
		CHECK(ftruncate(mem->regions[i].fd,
				mem->regions[i].offset + mem->regions[i].size) == 0);
}

static bool
same_memory(const struct rig *r, const struct vmm_guest *g, uint8_t mark)
{
	uint64_t gpa = g->queues[0].ring->addr.used;
	const uint8_t *seen = gmem_at(r->cfg.mem, (gpa_t){ gpa }, 1);

	*(uint8_t *)vmm_mem_host(g->mem, gpa, 1) = mark;
	return seen != NULL && *(const volatile uint8_t *)seen == mark;
}

static void
memory_vanishes(void)
{
	struct session_info info;
	struct rig r;
	struct vmm_guest *g = rig_open_quiet(&r, "vanish");

	CHECK(same_memory(&r, g, 0x5a));
	truncate_all(g->mem);
	pthread_mutex_lock(&r.lock);
	(void)*(const volatile uint8_t *)gmem_at(r.cfg.mem, r.rings[0].device, 1);
	CHECK(r.cfg.mem->faulted);
	session_break(r.session, "memory vanished");
	pthread_mutex_unlock(&r.lock);
	CHECK_STR("break", rig_told(&r), "Q");
	CHECK(vmm_guest_kick_change(g, 0) == 0);
	CHECK_STR("not on this memory", rig_told(&r), "");
	rig_info(&r, &info);
	CHECK(info.state == SESSION_BROKEN);

	restore_all(g->mem);
	CHECK(vmm_front_send_mem(g->front, g->mem) == 0);
	CHECK_STR("the same table, whole again", rig_told(&r), "R");
	CHECK(rig_wait(&r, SESSION_UP));
	CHECK(same_memory(&r, g, 0xa5));
	rig_close(&r, g);
}

/* After the check of the table and before the library has looked at what it maps. */
static void
memory_vanishes_in_library(void)
{
	struct session_info info;
	struct rig r;
	struct vmm_guest *g = rig_open_quiet(&r, "race");

	r.on_quiesce = truncate_all;
	r.arg = g->mem;
	vmm_guest_mem_plug(g, 1 << 20);
	CHECK_STR("nothing runs on it", rig_told(&r), "Q");
	rig_info(&r, &info);
	CHECK(info.state == SESSION_BROKEN);
	restore_all(g->mem);
	CHECK(vmm_guest_mem_unplug(g) == 0);
	CHECK_STR("until it is whole", rig_told(&r), "R");
	rig_close(&r, g);
}

void
session_mem_stories(void)
{
	rig_story("table changes", table_changes);
	rig_story("table fails in the library", table_fails_in_library);
	rig_story("memory vanishes", memory_vanishes);
	rig_story("memory vanishes in the library", memory_vanishes_in_library);
}
