/* SPDX-License-Identifier: BSD-3-Clause */
/* What a driver may not do is seen, one thing at a time; what it does with a bad ring, too. */
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <unistd.h>

#include "selftest.h"

#define S(n) VIRTIO_CONFIG_S_##n

/* A fresh device and its driver, which has only looked around. */
struct bench {
	struct rig r;
	struct driver d;
};

static void
common(struct bench *b, uint32_t offset, uint64_t value, uint32_t len)
{
	client_write(&b->d.c, &b->d.c.common, offset, value, len);
}

static void
status(struct bench *b, uint8_t value)
{
	common(b, VIRTIO_PCI_COMMON_STATUS, value, 1);
}

static void
features(struct bench *b, uint64_t f)
{
	status(b, S(ACKNOWLEDGE));
	status(b, S(ACKNOWLEDGE) | S(DRIVER));
	for (uint32_t word = 0; word < 2; word++) {
		common(b, VIRTIO_PCI_COMMON_GFSELECT, word, 4);
		common(b, VIRTIO_PCI_COMMON_GF, f >> 32 * word & UINT32_MAX, 4);
	}
	status(b, S(ACKNOWLEDGE) | S(DRIVER) | S(FEATURES_OK));
}

#define MODERN (1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_F_ACCESS_PLATFORM)

static void
nothing(struct bench *b)
{
	driver_status(&b->d);
}

static void
step_missing(struct bench *b)
{
	status(b, S(ACKNOWLEDGE) | S(DRIVER) | S(DRIVER_OK));
}

static void
bit_cleared(struct bench *b)
{
	status(b, S(ACKNOWLEDGE));
	status(b, S(ACKNOWLEDGE) | S(DRIVER));
	status(b, S(ACKNOWLEDGE));
}

static void
not_offered(struct bench *b)
{
	features(b, MODERN | 1ULL << VIRTIO_F_RING_PACKED);
	CHECK((driver_status(&b->d) & S(FEATURES_OK)) == 0);
}

static void
dependency(struct bench *b)
{
	features(b, MODERN | 1ULL << VIRTIO_NET_F_HOST_TSO4);
	CHECK((driver_status(&b->d) & S(FEATURES_OK)) == 0);
}

/* Not wrong, but no device of this kind works without. */
static void
no_platform(struct bench *b)
{
	features(b, 1ULL << VIRTIO_F_VERSION_1);
	CHECK((driver_status(&b->d) & S(FEATURES_OK)) == 0);
}

static void
features_late(struct bench *b)
{
	features(b, MODERN);
	common(b, VIRTIO_PCI_COMMON_GF, 0, 4);
}

static void
features_unread(struct bench *b)
{
	features(b, MODERN);
	status(b, S(ACKNOWLEDGE) | S(DRIVER) | S(FEATURES_OK) | S(DRIVER_OK));
}

static void
features_read(struct bench *b)
{
	features(b, MODERN);
	driver_status(&b->d);
	status(b, S(ACKNOWLEDGE) | S(DRIVER) | S(FEATURES_OK) | S(DRIVER_OK));
}

static void
reset_unseen(struct bench *b)
{
	features(b, MODERN);
	status(b, 0);
	status(b, S(ACKNOWLEDGE));
}

static void
reset_seen(struct bench *b)
{
	features(b, MODERN);
	status(b, 0);
	driver_status(&b->d);
	status(b, S(ACKNOWLEDGE));
}

static void
width(struct bench *b)
{
	client_read(&b->d.c, &b->d.c.common, VIRTIO_PCI_COMMON_Q_SIZE, 4);
}

static void
read_only(struct bench *b)
{
	common(b, VIRTIO_PCI_COMMON_NUMQ, 4, 2);
}

static void
config_written(struct bench *b)
{
	client_write(&b->d.c, &b->d.c.config, 0, 0x52, 1);
}

static void
queue_none(struct bench *b)
{
	features(b, MODERN);
	common(b, VIRTIO_PCI_COMMON_Q_SELECT, 7, 2);
	CHECK(client_read(&b->d.c, &b->d.c.common, VIRTIO_PCI_COMMON_Q_SIZE, 2) == 0);
	common(b, VIRTIO_PCI_COMMON_Q_SIZE, 4, 2);
}

static void
queue_size(struct bench *b)
{
	features(b, MODERN);
	common(b, VIRTIO_PCI_COMMON_Q_SIZE, 100, 2);
}

