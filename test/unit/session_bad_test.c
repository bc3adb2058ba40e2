/* SPDX-License-Identifier: BSD-3-Clause */
#include "session_rig.h"

#include "check.h"
#include "fds.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAGE 4096ULL
#define MB   (1ULL << 20)

/* A message as no good front-end sends it. */
struct bad {
	const char *story;
	const char *reason;     /* part of what the session says */
	uint32_t request;
	uint32_t size;          /* of the payload */
	const char *fds;        /* e eventfd, p pipe, m memfd of 1 MB, r the same for reading only */
	uint32_t flags;         /* besides the version, to be flipped */
	union {
		uint64_t u64;
		uint32_t state[2];
		struct vmm_vring_addr addr;
		struct vmm_mem_table mem;
	};
};

#define REGION(...) .size = 40, .mem = { .n = 1, .regions = { { __VA_ARGS__ } } }

static const struct bad rows[] = {
	{ "no such request", "not supported", 200, 0, "" },
	{ "request zero", "not supported", 0, 0, "" },
	{ "log base, not offered", "not supported", VMM_SET_LOG_BASE, 16, "m", .u64 = MB },
	{ "log descriptor, not offered", "not supported", VMM_SET_LOG_FD, 8, "e" },
	{ "back-end channel, not offered", "not supported", 21, 0, "e" },
	{ "IOTLB", "not supported", 22, 32, "" },
	{ "postcopy", "not supported", 28, 0, "" },
	{ "in-flight", "not supported", 31, 24, "" },
	{ "an answer", "flags", VMM_SET_OWNER, 0, "", .flags = VMM_MSG_REPLY },
	{ "another version", "flags", VMM_SET_OWNER, 0, "", .flags = 3 },
	{ "features that were not offered", "not offered", VMM_SET_FEATURES, 8, "",
	  .u64 = 1ULL << VMM_F_LOG_ALL },
	{ "protocol features that were not offered", "not offered", VMM_SET_PROTOCOL_FEATURES, 8, "",
	  .u64 = VMM_PROTO_LOG_SHMFD },
	{ "descriptor where none belongs", "descriptors", VMM_SET_OWNER, 0, "ee" },
	{ "cut state", "cut", VMM_SET_VRING_NUM, 4, "" },
	{ "cut address", "cut", VMM_SET_VRING_ADDR, 16, "" },
	{ "ring beyond the last, NUM", "ring 2 of 2", VMM_SET_VRING_NUM, 8, "", .state = { 2, 8 } },
	{ "ring beyond the last, BASE", "ring 255", VMM_GET_VRING_BASE, 8, "", .state = { 255 } },
	{ "ring beyond the last, KICK", "ring 3", VMM_SET_VRING_KICK, 8, "e", .u64 = 3 },
	{ "ring beyond the last, ENABLE", "ring 4", VMM_SET_VRING_ENABLE, 8, "", .state = { 4 } },
	{ "kick without descriptor", "0 descriptors", VMM_SET_VRING_KICK, 8, "", .u64 = 0 },
	{ "kick with two", "2 descriptors", VMM_SET_VRING_KICK, 8, "ee", .u64 = 0 },
	{ "kick with one that it says not to have", "1 descriptors", VMM_SET_VRING_KICK, 8, "e",
	  .u64 = VMM_NO_FD_BIT },
	{ "kick with a pipe", "not an eventfd", VMM_SET_VRING_KICK, 8, "p", .u64 = 0 },
	{ "call with a file", "not an eventfd", VMM_SET_VRING_CALL, 8, "m", .u64 = 1 },
	{ "error with a pipe", "not an eventfd", VMM_SET_VRING_ERR, 8, "p", .u64 = 1 },
	{ "no region", "0 memory regions", VMM_SET_MEM_TABLE, 8, "" },
	{ "more regions than there can be", "9 memory regions", VMM_SET_MEM_TABLE, 8, "m",
	  .mem = { .n = 9 } },
	{ "fewer descriptors than regions", "with 0 desc", VMM_SET_MEM_TABLE, .fds = "",
	  REGION(.size = MB) },
	{ "table is cut", "cut", VMM_SET_MEM_TABLE, 20, "m", .mem = { .n = 1 } },
	{ "empty region", "is empty", VMM_SET_MEM_TABLE, .fds = "m", REGION(.uva = MB) },
	{ "guest address wraps", "wraps", VMM_SET_MEM_TABLE, .fds = "m",
	  REGION(.gpa = -PAGE, .size = 2 * PAGE) },
	{ "user address wraps", "wraps", VMM_SET_MEM_TABLE, .fds = "m",
	  REGION(.uva = -PAGE, .size = 2 * PAGE) },
	{ "offset wraps", "wraps", VMM_SET_MEM_TABLE, .fds = "m",
	  REGION(.offset = -PAGE, .size = 2 * PAGE) },
	{ "unaligned offset", "aligned", VMM_SET_MEM_TABLE, .fds = "m",
	  REGION(.size = PAGE, .offset = 8) },
	{ "unaligned guest address", "aligned", VMM_SET_MEM_TABLE, .fds = "m",
	  REGION(.gpa = 1, .size = PAGE) },
	{ "longer than its file", "leaves its file", VMM_SET_MEM_TABLE, .fds = "m",
	  REGION(.size = MB + 1) },
	{ "offset beyond its file", "leaves its file", VMM_SET_MEM_TABLE, .fds = "m",
	  REGION(.size = PAGE, .offset = MB) },
	{ "not a file", "not in a file", VMM_SET_MEM_TABLE, .fds = "p", REGION(.size = PAGE) },
	{ "an eventfd", "not in a file", VMM_SET_MEM_TABLE, .fds = "e", REGION(.size = PAGE) },
	{ "read-only", "reading and writing", VMM_SET_MEM_TABLE, .fds = "r",
	  REGION(.size = PAGE) },
	{ "regions overlap in the guest", "overlaps", VMM_SET_MEM_TABLE, 72, "mm",
	  .mem = { .n = 2, .regions = { { .gpa = 0, .size = MB, .uva = 0 },
					{ .gpa = MB - PAGE, .size = MB, .uva = 16 * MB } } } },
	{ "regions overlap in the front-end", "overlaps", VMM_SET_MEM_TABLE, 72, "mm",
	  .mem = { .n = 2, .regions = { { .gpa = 0, .size = MB, .uva = 0 },
					{ .gpa = 16 * MB, .size = MB, .uva = MB - PAGE } } } },
};

