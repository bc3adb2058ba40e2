/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VDEV_MODEL_SERVER_H
#define VDEV_MODEL_SERVER_H

/**
 * @file
 * The vfio-user server in front of one device: a socket, one client at a time.
 *
 * A client that says what cannot be understood is cut off; one that goes away leaves the device as
 * it was before it came.  What it may ask for and does wrong is answered with an errno.
 *
 * Life     one per device.
 * Threads  one; nothing waits for the client.
 * Units    bytes.
 * Source   QEMU, docs/interop/vfio-user.
 */

#include "device.h"
#include "proto.h"

#define SERVER_FDS_MAX  64
#define SERVER_BODY_MAX 4096
#define SERVER_ACCESS_MAX 2048   /* bytes of one read or write */

struct server {
	struct device *dev;
	struct watch listen, client;
	union {
		struct vfu_header header;
		uint8_t in[sizeof(struct vfu_header) + SERVER_BODY_MAX];
	};
	uint32_t in_len;                /* of the message that is on its way */
	int fds[SERVER_FDS_MAX];        /* that came with it */
	unsigned int n_fds;
	unsigned int client_fds;        /* most that the client takes with a message */
	bool versioned;
	uint64_t due;                   /* a fault: the message is looked at then; 0: at once */
};

/** A body with room to be answered in place, and the descriptors of both ways. */
struct request {
	uint16_t command;
	uint32_t len;                   /* of the body; of the answer's afterwards */
	uint8_t body[SERVER_BODY_MAX];
	const int *fds;                 /* stay the server's */
	unsigned int n_fds;
	int out_fds[SERVER_FDS_MAX];    /* stay the device's */
	unsigned int n_out_fds;
	unsigned int client_fds;
};

/** Listens on the socket of the device.  @return 0; -errno */
int server_init(struct server *s, struct device *d);
void server_fini(struct server *s);

/** What is due by time, and the removal of the device. */
void server_poll(struct server *s);

/** Runs a command of a client, but VERSION.  @return 0; -errno for the client to read */
int request_run(struct device *d, struct request *q);

#endif
