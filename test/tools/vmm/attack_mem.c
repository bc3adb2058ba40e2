/* SPDX-License-Identifier: BSD-3-Clause */
/* Malice in what describes memory and rings: memory tables, descriptors of files, ring setup. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attack.h"

#define MB (1ULL << 20)

/* Memory tables */

/* Sends a table of `n` regions with `n_fds` copies of `fd`, which is closed. */
static int
table_send(struct attack *a, const struct vmm_mem_region *regions, uint32_t n, int fd,
	   unsigned int n_fds)
{
	struct vmm_mem_table t = { .n = n };
	uint32_t shown = n < VMM_REGIONS_MAX ? n : VMM_REGIONS_MAX;
	int fds[VMM_REGIONS_MAX], rc;

	memcpy(t.regions, regions, shown * sizeof(*regions));
	for (unsigned int i = 0; i < VMM_REGIONS_MAX; i++)
		fds[i] = fd;
	rc = vmm_front_send(a->g->front, VMM_SET_MEM_TABLE, &t,
			    (uint32_t)(8 + shown * sizeof(*regions)), fds, n_fds);
	if (fd >= 0)
		close(fd);
	return rc;
}

static int
memfd(uint64_t size)
{
	int fd = memfd_create("attack", MFD_CLOEXEC);

	return fd >= 0 && ftruncate(fd, (off_t)size) < 0 ? -1 : fd;
}

static int
table1(struct attack *a, uint64_t gpa, uint64_t size, uint64_t uva, uint64_t offset)
{
	struct vmm_mem_region rg = { gpa, size, uva, offset };

	return table_send(a, &rg, 1, memfd(MB), 1);
}

static int
table2(struct attack *a, struct vmm_mem_region first, struct vmm_mem_region second,
       unsigned int n_fds)
{
	struct vmm_mem_region rg[VMM_REGIONS_MAX] = { first, second };

	return table_send(a, rg, 2, memfd(MB), n_fds);
}

#define CASE(name, body) static int name(struct attack *a) { return body; }
#define REGION(...) ((struct vmm_mem_region){ __VA_ARGS__ })

CASE(mem_zero_size, table1(a, 0, 0, 0x10000, 0))
CASE(mem_wrap, table1(a, UINT64_MAX - MB / 2, MB, 0x10000, 0))
CASE(mem_uva_wrap, table1(a, 0, MB, UINT64_MAX - MB / 2, 0))
CASE(mem_offset_huge, table1(a, 0, MB, 0x10000, UINT64_MAX - 4096))
CASE(mem_offset_behind, table1(a, 0, MB, 0x10000, MB))
CASE(mem_size_huge, table1(a, 0, 1ULL << 62, 0x10000, 0))
CASE(mem_undersized, table1(a, 0, 64 * MB, 0x10000, 0))
CASE(mem_overlap, table2(a, REGION(0, MB, 0x100000, 0), REGION(MB / 2, MB, 0x900000, 0), 2))
CASE(mem_uva_overlap, table2(a, REGION(0, MB, 0x100000, 0), REGION(4 * MB, MB, 0x140000, 0), 2))
CASE(mem_fds_few, table2(a, REGION(0, MB, 0x100000, 0), REGION(4 * MB, MB, 0x900000, 0), 1))
CASE(mem_fds_many, table2(a, REGION(0, MB, 0x100000, 0), REGION(4 * MB, MB, 0x900000, 0), 7))
CASE(mem_fds_none, table_send(a, &REGION(0, MB, 0x100000, 0), 1, -1, 0))
CASE(mem_empty, table_send(a, &REGION(0), 0, -1, 0))

static int
mem_many(struct attack *a)
{
	struct vmm_mem_region rg[VMM_REGIONS_MAX] = { 0 };

	return table_send(a, rg, 100, memfd(MB), VMM_FDS_MAX);
}