static int
memfd_open(bool read_only)
{
	int fd = memfd_create("bad", MFD_CLOEXEC), ro;
	char path[32];

	CHECK(ftruncate(fd, MB) == 0);
	if (!read_only)
		return fd;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	close(fd);
	return ro;
}

static int
fd_open(char kind)
{
	int pipes[2];

	switch (kind) {
	case 'e':
		return eventfd(0, EFD_CLOEXEC);
	case 'p':
		CHECK(pipe2(pipes, O_CLOEXEC) == 0);
		close(pipes[1]);
		return pipes[0];
	default:
		return memfd_open(kind == 'r');
	}
}

static int
bad_send(struct vmm_front *f, const struct bad *b, uint32_t flags)
{
	struct {
		struct vmm_header header;
		uint8_t payload[sizeof(struct vmm_mem_table)];
	} msg = { { b->request, (VMM_MSG_VERSION ^ b->flags) | flags, b->size }, { 0 } };
	unsigned int n = strlen(b->fds);
	int fds[VMM_FDS_MAX] = { 0 };
	int rc;

	memcpy(msg.payload, &b->u64, b->size);
	for (unsigned int i = 0; i < n; i++)
		fds[i] = fd_open(b->fds[i]);
	rc = vmm_front_raw(f, &msg, sizeof(msg.header) + b->size, fds, n);
	for (unsigned int i = 0; i < n; i++)
		close(fds[i]);
	return rc;
}

