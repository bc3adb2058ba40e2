/* SPDX-License-Identifier: BSD-3-Clause */
/* Malice in messages: framing, requests, descriptors where none belong, order. */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "attack.h"

#define CASE(name, body) static int name(struct attack *a) { return body; }

static int
raw(struct attack *a, uint32_t request, uint32_t flags, uint32_t size, const void *body,
    uint32_t body_len)
{
	char bytes[4096];
	struct vmm_header h = { request, flags, size };

	memcpy(bytes, &h, sizeof(h));
	if (body_len > 0)
		memcpy(bytes + sizeof(h), body, body_len);
	return vmm_front_raw(a->g->front, bytes, sizeof(h) + body_len, NULL, 0);
}

static const char zeros[2048];

CASE(request_unknown, raw(a, 9999, 1, 8, zeros, 8))
CASE(request_zero, raw(a, 0, 1, 0, NULL, 0))
CASE(request_max, raw(a, UINT32_MAX, 1, 0, NULL, 0))
CASE(version_bad, raw(a, VMM_GET_FEATURES, 2, 0, NULL, 0))
CASE(flags_reply, raw(a, VMM_GET_FEATURES, 5, 0, NULL, 0))
CASE(size_huge, raw(a, VMM_SET_VRING_NUM, 1, UINT32_MAX, zeros, 8))
CASE(size_over, raw(a, VMM_SET_VRING_NUM, 1, 2000, zeros, 2000))
CASE(size_short, raw(a, VMM_SET_VRING_NUM, 1, 4, zeros, 4))
CASE(size_long, raw(a, VMM_SET_VRING_NUM, 1, 16, zeros, 16))
CASE(size_none, raw(a, VMM_SET_MEM_TABLE, 1, 0, NULL, 0))
CASE(size_ask, raw(a, VMM_GET_FEATURES, 1, 8, zeros, 8))
CASE(half_header, vmm_front_raw(a->g->front, zeros, 6, NULL, 0))
CASE(half_body, raw(a, VMM_SET_VRING_ADDR, 1, 40, zeros, 10))
CASE(half_none, raw(a, VMM_SET_VRING_ADDR, 1, 40, NULL, 0))
CASE(silence, (usleep(300000), a->g->front->fd < 0 ? -ECONNRESET : 0))

static int
noise(struct attack *a)
{
	uint8_t bytes[3000];
	uint32_t rng = a->g->conf.seed + 99;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)vmm_rng(&rng, 256);
	return vmm_front_raw(a->g->front, bytes, sizeof(bytes), NULL, 0);
}

/* Descriptors with a message, `n` times the same eventfd. */
static int
with_fds(struct attack *a, uint32_t request, uint32_t size, unsigned int n)
{
	char bytes[sizeof(struct vmm_header) + 64] = { 0 };
	struct vmm_header h = { request, 1, size };
	int fd = eventfd(0, EFD_CLOEXEC), fds[32], rc;

	memcpy(bytes, &h, sizeof(h));
	for (unsigned int i = 0; i < n; i++)
		fds[i] = fd;
	rc = vmm_front_raw(a->g->front, bytes, sizeof(h) + size, fds, n);
	close(fd);
	return rc;
}

CASE(fds_features, with_fds(a, VMM_SET_FEATURES, 8, 8))
CASE(fds_too_many, with_fds(a, VMM_SET_VRING_KICK, 8, 32))
CASE(fds_two_kicks, with_fds(a, VMM_SET_VRING_KICK, 8, 2))
CASE(fds_none, vmm_front_send(a->g->front, VMM_SET_VRING_KICK, zeros, 8, NULL, 0))

static int
fds_leak(struct attack *a)
{
	int rc = 0;

	for (int i = 0; i < 200 && rc == 0; i++)
		rc = with_fds(a, VMM_GET_FEATURES, 0, 8);
	return rc;
}

/* Ring indexes that do not exist */

