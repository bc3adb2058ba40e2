/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VMM_FRONT_H
#define VMM_FRONT_H

/**
 * @file
 * The front-end's side of a vhost-user connection, in QEMU's order of messages or in any other.
 *
 * Life     one per socket; connects again and again.
 * Threads  one at a time.
 * Units    deadlines in milliseconds; every wait has one.
 * Source   the vhost-user specification ("Vhost-user Protocol" in QEMU's documentation).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm_mem.h"

/** Requests of the front-end, by the specification's numbers. */
enum vmm_request {
	VMM_GET_FEATURES = 1,
	VMM_SET_FEATURES = 2,
	VMM_SET_OWNER = 3,
	VMM_RESET_OWNER = 4,
	VMM_SET_MEM_TABLE = 5,
	VMM_SET_LOG_BASE = 6,
	VMM_SET_LOG_FD = 7,
	VMM_SET_VRING_NUM = 8,
	VMM_SET_VRING_ADDR = 9,
	VMM_SET_VRING_BASE = 10,
	VMM_GET_VRING_BASE = 11,
	VMM_SET_VRING_KICK = 12,
	VMM_SET_VRING_CALL = 13,
	VMM_SET_VRING_ERR = 14,
	VMM_GET_PROTOCOL_FEATURES = 15,
	VMM_SET_PROTOCOL_FEATURES = 16,
	VMM_GET_QUEUE_NUM = 17,
	VMM_SET_VRING_ENABLE = 18,
	VMM_SEND_RARP = 19,
	VMM_NET_SET_MTU = 20,
};

/** Protocol features that the front-end takes when they are offered. */
enum {
	VMM_PROTO_MQ = 1 << 0,
	VMM_PROTO_LOG_SHMFD = 1 << 1,
	VMM_PROTO_RARP = 1 << 2,
	VMM_PROTO_REPLY_ACK = 1 << 3,
	VMM_PROTO_NET_MTU = 1 << 4,
};

/** Bits of the header's flags. */
#define VMM_MSG_VERSION 1U
#define VMM_MSG_REPLY 4U
#define VMM_MSG_NEED_REPLY 8U

/** Feature bit that opens protocol features, and the one that switches logging on. */
#define VMM_F_PROTOCOL_FEATURES 30
#define VMM_F_LOG_ALL 26

/** In the flags of SET_VRING_ADDR: writes to the used area are logged. */
#define VMM_VRING_F_LOG 1U

/** In the u64 of KICK, CALL and ERR: no descriptor comes with it. */
#define VMM_NO_FD_BIT (1U << 8)

#define VMM_FDS_MAX 8

/** The 12 bytes before every payload. */
struct vmm_header {
	uint32_t request, flags, size;
};

/** A ring's addresses as SET_VRING_ADDR carries them. */
struct vmm_vring_addr {
	uint32_t index, flags;
	uint64_t desc, used, avail, log;
};

/** Region of a memory table as SET_MEM_TABLE carries it. */
struct vmm_mem_region {
	uint64_t gpa, size, uva, offset;
};

/** Memory table as SET_MEM_TABLE carries it. */
struct vmm_mem_table {
	uint32_t n, padding;
	struct vmm_mem_region regions[VMM_REGIONS_MAX];
};

/** A connection. */
struct vmm_front {
	char path[108];
	bool server;            /* we listen and the backend connects */
	bool impatient;         /* nobody listens: connecting fails at once */
	bool ack_all;           /* ask for an acknowledgement wherever the protocol allows it */
	int fd, listen_fd;
	uint32_t deadline_ms;
	uint64_t offered, features;
	uint64_t protocol;      /* negotiated protocol features */
	uint64_t queue_max;     /* pairs; 1 without MQ */
	struct vmm_fault *fault;
};

/* Life */

/** Opens a front-end; as server it listens at once.  @return 0; -errno of socket, bind, listen */
int vmm_front_create(struct vmm_front **out, const char *path, bool server, uint32_t deadline_ms,
		     struct vmm_fault *fault);
void vmm_front_destroy(struct vmm_front *f);

/** Connects, or waits for the backend to connect.  @return 0; -ETIMEDOUT; -errno */
int vmm_front_connect(struct vmm_front *f);
void vmm_front_disconnect(struct vmm_front *f);

/** True when the backend has closed the connection (nothing is read). */
bool vmm_front_closed(const struct vmm_front *f);

/* Messages */

/**
 * Sends one message and, where an acknowledgement was asked for, waits for it.
 *
 * @return 0; -ETIMEDOUT; -ECONNRESET: the backend closed; -EREMOTEIO: it answered with an error;
 *         -EPROTO: its answer is none
 */
int vmm_front_send(struct vmm_front *f, uint32_t request, const void *payload, uint32_t size,
		   const int *fds, unsigned int n_fds);

/** Sends a message whose payload is one u64. */
int vmm_front_send_u64(struct vmm_front *f, uint32_t request, uint64_t value);

/** Sends a message whose payload is a vring state. */
int vmm_front_send_state(struct vmm_front *f, uint32_t request, uint32_t index, uint32_t num);

/** Sends KICK, CALL or ERR; fd < 0: without descriptor. */
int vmm_front_send_fd(struct vmm_front *f, uint32_t request, uint32_t index, int fd);

/** Asks for a u64.  @return as vmm_front_send() */
int vmm_front_ask_u64(struct vmm_front *f, uint32_t request, uint64_t *value);

/** GET_VRING_BASE.  @return as vmm_front_send() */
int vmm_front_ask_base(struct vmm_front *f, uint32_t index, uint32_t *base);

/** SET_MEM_TABLE from a memory. */
int vmm_front_send_mem(struct vmm_front *f, const struct vmm_mem *mem);

/** SET_LOG_BASE, with its answer.  fd < 0: without descriptor.  @return as vmm_front_send() */
int vmm_front_send_log(struct vmm_front *f, int fd, uint64_t size, uint64_t offset);

/**
 * Sends bytes as they are, for malice: no header is added, nothing is awaited.
 *
 * @return 0; -ECONNRESET; -ETIMEDOUT
 */
int vmm_front_raw(struct vmm_front *f, const void *bytes, size_t len, const int *fds,
		  unsigned int n_fds);

/* Negotiation */

/**
 * Features, protocol features, queue number and owner, in QEMU's order.
 *
 * @param wanted  features to take of those that are offered (SET_FEATURES comes at the start)
 * @return        0; as vmm_front_send()
 */
int vmm_front_negotiate(struct vmm_front *f, uint64_t wanted);

#endif