/* What the back-end acknowledges with; -errno: nothing within the deadline, or the end. */
static int
ack_read(struct vmm_front *f)
{
	struct pollfd p = { .fd = f->fd, .events = POLLIN };
	struct {
		struct vmm_header header;
		uint64_t value;
	} __attribute__((packed)) ack;
	ssize_t n;

	if (poll(&p, 1, (int)f->deadline_ms) != 1)
		return -ETIMEDOUT;
	n = recv(f->fd, &ack, sizeof(ack), 0);
	return n == sizeof(ack) ? ack.value != 0 : -ECONNRESET;
}

static bool
closed(struct vmm_front *f)
{
	struct pollfd p = { .fd = f->fd, .events = POLLRDHUP };

	return poll(&p, 1, (int)f->deadline_ms) == 1;
}

/* A refusal that is acknowledged leaves everything as it was. */
static void
refused_running(void)
{
	struct rig r;
	struct vmm_guest *g = rig_open_quiet(&r, "bad");
	unsigned int fds = fds_count();

	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		CHECK(bad_send(g->front, &rows[i], VMM_MSG_NEED_REPLY) == 0);
		if (ack_read(g->front) != 1 || fds_count() != fds)
			CHECK_STR(rows[i].story, "accepted, or descriptors are lost", "refused");
		CHECK_STR(rows[i].story, rig_told(&r), "");
	}
	CHECK(rig_wait(&r, SESSION_UP));
	CHECK(vmm_front_send_state(g->front, VMM_SET_VRING_NUM, 0, g->queues[0].ring->conf.size) == 0);
	CHECK_STR("a good message", rig_told(&r), "QR");
	rig_close(&r, g);
}

/* What the library would forget to close is closed with the connection, acknowledged or not. */
static const struct bad forgotten[] = {
	{ "in-flight descriptor", "malformed", 32, 24, "m", .addr = { .used = 1 } },
	{ "ring that cannot be, with a descriptor", "malformed", VMM_SET_VRING_NUM, 8, "e",
	  .u64 = 300 },
};

static void
forgotten_closed(void)
{
	struct vmm_guest *g;
	struct rig r;
	unsigned int fds;

	CHECK(rig_create(&r, "forgotten", false, 1) == 0);
	g = rig_guest(&r, false, 1);
	CHECK(vmm_guest_open(g) == 0);
	CHECK(rig_wait(&r, SESSION_UP));
	fds = fds_count();
	for (size_t i = 0; i < RTE_DIM(forgotten); i++) {
		CHECK(bad_send(g->front, &forgotten[i], VMM_MSG_NEED_REPLY) == 0);
		CHECK(closed(g->front));
		vmm_front_disconnect(g->front);
		CHECK(rig_wait(&r, SESSION_BROKEN));
		CHECK(vmm_guest_open(g) == 0);
		CHECK(rig_wait(&r, SESSION_UP));
		if (fds_count() != fds)
			CHECK_STR(forgotten[i].story, "descriptors are lost", "closed");
	}
	rig_close(&r, g);
}

/* Without acknowledgements the connection ends, and its reason stays to be seen. */
static void
refused_closes(void)
{
	struct session_info info;
	struct vmm_guest *g;
	struct rig r;
	unsigned int fds;

	CHECK(rig_create(&r, "close", false, 1) == 0);
	g = rig_guest(&r, false, 1);
	fds = fds_count();
	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		CHECK(vmm_guest_open(g) == 0);
		CHECK(rig_wait(&r, SESSION_UP));
		CHECK(bad_send(g->front, &rows[i], 0) == 0);
		CHECK(closed(g->front));
		vmm_front_disconnect(g->front);
		CHECK(rig_wait(&r, SESSION_BROKEN));
		rig_info(&r, &info);
		if (strstr(info.reason, rows[i].reason) == NULL)
			CHECK_STR(rows[i].story, info.reason, rows[i].reason);
		CHECK(!info.connected);
	}
	vmm_guest_destroy(g);
	g = rig_guest(&r, false, 1);
	CHECK(rig_fds_settle(fds));
	rig_close(&r, g);
}

