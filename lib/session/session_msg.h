/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_SESSION_MSG_H
#define FERRY_SESSION_MSG_H

/*
 * A vhost-user message as librte_vhost hands it to the hooks.  The library keeps the declaration
 * to itself, so this is our copy of its layout; the asserts below hold it to the release that it
 * was taken from.
 */

#include <rte_common.h>
#include <rte_version.h>

#include <linux/vhost_types.h>

#include <stddef.h>
#include <stdint.h>

/* Requests that a front-end of a network port may send; what is not named here is refused. */
enum vhu_request {
	VHU_GET_FEATURES = 1,
	VHU_SET_FEATURES = 2,
	VHU_SET_OWNER = 3,
	VHU_RESET_OWNER = 4,
	VHU_SET_MEM_TABLE = 5,
	VHU_SET_LOG_BASE = 6,
	VHU_SET_VRING_NUM = 8,
	VHU_SET_VRING_ADDR = 9,
	VHU_SET_VRING_BASE = 10,
	VHU_GET_VRING_BASE = 11,
	VHU_SET_VRING_KICK = 12,
	VHU_SET_VRING_CALL = 13,
	VHU_SET_VRING_ERR = 14,
	VHU_GET_PROTOCOL_FEATURES = 15,
	VHU_SET_PROTOCOL_FEATURES = 16,
	VHU_GET_QUEUE_NUM = 17,
	VHU_SET_VRING_ENABLE = 18,
	VHU_SEND_RARP = 19,
	VHU_NET_SET_MTU = 20,
	VHU_SET_STATUS = 39,
	VHU_GET_STATUS = 40,
	VHU_REQUESTS
};

#define VHU_VERSION_MASK 0x3u
#define VHU_VERSION      0x1u
#define VHU_REPLY        0x4u

/* SET_VRING_KICK, _CALL and _ERR carry the ring in a u64. */
#define VHU_RING_MASK 0xffu
#define VHU_RING_NOFD 0x100u

#define VHU_FDS_MAX 8

/* Packed, because the payload starts at 12. */
struct vhu_region {
	uint64_t gpa;
	uint64_t size;
	uint64_t uva;
	uint64_t mmap_offset;
} __rte_packed;

struct vhu_memory {
	uint32_t n_regions;
	uint32_t padding;
	struct vhu_region regions[VHU_FDS_MAX];
} __rte_packed;

struct vhu_log {
	uint64_t size;
	uint64_t offset;
} __rte_packed;

struct vhu_msg_context {
	uint32_t request;
	uint32_t flags;
	uint32_t size; /* of the payload; bytes beyond it are garbage */
	union {
		uint64_t u64;
		struct vhost_vring_state state;
		struct vhost_vring_addr addr;
		struct vhu_memory memory;
		struct vhu_log log;
		uint8_t largest[632];
	} payload;
	int fds[VHU_FDS_MAX];
	int fd_num;
} __rte_packed;

_Static_assert(RTE_VERSION >= RTE_VERSION_NUM(22, 11, 0, 0) &&
	       RTE_VERSION < RTE_VERSION_NUM(23, 3, 0, 0),
	       "compare struct vhu_msg_context with lib/vhost/vhost_user.h of this DPDK");
_Static_assert(offsetof(struct vhu_msg_context, payload) == 12, "payload");
_Static_assert(offsetof(struct vhu_msg_context, fds) == 644, "fds");
_Static_assert(offsetof(struct vhu_msg_context, fd_num) == 676, "fd_num");
_Static_assert(sizeof(struct vhu_msg_context) == 680, "size");

#endif