static void
queue_early(struct bench *b)
{
	common(b, VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
}

static void
queue_disabled(struct bench *b)
{
	features(b, MODERN);
	common(b, VIRTIO_PCI_COMMON_Q_ENABLE, 0, 2);
}

static void
queue_unaligned(struct bench *b)
{
	features(b, MODERN);
	common(b, VIRTIO_PCI_COMMON_Q_DESCLO, 0x1008, 4);
	common(b, VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
	CHECK(client_read(&b->d.c, &b->d.c.common, VIRTIO_PCI_COMMON_Q_ENABLE, 2) == 0);
}

static void
queue_changed(struct bench *b)
{
	features(b, MODERN);
	common(b, VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
	common(b, VIRTIO_PCI_COMMON_Q_DESCLO, 0x2000, 4);
}

static void
vector_unread(struct bench *b)
{
	features(b, MODERN);
	driver_status(&b->d);
	common(b, VIRTIO_PCI_COMMON_Q_MSIX, 1, 2);
	status(b, S(ACKNOWLEDGE) | S(DRIVER) | S(FEATURES_OK) | S(DRIVER_OK));
}

static void
doorbell_early(struct bench *b)
{
	client_write(&b->d.c, &b->d.c.notify, 0, 0, 2);
}

static void
doorbell_wrong(struct bench *b)
{
	CHECK(driver_start(&b->d) == 0);
	client_write(&b->d.c, &b->d.c.notify, b->d.c.notify.step, 0, 2);
}

static void
doorbell_right(struct bench *b)
{
	b->d.by_register = true;
	CHECK(driver_start(&b->d) == 0);
}

static void
queue_late(struct bench *b)
{
	CHECK(driver_start(&b->d) == 0);
	common(b, VIRTIO_PCI_COMMON_Q_SELECT, 0, 2);
	common(b, VIRTIO_PCI_COMMON_Q_SIZE, 64, 2);
}

static void
command_unknown(struct bench *b)
{
	CHECK(driver_start(&b->d) == 0);
	CHECK(driver_command(&b->d, 77, 1, "x", 1) == VIRTIO_NET_ERR);
}

static void
pairs_too_many(struct bench *b)
{
	uint16_t pairs = 2;

	CHECK(driver_start(&b->d) == 0);
	CHECK(driver_command(&b->d, VIRTIO_NET_CTRL_MQ, 0, &pairs, 2) == VIRTIO_NET_ERR);
}

static void
commands_right(struct bench *b)
{
	uint8_t off = 0, table[4 + 6 + 4] = { 1, 0, 0, 0, 0x52, 0x54, 0, 1, 2, 3 };

	CHECK(driver_start(&b->d) == 0);
	CHECK(driver_command(&b->d, VIRTIO_NET_CTRL_RX, 0, &off, 1) == VIRTIO_NET_OK);
	CHECK(driver_command(&b->d, VIRTIO_NET_CTRL_MAC, 0, table, sizeof(table)) == VIRTIO_NET_OK);
	CHECK(driver_command(&b->d, VIRTIO_NET_CTRL_MAC, 1, table + 4, 6) == VIRTIO_NET_OK);
	CHECK(client_read(&b->d.c, &b->d.c.config, 3, 1) == 1);
	CHECK(driver_command(&b->d, VIRTIO_NET_CTRL_ANNOUNCE, 0, &off, 0) == VIRTIO_NET_OK);
}

static const struct {
	const char *story;
	void (*run)(struct bench *b);
	unsigned int violations;
} rows[] = {
	{ "a look at the status", nothing, 0 },
	{ "DRIVER_OK without FEATURES_OK", step_missing, 1 },
	{ "a bit of the status is taken back", bit_cleared, 1 },
	{ "a feature that is not offered", not_offered, 1 },
	{ "a feature without the one it needs", dependency, 1 },
	{ "no ACCESS_PLATFORM", no_platform, 0 },
	{ "features after FEATURES_OK", features_late, 1 },
	{ "FEATURES_OK is not read back", features_unread, 1 },
	{ "FEATURES_OK is read back", features_read, 0 },
	{ "a reset is not seen to be done", reset_unseen, 1 },
	{ "a reset is seen to be done", reset_seen, 0 },
	{ "a field in another width", width, 1 },
	{ "a field that is read-only", read_only, 1 },
	{ "device configuration is written", config_written, 1 },
	{ "a queue that does not exist", queue_none, 1 },
	{ "a size that is no power of two", queue_size, 1 },
	{ "a queue before FEATURES_OK", queue_early, 1 },
	{ "queue_enable 0", queue_disabled, 1 },
	{ "areas that are not aligned", queue_unaligned, 1 },
	{ "an enabled queue is changed", queue_changed, 1 },
	{ "a vector that is not read back", vector_unread, 1 },
	{ "a doorbell before DRIVER_OK", doorbell_early, 1 },
	{ "a doorbell with another's number", doorbell_wrong, 1 },
	{ "doorbells by register", doorbell_right, 0 },
	{ "a queue is changed after DRIVER_OK", queue_late, 1 },
	{ "a command that does not exist", command_unknown, 1 },
	{ "more pairs than there are", pairs_too_many, 1 },
	{ "commands that exist", commands_right, 0 },
};

static void
row_run(unsigned int i)
{
	struct bench b = { .r.control = -1 };
	struct vmm_guest_conf conf;
	uint64_t seen;
	int rc;

	conf_plain(&conf);
	rc = rig_start(&b.r, 1, ",event_idx", NULL);
	if (rc == 0)
		rc = driver_open(&b.d, b.r.sockets[0], &conf);
	CHECK(rc == 0);
	if (rc == 0) {
		rows[i].run(&b);
		seen = rig_count(&b.r, 0, "violations");
		CHECK(seen == rows[i].violations);
		if (seen != rows[i].violations)
			fprintf(stderr, "%s: %s\n", rows[i].story, rig_ask(&b.r, "stats"));
	}
	driver_close(&b.d);
	CHECK(rig_end(&b.r) == 0);
}

/* Rings that no driver may make */

struct bad {
	const char *story, *options;
	struct vring_desc desc;
	bool jump;              /* the available index runs away */
	uint64_t refused;
	const char *name;
};

static const struct bad bads[] = {
	{ "outside of memory", "", { 1ULL << 45, 100, 0, 0 }, false, 1, "queue 1: range" },
	{ "across the end of memory", "", { UINT64_MAX - 50, 100, 0, 0 }, false, 1,
	  "queue 1: range" },
	{ "nothing in it", "", { 0x1000, 0, 0, 0 }, false, 0, "queue 1: zero" },
	{ "a loop", "", { 0x1000, 8, VRING_DESC_F_NEXT, 0 }, false, 0, "queue 1: loop" },
	{ "next out of the table", "", { 0x1000, 8, VRING_DESC_F_NEXT, 999 }, false, 0,
	  "queue 1: head" },
	{ "indirect, not negotiated", "", { 0x1000, 16, VRING_DESC_F_INDIRECT, 0 }, false, 0,
	  "queue 1: indirect" },
	{ "shorter than a header", "", { 0x1000, 5, 0, 0 }, false, 0,
	  "queue 1: a frame of 5 bytes" },
	{ "index runs away", "", { 0x1000, 60, 0, 0 }, true, 0, "queue 1: index" },
};

static void
bad_run(const struct bad *row)
{
	struct bench b = { .r.control = -1 };
	struct vmm_guest_conf conf;
	struct vmm_ring *r;
	const char *text;
	uint16_t head = 0, idx;
	int rc;

	conf_plain(&conf);
	conf.event_idx = false;
	conf.shadow = false;
	rc = rig_start(&b.r, 1, row->options, NULL);
	if (rc == 0)
		rc = driver_open(&b.d, b.r.sockets[0], &conf);
	if (rc == 0)
		rc = driver_start(&b.d);
	CHECK(rc == 0);
	if (rc == 0) {
		r = b.d.g->queues[1].ring;
		idx = row->jump ? 1000 : 1;
		vmm_mem_write(b.d.g->mem, r->addr.desc, &row->desc, sizeof(row->desc));
		vmm_mem_write(b.d.g->mem, r->addr.avail + 4, &head, sizeof(head));
		vmm_mem_write(b.d.g->mem, r->addr.avail + 2, &idx, sizeof(idx));
		client_write(&b.d.c, &b.d.c.notify, b.d.c.notify.step, 1, 2);
		for (int ms = 0; ms < 1000 && (driver_status(&b.d) & S(NEEDS_RESET)) == 0; ms++)
			usleep(1000);
		CHECK((driver_status(&b.d) & S(NEEDS_RESET)) != 0);
		CHECK(rig_count(&b.r, 0, "refused_dma") == row->refused);
		text = strstr(rig_ask(&b.r, "stats"), "\"failed\":\"");
		CHECK(text != NULL && strncmp(text + 10, row->name, strlen(row->name)) == 0);
		CHECK(driver_stop(&b.d) == 0);
		CHECK(vmm_guest_reboot(b.d.g) == 0 && driver_start(&b.d) == 0);
	}
	driver_close(&b.d);
	CHECK(rig_end(&b.r) == 0);
}

/* Memory whose file is cut off: a device that has its pages pinned goes on, and so do all others. */
static void
memory_vanishes(void)
{
	struct rig r = { .control = -1 };
	struct driver d[2] = { { .c.fd = -1 }, { .c.fd = -1 } };
	struct vmm_guest_conf conf;

	conf_plain(&conf);
	conf.shadow = false;
	CHECK(rig_start(&r, 2, ",event_idx", NULL) == 0);
	CHECK(pair_open(d, &r, &conf) == 0);
	CHECK(ftruncate(d[0].g->mem->regions[0].fd, 0) == 0);
	client_write(&d[0].c, &d[0].c.notify, d[0].c.notify.step, 1, 2);
	CHECK(driver_status(&d[0]) != 0xff);
	CHECK((driver_status(&d[1]) & (S(NEEDS_RESET) | S(DRIVER_OK))) == S(DRIVER_OK));
	CHECK(driver_stop(&d[0]) == 0);
	pair_close(d);
	CHECK(rig_end(&r) == 0);
}

void
stories_strict(void)
{
	memory_vanishes();
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		row_run(i);
	for (unsigned int i = 0; i < sizeof(bads) / sizeof(bads[0]); i++)
		bad_run(&bads[i]);
}