/* What a stranger sends to one port must not hold up another. */
static void
stalls_nobody(const void *bytes, size_t len, const char *reason)
{
	struct session_info info;
	struct rig r, other;
	struct vmm_guest *g = rig_open_quiet(&r, "half");
	struct vmm_guest *h;

	CHECK(vmm_front_raw(g->front, bytes, len, NULL, 0) == 0);
	h = rig_open_quiet(&other, "whole");
	CHECK(closed(g->front));
	CHECK(rig_wait(&r, SESSION_BROKEN));
	rig_info(&r, &info);
	if (strstr(info.reason, reason) == NULL)
		CHECK_STR("half a message", info.reason, reason);
	vmm_guest_disconnect(g);
	CHECK(vmm_guest_open(g) == 0);
	CHECK(rig_wait(&r, SESSION_UP));
	rig_close(&other, h);
	rig_close(&r, g);
}

static void
half_a_message(void)
{
	const struct vmm_header cut = { VMM_SET_FEATURES, VMM_MSG_VERSION, 8 };
	const struct vmm_header huge = { VMM_SET_FEATURES, VMM_MSG_VERSION, 1u << 30 };
	const uint8_t half_body[] = { VMM_SET_FEATURES, 0, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0, 1, 2, 3 };

	stalls_nobody(&cut, sizeof(cut), "not sent to its end");
	stalls_nobody(&cut, 5, "not sent to its end");
	stalls_nobody(half_body, sizeof(half_body), "not sent to its end");
	stalls_nobody(&huge, sizeof(huge), "malformed");
}

/*
 * A front-end that listens may have bound its socket relative to its own folder, so that the path
 * of the connection is not the one that the session has.
 */
static void
half_to_a_client(void)
{
	const struct vmm_header cut = { VMM_SET_FEATURES, VMM_MSG_VERSION, 8 };
	struct vmm_front *f;
	struct vmm_guest *h;
	struct rig r, other;
	char before[256];

	CHECK(getcwd(before, sizeof(before)) != NULL && chdir(rig_dir()) == 0);
	CHECK(vmm_front_create(&f, "relative", true, 5000, &rig_fault) == 0);
	CHECK(chdir(before) == 0);
	CHECK(rig_create(&r, "relative", true, 1) == 0);
	CHECK(vmm_front_connect(f) == 0);
	CHECK(vmm_front_raw(f, &cut, sizeof(cut), NULL, 0) == 0);
	h = rig_open_quiet(&other, "beside");
	CHECK(closed(f));
	CHECK(rig_wait_generation(&r, 2)); /* it has connected again by itself */
	vmm_guest_destroy(h);
	rig_destroy(&other);
	rig_destroy(&r);
	CHECK(chdir(rig_dir()) == 0);
	vmm_front_destroy(f);
	CHECK(chdir(before) == 0);
}

/* Questions whose answers nobody reads, until the back-end has enough of them. */
static void
answers_unread(void)
{
	const struct vmm_header question = { VMM_GET_FEATURES, VMM_MSG_VERSION, 0 };
	struct session_info info;
	struct rig r, other;
	struct vmm_guest *g = rig_open_quiet(&r, "deaf");
	struct vmm_guest *h;
	int rc = 0;

	for (uint32_t i = 0; i < 100000 && rc == 0; i++)
		rc = vmm_front_raw(g->front, &question, sizeof(question), NULL, 0);
	CHECK(rc == -ECONNRESET);
	h = rig_open_quiet(&other, "hearing");
	CHECK(rig_wait(&r, SESSION_BROKEN));
	rig_info(&r, &info);
	CHECK_STR("its reason", info.reason, "front-end does not read its answers");
	rig_close(&other, h);
	rig_close(&r, g);
}

void
session_bad_stories(void)
{
	rig_story("refused while running", refused_running);
	rig_story("refused and closed", refused_closes);
	rig_story("forgotten by the library and closed", forgotten_closed);
	rig_story("half a message", half_a_message);
	rig_story("half a message to a client", half_to_a_client);
	rig_story("answers unread", answers_unread);
}