static int
mem_fd(struct attack *a, int fd)
{
	return fd < 0 ? -errno : table_send(a, &REGION(0, MB, 0x100000, 0), 1, fd, 1);
}

CASE(mem_fd_eventfd, mem_fd(a, eventfd(0, EFD_CLOEXEC)))
CASE(mem_fd_folder, mem_fd(a, open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC)))
CASE(mem_fd_socket, mem_fd(a, socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)))
CASE(mem_fd_device, mem_fd(a, open("/dev/null", O_RDWR | O_CLOEXEC)))

static int
mem_fd_sealed(struct attack *a)
{
	int fd = memfd_create("attack", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, MB) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) < 0)
		return -errno;
	return mem_fd(a, fd);
}

/* Memory that changes under a running device */

/* Keeps the device looking for a while.  Our own mapping of the rings may be gone: only kicks. */
static int
kick_on(struct attack *a)
{
	for (int i = 0; i < 100; i++) {
		attack_kick(a, 1);
		usleep(500);
	}
	return 0;
}

static int
mem_shrink(struct attack *a, off_t to)
{
	int rc = 0;

	for (int i = 0; i < 20; i++)
		attack_post(a, 1, &(struct attack_desc){ a->spare, 100, 0, 0 }, 1);
	for (unsigned int i = 0; i < a->g->mem->n_regions && rc == 0; i++)
		if (ftruncate(a->g->mem->regions[i].fd, to) < 0)
			rc = -errno;
	return rc < 0 ? rc : kick_on(a);
}

CASE(mem_truncate, mem_shrink(a, 0))
CASE(mem_truncate_half, mem_shrink(a, 8192))

static int
mem_hole(struct attack *a)
{
	for (unsigned int i = 0; i < a->g->mem->n_regions; i++) {
		const struct vmm_region *rg = &a->g->mem->regions[i];

		if (fallocate(rg->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			      (off_t)(rg->offset + rg->size)) < 0)
			return -errno;
	}
	return kick_on(a);
}

static int
mem_replace(struct attack *a)
{
	/* The rings are outside the new table. */
	return table1(a, 1ULL << 40, MB, 1ULL << 45, 0);
}

CASE(mem_empty_running, table_send(a, &REGION(0), 0, -1, 0))

/* Kick and call descriptors */

static int
fd_send(struct attack *a, uint32_t request, int fd)
{
	int rc = fd < 0 ? -errno : vmm_front_send_fd(a->g->front, request, 1, fd);

	if (fd >= 0)
		close(fd);
	if (rc == 0)
		attack_post(a, 1, &(struct attack_desc){ a->spare, 100, 0, 0 }, 1);
	return rc;
}

CASE(kick_fd_memfd, fd_send(a, VMM_SET_VRING_KICK, memfd(MB)))
CASE(kick_fd_folder, fd_send(a, VMM_SET_VRING_KICK, open("/", O_RDONLY | O_CLOEXEC)))
CASE(kick_fd_device, fd_send(a, VMM_SET_VRING_KICK, open("/dev/zero", O_RDWR | O_CLOEXEC)))
CASE(call_fd_memfd, fd_send(a, VMM_SET_VRING_CALL, memfd(MB)))
CASE(call_fd_device, fd_send(a, VMM_SET_VRING_CALL, open("/dev/full", O_RDWR | O_CLOEXEC)))

/* A write to it blocks for ever. */
static int
call_fd_pipe(struct attack *a)
{
	char full[4096] = { 0 };
	int fds[2], rc;

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	while (write(fds[1], full, sizeof(full)) > 0)
		continue;
	if (fcntl(fds[1], F_SETFL, 0) < 0)
		return -errno;
	rc = fd_send(a, VMM_SET_VRING_CALL, fds[1]);
	usleep(100000);
	close(fds[0]);
	return rc;
}

static int
call_fd_full(struct attack *a)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	uint64_t full = UINT64_MAX - 1;

	if (fd < 0 || write(fd, &full, sizeof(full)) < 0)
		return -errno;
	return fd_send(a, VMM_SET_VRING_CALL, fd);
}