static int
index_send(struct attack *a, uint32_t request, uint32_t index)
{
	struct vmm_vring_addr m = { .index = index };
	int fd = eventfd(0, EFD_CLOEXEC), rc;

	if (request == VMM_SET_VRING_ADDR)
		rc = vmm_front_send(a->g->front, request, &m, sizeof(m), NULL, 0);
	else if (request == VMM_SET_VRING_KICK || request == VMM_SET_VRING_CALL)
		rc = vmm_front_send_fd(a->g->front, request, index, fd);
	else
		rc = vmm_front_send_state(a->g->front, request, index, 256);
	close(fd);
	return rc;
}

CASE(index_num, index_send(a, VMM_SET_VRING_NUM, 0x7fffffff))
CASE(index_base, index_send(a, VMM_SET_VRING_BASE, 256))
CASE(index_addr, index_send(a, VMM_SET_VRING_ADDR, 257))
CASE(index_enable, index_send(a, VMM_SET_VRING_ENABLE, 0xffff))
CASE(index_kick, index_send(a, VMM_SET_VRING_KICK, 255))
CASE(index_call, index_send(a, VMM_SET_VRING_CALL, 255))

static int
index_get_base(struct attack *a)
{
	uint32_t base;

	return vmm_front_ask_base(a->g->front, 1000, &base);
}

/* Order and values */

CASE(features_all, vmm_front_send_u64(a->g->front, VMM_SET_FEATURES, UINT64_MAX))
CASE(features_flip, vmm_front_send_u64(a->g->front, VMM_SET_FEATURES,
				       a->g->front->features ^ (1ULL << 34)))
CASE(features_none, vmm_front_send_u64(a->g->front, VMM_SET_FEATURES, 0))
CASE(protocol_all, vmm_front_send_u64(a->g->front, VMM_SET_PROTOCOL_FEATURES, UINT64_MAX))
CASE(enable_wild, vmm_front_send_state(a->g->front, VMM_SET_VRING_ENABLE, 0, 7777))
CASE(owner_again, vmm_front_send(a->g->front, VMM_SET_OWNER, NULL, 0, NULL, 0))
CASE(owner_reset, vmm_front_send(a->g->front, VMM_RESET_OWNER, NULL, 0, NULL, 0))
CASE(mtu_zero, vmm_front_send_u64(a->g->front, VMM_NET_SET_MTU, 0))
CASE(mtu_huge, vmm_front_send_u64(a->g->front, VMM_NET_SET_MTU, UINT64_MAX))
CASE(rarp_early, vmm_front_send_u64(a->g->front, VMM_SEND_RARP, 0xffffffffffff))

static int
base_unstarted(struct attack *a)
{
	uint32_t base;

	return vmm_front_ask_base(a->g->front, 0, &base);
}

static int
log_send(struct attack *a, uint64_t size, uint64_t offset, int fd)
{
	int rc = vmm_front_send_log(a->g->front, fd, size, offset);

	if (fd >= 0)
		close(fd);
	return rc;
}

CASE(log_no_fd, log_send(a, 4096, 0, -1))
CASE(log_fd_small, log_send(a, 1 << 20, 0, memfd_create("log", MFD_CLOEXEC)))
CASE(log_offset, log_send(a, 4096, UINT64_MAX - 4095, memfd_create("log", MFD_CLOEXEC)))

static int
log_then_all(struct attack *a)
{
	/* Logging on, and no log: nothing may be written to the guest, nobody may crash. */
	return vmm_front_send_u64(a->g->front, VMM_SET_FEATURES,
				  a->g->front->features | 1ULL << VMM_F_LOG_ALL);
}

static int
stop_twice(struct attack *a)
{
	uint32_t base;
	int rc = 0;

	for (int i = 0; i < 4 && rc == 0; i++)
		rc = vmm_front_ask_base(a->g->front, (uint32_t)i & 1, &base);
	return rc;
}

static int
kick_reuse(struct attack *a)
{
	int rc = 0;

	/* One eventfd for all there is. */
	for (unsigned int i = 0; i < 4 && rc == 0; i++)
		rc = vmm_front_send_fd(a->g->front, i < 2 ? VMM_SET_VRING_KICK : VMM_SET_VRING_CALL,
				       i & 1, a->g->queues[0].ring->kickfd);
	attack_kick(a, 0);
	return rc;
}

