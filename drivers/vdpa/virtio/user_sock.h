/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VDPA_VIRTIO_USER_SOCK_H
#define VDPA_VIRTIO_USER_SOCK_H

/**
 * @file
 * Messages to a vfio-user server: one request and its reply at a time, within a deadline.
 *
 * Life     opened by bus_user_open(), closed by its bus.  A server that breaks the protocol, that
 *          does not answer in time or that hangs up is gone for good.
 * Threads  calls are serialised by a lock in here
 * Units    bytes
 * Source   vfio-user specification, "Header", "VFIO_USER_VERSION"
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum user_command {
	USER_VERSION = 1,
	USER_DMA_MAP = 2,
	USER_DMA_UNMAP = 3,
	USER_GET_INFO = 4,
	USER_GET_REGION_INFO = 5,
	USER_GET_REGION_IO_FDS = 6,
	USER_GET_IRQ_INFO = 7,
	USER_SET_IRQS = 8,
	USER_REGION_READ = 9,
	USER_REGION_WRITE = 10,
	USER_DEVICE_RESET = 13,
};

/** Most file descriptors in one reply. */
#define USER_FDS_MAX 128

struct user_sock {
	int fd;
	int gone_fd;            /**< readable once the server has hung up */
	pthread_mutex_t lock;
	uint16_t id;            /**< of the last request */
	atomic_bool gone;
	uint32_t fds_max;       /**< what the server takes in one message */
};

/** One request and the room for its reply. */
struct user_call {
	enum user_command command;
	const void *req;
	uint32_t req_len;
	const void *data;       /**< follows the request */
	uint32_t data_len;
	const int *fds;
	uint32_t n_fds;
	void *reply;
	uint32_t reply_size;
	uint32_t reply_len;     /**< out: bytes of the reply */
	int *reply_fds;         /**< room for USER_FDS_MAX, the caller's then; NULL: none is wanted */
	uint32_t n_reply_fds;   /**< out */
};

/** Connects and agrees on a version.  @return 0; -errno of connect(); -EPROTO; -ETIMEDOUT */
int user_sock_open(struct user_sock *s, const char *path);

/**
 * Sends a request and waits for its reply.
 *
 * @return  0; the server's own error, negative; -EPROTO: a reply that does not fit the request;
 *          -ETIMEDOUT; -ENODEV: gone; after the last three the server is gone
 */
int user_sock_call(struct user_sock *s, struct user_call *call);

/** Hangs up.  Allowed for one that was never opened but is all zeroes with fds of -1. */
void user_sock_close(struct user_sock *s);

#endif