/* An eventfd that is always readable and cannot be emptied: each read takes one. */
static int
kick_fd_semaphore(struct attack *a)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE);
	uint64_t full = UINT64_MAX - 1;

	if (fd < 0 || write(fd, &full, sizeof(full)) < 0)
		return -errno;
	return fd_send(a, VMM_SET_VRING_KICK, fd);
}

/* Rings */

static int
num(struct attack *a, uint32_t size)
{
	int rc = vmm_front_send_state(a->g->front, VMM_SET_VRING_NUM, 1, size);

	if (rc == 0)
		rc = vmm_front_send_fd(a->g->front, VMM_SET_VRING_KICK, 1,
				       a->g->queues[1].ring->kickfd);
	attack_kick(a, 1);
	return rc;
}

CASE(num_zero, num(a, 0))
CASE(num_odd, num(a, 100))
CASE(num_large, num(a, 65535))
CASE(num_huge, num(a, 1 << 30))

static int
addr(struct attack *a, uint64_t desc, uint64_t avail, uint64_t used)
{
	struct vmm_vring_addr m = { .index = 1, .desc = desc, .avail = avail, .used = used };
	int rc = vmm_front_send(a->g->front, VMM_SET_VRING_ADDR, &m, sizeof(m), NULL, 0);

	if (rc == 0)
		rc = vmm_front_send_fd(a->g->front, VMM_SET_VRING_KICK, 1,
				       a->g->queues[1].ring->kickfd);
	attack_kick(a, 1);
	return rc;
}

static uint64_t
good(const struct attack *a)
{
	return vmm_mem_uva(a->g->mem, a->spare);
}

static uint64_t
last_byte(const struct attack *a)
{
	const struct vmm_region *rg = &a->g->mem->regions[a->g->mem->n_regions - 1];

	return vmm_mem_uva(a->g->mem, rg->gpa + rg->size - 16);
}

CASE(addr_outside, addr(a, 0xdead0000, 0xdead0000, 0xdead0000))
CASE(addr_zero, addr(a, 0, 0, 0))
CASE(addr_wrap, addr(a, UINT64_MAX - 15, UINT64_MAX - 15, UINT64_MAX - 15))
CASE(addr_end, addr(a, last_byte(a), last_byte(a), last_byte(a)))
CASE(addr_used_end, addr(a, good(a), good(a) + 8192, last_byte(a)))
CASE(addr_unaligned, addr(a, good(a) + 1, good(a) + 8193, good(a) + 16385))
CASE(addr_same, addr(a, good(a), good(a), good(a)))

static int
kick_bare(struct attack *a)
{
	int fd = eventfd(1, EFD_CLOEXEC);
	int rc = vmm_front_send_fd(a->g->front, VMM_SET_VRING_KICK, 0, fd);

	if (rc == 0)
		rc = vmm_front_send_fd(a->g->front, VMM_SET_VRING_CALL, 0, fd);
	if (rc == 0)
		rc = vmm_front_send_state(a->g->front, VMM_SET_VRING_ENABLE, 0, 1);
	close(fd);
	return rc;
}

static int
base_wild(struct attack *a)
{
	uint32_t base;
	int rc = vmm_front_ask_base(a->g->front, 1, &base);

	if (rc == 0)
		rc = vmm_front_send_state(a->g->front, VMM_SET_VRING_BASE, 1, 0xffffffff);
	return rc < 0 ? rc : addr(a, vmm_mem_uva(a->g->mem, a->g->queues[1].ring->addr.desc),
				  vmm_mem_uva(a->g->mem, a->g->queues[1].ring->addr.avail),
				  vmm_mem_uva(a->g->mem, a->g->queues[1].ring->addr.used));
}

#define NEG(n, f, w) { .name = n, .run = f, .what = w, .when = WHEN_NEGOTIATED }
#define RUN(n, f, w) { .name = n, .run = f, .what = w, .when = WHEN_STARTED }