static int
connect_many(struct attack *a)
{
	int rc = 0;

	for (int i = 0; i < 100 && rc == 0; i++)
		rc = vmm_front_connect(a->g->front);
	return rc;
}

#define CON(n, f, w) { .name = n, .run = f, .what = w, .when = WHEN_CONNECTED }
#define NEG(n, f, w) { .name = n, .run = f, .what = w, .when = WHEN_NEGOTIATED }
#define RUN(n, f, w) { .name = n, .run = f, .what = w, .when = WHEN_STARTED }
#define HALF(n, f, w) { .name = n, .run = f, .what = w, .when = WHEN_CONNECTED, .keep = true }

const struct attack_case attack_msg_cases[] = {
	CON("request-unknown", request_unknown, "request 9999"),
	CON("request-zero", request_zero, "request 0"),
	CON("request-max", request_max, "request 0xffffffff"),
	CON("version-bad", version_bad, "protocol version 2"),
	CON("flags-reply", flags_reply, "a request marked as reply"),
	CON("size-huge", size_huge, "size field 0xffffffff"),
	CON("size-over", size_over, "payload larger than any message"),
	CON("size-short", size_short, "payload too short for the request"),
	CON("size-long", size_long, "payload too long for the request"),
	CON("size-none", size_none, "memory table without payload"),
	CON("size-ask", size_ask, "payload where none belongs"),
	CON("noise", noise, "3000 random bytes"),
	HALF("half-header", half_header, "half a header, and silence"),
	HALF("half-body", half_body, "part of a payload, and silence"),
	HALF("half-none", half_none, "a header whose payload never comes"),
	CON("silence", silence, "connect and say nothing"),
	CON("fds-features", fds_features, "eight descriptors with SET_FEATURES"),
	CON("fds-too-many", fds_too_many, "32 descriptors with one message"),
	CON("fds-two-kicks", fds_two_kicks, "two descriptors with SET_VRING_KICK"),
	CON("fds-none", fds_none, "SET_VRING_KICK without its descriptor"),
	CON("fds-leak", fds_leak, "1600 descriptors with questions"),
	CON("connect-many", connect_many, "a hundred connections"),
	NEG("index-num", index_num, "SET_VRING_NUM of ring 0x7fffffff"),
	NEG("index-base", index_base, "SET_VRING_BASE of ring 256"),
	NEG("index-addr", index_addr, "SET_VRING_ADDR of ring 257"),
	NEG("index-enable", index_enable, "SET_VRING_ENABLE of ring 65535"),
	NEG("index-kick", index_kick, "SET_VRING_KICK of ring 255"),
	NEG("index-call", index_call, "SET_VRING_CALL of ring 255"),
	NEG("index-get-base", index_get_base, "GET_VRING_BASE of ring 1000"),
	NEG("features-all", features_all, "all features, offered or not"),
	NEG("protocol-all", protocol_all, "all protocol features, offered or not"),
	NEG("base-unstarted", base_unstarted, "GET_VRING_BASE before any start"),
	NEG("rarp-early", rarp_early, "SEND_RARP of ff:ff:ff:ff:ff:ff before any start"),
	NEG("mtu-zero", mtu_zero, "MTU 0"),
	NEG("mtu-huge", mtu_huge, "MTU 2^64 - 1"),
	NEG("log-no-fd", log_no_fd, "SET_LOG_BASE without a descriptor"),
	NEG("log-fd-small", log_fd_small, "log file smaller than the log"),
	NEG("log-offset", log_offset, "log offset near 2^64"),
	RUN("features-flip", features_flip, "ring format changed while running"),
	RUN("features-none", features_none, "features 0 while running"),
	RUN("log-then-all", log_then_all, "LOG_ALL without a log"),
	RUN("enable-wild", enable_wild, "ENABLE with 7777"),
	RUN("owner-again", owner_again, "SET_OWNER while running"),
	RUN("owner-reset", owner_reset, "RESET_OWNER while running"),
	RUN("stop-twice", stop_twice, "GET_VRING_BASE twice for each ring"),
	RUN("kick-reuse", kick_reuse, "one eventfd for every kick and call"),
};

const unsigned int n_attack_msg_cases = sizeof(attack_msg_cases) / sizeof(attack_msg_cases[0]);
