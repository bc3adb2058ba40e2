/* SPDX-License-Identifier: BSD-3-Clause */
/* What a client may say and what it may not; a client that is gone leaves nothing behind. */
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "selftest.h"

#define REGION_CONFIG VFIO_PCI_CONFIG_REGION_INDEX

static int
memory(uint64_t size)
{
	int fd = memfd_create("selftest", MFD_CLOEXEC);

	return fd >= 0 && ftruncate(fd, (off_t)size) < 0 ? -errno : fd;
}

static void
maps(struct client *c)
{
	int fd = memory(1 << 20);
	static const struct {
		const char *story;
		uint64_t offset, iova, size;
		int expected;
	} rows[] = {
		{ "all of a file", 0, 1 << 20, 1 << 20, 0 },
		{ "the same once more", 0, 1 << 20, 1 << 20, -EEXIST },
		{ "over its end", 0, (2 << 20) - 4096, 8192, -EEXIST },
		{ "beside it", 4096, 2 << 20, 4096, 0 },
		{ "beyond the file", 4096, 8 << 20, 1 << 20, -EINVAL },
		{ "nothing", 0, 8 << 20, 0, -EINVAL },
		{ "half a page", 0, 8 << 20, 2048, -EINVAL },
		{ "odd offset", 17, 8 << 20, 4096, -EINVAL },
		{ "around the end", 0, UINT64_MAX - 4095, 8192, -EINVAL },
	};

	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int rc = client_map(c, fd, rows[i].offset, rows[i].iova, rows[i].size);

		CHECK(rc == rows[i].expected);
		if (rc != rows[i].expected)
			fprintf(stderr, "%s: %d\n", rows[i].story, rc);
	}
	CHECK(client_map(c, -1, 0, 8 << 20, 4096) == -EINVAL);
	CHECK(client_unmap(c, 1 << 20, 4096) == -ENOENT);
	CHECK(client_unmap(c, 1 << 20, 1 << 20) == 0);
	CHECK(client_unmap(c, 1 << 20, 1 << 20) == -ENOENT);
	close(fd);
}

static void
questions(struct client *c)
{
	struct vfu_info info = { .argsz = sizeof(info) };
	struct vfu_region_info region = { .argsz = sizeof(region), .index = 99 };
	struct vfu_irq_info irq = { .argsz = sizeof(irq), .index = VFIO_PCI_MSIX_IRQ_INDEX };
	struct exchange x = { .command = VFU_GET_INFO, .head = &info, .head_len = sizeof(info) };

	CHECK(client_call(c, &x) == 0 && x.answer_len == sizeof(info));
	memcpy(&info, x.answer, sizeof(info));
	CHECK(info.n_regions == VFIO_PCI_NUM_REGIONS && info.n_irqs == VFIO_PCI_NUM_IRQS);
	x = (struct exchange){ .command = VFU_GET_IRQ_INFO, .head = &irq, .head_len = sizeof(irq) };
	CHECK(client_call(c, &x) == 0);
	memcpy(&irq, x.answer, sizeof(irq));
	CHECK(irq.count >= 4 && (irq.flags & VFIO_IRQ_INFO_EVENTFD) != 0);
	x = (struct exchange){ .command = VFU_GET_REGION_INFO, .head = &region,
			       .head_len = sizeof(region) };
	CHECK(client_call(c, &x) == -EINVAL);
	x = (struct exchange){ .command = 77 };
	CHECK(client_call(c, &x) == -ENOTSUP);
	x = (struct exchange){ .command = VFU_DMA_MAP, .head = "short", .head_len = 5 };
	CHECK(client_call(c, &x) == -EINVAL);
}