const struct attack_case attack_mem_cases[] = {
	NEG("mem-zero-size", mem_zero_size, "region of size 0"),
	NEG("mem-wrap", mem_wrap, "region wraps around the guest's address space"),
	NEG("mem-uva-wrap", mem_uva_wrap, "region wraps around the front-end's address space"),
	NEG("mem-offset-huge", mem_offset_huge, "offset near 2^64"),
	NEG("mem-offset-behind", mem_offset_behind, "offset at the end of the file"),
	NEG("mem-size-huge", mem_size_huge, "region of 2^62 bytes"),
	NEG("mem-undersized", mem_undersized, "file smaller than its region"),
	NEG("mem-overlap", mem_overlap, "regions overlap for the guest"),
	NEG("mem-uva-overlap", mem_uva_overlap, "regions overlap for the front-end"),
	NEG("mem-fds-few", mem_fds_few, "two regions, one descriptor"),
	NEG("mem-fds-many", mem_fds_many, "two regions, seven descriptors"),
	NEG("mem-fds-none", mem_fds_none, "a region without a descriptor"),
	NEG("mem-empty", mem_empty, "no regions"),
	NEG("mem-many", mem_many, "says 100 regions"),
	NEG("mem-fd-eventfd", mem_fd_eventfd, "memory is an eventfd"),
	NEG("mem-fd-folder", mem_fd_folder, "memory is a folder"),
	NEG("mem-fd-socket", mem_fd_socket, "memory is a socket"),
	NEG("mem-fd-device", mem_fd_device, "memory is /dev/null"),
	NEG("mem-fd-sealed", mem_fd_sealed, "memory is sealed against writing"),
	NEG("kick-bare", kick_bare, "kick, call and enable without memory and addresses"),
	RUN("mem-truncate", mem_truncate, "memory file cut to nothing while running"),
	RUN("mem-truncate-half", mem_truncate_half, "memory file cut to two pages while running"),
	RUN("mem-hole", mem_hole, "all of memory punched out while running"),
	RUN("mem-replace", mem_replace, "new memory table without the rings"),
	RUN("mem-empty-running", mem_empty_running, "no regions while running"),
	RUN("kick-fd-memfd", kick_fd_memfd, "kick is a memfd"),
	RUN("kick-fd-folder", kick_fd_folder, "kick is a folder"),
	RUN("kick-fd-device", kick_fd_device, "kick is /dev/zero"),
	RUN("kick-fd-semaphore", kick_fd_semaphore, "kick can never be read empty"),
	RUN("call-fd-memfd", call_fd_memfd, "call is a memfd"),
	RUN("call-fd-device", call_fd_device, "call is /dev/full"),
	RUN("call-fd-pipe", call_fd_pipe, "call is a full pipe that blocks"),
	RUN("call-fd-full", call_fd_full, "call is a full eventfd that blocks"),
	RUN("num-zero", num_zero, "ring of size 0"),
	RUN("num-odd", num_odd, "split ring of size 100"),
	RUN("num-large", num_large, "ring of size 65535"),
	RUN("num-huge", num_huge, "ring of size 2^30"),
	RUN("addr-outside", addr_outside, "ring addresses outside memory"),
	RUN("addr-zero", addr_zero, "ring addresses 0"),
	RUN("addr-wrap", addr_wrap, "ring addresses wrap around"),
	RUN("addr-end", addr_end, "ring runs over the end of memory"),
	RUN("addr-used-end", addr_used_end, "used ring runs over the end of memory"),
	RUN("addr-unaligned", addr_unaligned, "ring addresses unaligned"),
	RUN("addr-same", addr_same, "all three areas at one place"),
	RUN("base-wild", base_wild, "base 0xffffffff"),
};

const unsigned int n_attack_mem_cases = sizeof(attack_mem_cases) / sizeof(attack_mem_cases[0]);