static void
accesses(struct client *c)
{
	uint8_t bytes[4096] = { 0 };
	uint32_t bar = UINT32_MAX;
	uint16_t ids[2];

	CHECK(client_region(c, false, REGION_CONFIG, 0, ids, 4) == 0);
	CHECK(ids[0] == 0x1af4 && ids[1] == 0x1041);
	CHECK(client_region(c, true, REGION_CONFIG, PCI_VENDOR_ID, bytes, 2) == 0);
	CHECK(client_region(c, false, REGION_CONFIG, 0, ids, 4) == 0 && ids[0] == 0x1af4);
	CHECK(client_region(c, true, REGION_CONFIG, PCI_BASE_ADDRESS_4, &bar, 4) == 0);
	CHECK(client_region(c, false, REGION_CONFIG, PCI_BASE_ADDRESS_4, &bar, 4) == 0);
	CHECK((~(bar & ~15U) & (~(bar & ~15U) + 1)) == 0 && ~(bar & ~15U) >= 0x3fff);
	CHECK(client_region(c, false, REGION_CONFIG, 250, bytes, 16) == -EINVAL);
	CHECK(client_region(c, false, 4, 1ULL << 40, bytes, 4) == -EINVAL);
	CHECK(client_region(c, false, 4, 2, bytes, 4) == -EINVAL);
	CHECK(client_region(c, false, 4, 0, bytes, 3) == -EINVAL);
	CHECK(client_region(c, false, 1, 0, bytes, 4096) == -EINVAL);
	CHECK(client_region(c, false, 0, 0, bytes, 4) == -EINVAL);
	CHECK(client_region(c, true, 1, 16, bytes, 16) == 0);
}

static void
interrupts(struct client *c)
{
	int fds[2] = { memory(4096), -1 };

	CHECK(client_irqs(c, 30000, fds, 1) == -EINVAL);
	CHECK(client_irqs(c, 0, fds, 1) == 0);
	CHECK(client_irqs(c, 0, NULL, 0) == 0);
	close(fds[0]);
}

static int
raw_open(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	CHECK(connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0);
	return fd;
}

/* The first message is VERSION, and a message says how long it is. */
static void
cut_off(struct rig *r)
{
	static const struct vfu_header bad[] = {
		{ .command = VFU_GET_INFO, .size = sizeof(struct vfu_header) },
		{ .command = VFU_VERSION, .size = 3 },
		{ .command = VFU_VERSION, .size = 1 << 30 },
		{ .command = VFU_VERSION, .size = sizeof(struct vfu_header), .flags = VFU_REPLY },
	};

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct pollfd p = { .fd = raw_open(r->sockets[0]), .events = POLLIN };
		char byte;

		CHECK(send(p.fd, &bad[i], sizeof(bad[i]), MSG_NOSIGNAL) == sizeof(bad[i]));
		CHECK(poll(&p, 1, 1000) == 1 && read(p.fd, &byte, 1) <= 0);
		close(p.fd);
	}
}

/* One client at a time. */
static void
second(struct rig *r, struct client *first)
{
	struct client c;
	uint32_t id;

	CHECK(client_open(&c, r->sockets[0]) < 0);
	CHECK(client_region(first, false, REGION_CONFIG, 0, &id, 4) == 0);
}

static unsigned int
count(pid_t pid, const char *what, bool lines)
{
	char line[512], command[64];
	unsigned int n = 0;
	FILE *f;

	snprintf(command, sizeof(command), lines ? "cat /proc/%d/%s" : "ls /proc/%d/%s", (int)pid,
		 what);
	f = popen(command, "r");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		n += !lines || strstr(line, "memfd") != NULL;
	if (f != NULL)
		pclose(f);
	return n;
}

static void
gone(struct rig *r)
{
	struct vmm_guest_conf conf;
	struct driver d;
	unsigned int fds = count(r->pid, "fd", false);

	conf_plain(&conf);
	conf.n_regions = 3;
	for (unsigned int i = 0; i < 5; i++) {
		CHECK(driver_open(&d, r->sockets[0], &conf) == 0);
		CHECK(driver_start(&d) == 0);
		CHECK(count(r->pid, "maps", true) >= 3);
		driver_close(&d);
		for (int ms = 0; ms < 1000 && rig_count(r, 0, "status") != 0; ms++)
			usleep(1000);
		CHECK(rig_count(r, 0, "maps") == 0);
	}
	CHECK(count(r->pid, "fd", false) == fds);
	CHECK(count(r->pid, "maps", true) == 0);
	CHECK(rig_count(r, 0, "violations") == 0);
}

void
stories_message(void)
{
	struct rig r = { .control = -1 };
	struct client c;

	CHECK(rig_start(&r, 1, ",event_idx,mtu=9000", NULL) == 0);
	CHECK(client_open(&c, r.sockets[0]) == 0);
	maps(&c);
	questions(&c);
	accesses(&c);
	interrupts(&c);
	second(&r, &c);
	client_close(&c);
	cut_off(&r);
	gone(&r);
	CHECK(rig_end(&r) == 0);
}
