/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VDEV_MODEL_CLIENT_H
#define VDEV_MODEL_CLIENT_H

/**
 * @file
 * The self test's other side: a vfio-user client, and a driver of a virtio network device over it
 * whose rings and frames are those of a vmm_guest, with all its oracles.
 *
 * Life     one per device; driver_open(), (driver_start(), driver_stop())*, driver_close().
 * Threads  one; every answer is waited for, at most CLIENT_WAIT_S.
 * Units    none.
 * Source   QEMU, docs/interop/vfio-user; virtio 1.2 clauses 3.1 and 4.1, the driver's halves.
 */

#include "proto.h"
#include "vmm.h"

#define CLIENT_WAIT_S  20
#define CLIENT_FDS_MAX 64

/** Where a virtio capability says that something is. */
struct cap {
	uint8_t bar;
	uint32_t offset, length, step;
};

struct client {
	int fd;
	uint16_t id;
	struct cap common, isr, config, notify, vendor;
};

/** A message as it is sent, and its answer. */
struct exchange {
	uint16_t command;
	const void *head;
	uint32_t head_len;
	const void *data;
	uint32_t data_len;
	const int *fds;
	unsigned int n_fds;
	uint8_t answer[4096];
	uint32_t answer_len;
	int answer_fds[CLIENT_FDS_MAX];
	unsigned int n_answer_fds;
};

/** Connects and says VERSION.  @return 0; -errno */
int client_open(struct client *c, const char *path);
void client_close(struct client *c);

/** One command.  @return 0; -errno: as the server says, -ECONNRESET, -ETIMEDOUT */
int client_call(struct client *c, struct exchange *x);

/** Reads the capabilities.  @return 0; -errno; -ENOENT: one that has to be there is not */
int client_caps(struct client *c);

/** One access to a register.  Reads as all ones when it fails. */
uint64_t client_read(struct client *c, const struct cap *cap, uint32_t offset, uint32_t len);
void client_write(struct client *c, const struct cap *cap, uint32_t offset, uint64_t value,
		  uint32_t len);

/** An access as bytes of a region.  @return as client_call() */
int client_region(struct client *c, bool write, uint32_t region, uint64_t offset, void *bytes,
		  uint32_t len);

int client_map(struct client *c, int fd, uint64_t offset, uint64_t iova, uint64_t size);
int client_unmap(struct client *c, uint64_t iova, uint64_t size);

/** MSI-X vectors from `first` on; n 0: all of them off.  @return as client_call() */
int client_irqs(struct client *c, unsigned int first, const int *fds, unsigned int n);

/** The doorbells that the server gives away.  @return how many; -errno */
int client_doorbells(struct client *c, int *fds, unsigned int max);

/* The driver */

#define DRIVER_QUEUES_MAX 33

struct driver {
	struct client c;
	struct vmm_guest *g;
	struct vmm_ring *ctrl;
	uint64_t ctrl_buf;
	struct vmm_fault fault;
	uint64_t offered, features;
	uint64_t features_more;         /* to take besides those of a guest */
	int doorbells[DRIVER_QUEUES_MAX];
	int n_doorbells;
	unsigned int n_queues;          /* of the device */
	int config_fd;
	bool at_position;               /* by the vendor's capability, rings start where they are */
	uint64_t window;                /* most frames of it on their way; 0: any number */
	bool by_register;               /* doorbells are written as registers */
};

/** Connects and looks around.  @return 0; -errno */
int driver_open(struct driver *d, const char *path, const struct vmm_guest_conf *conf);
void driver_close(struct driver *d);

/** From reset to DRIVER_OK.  @return 0; -errno; -EPROTO: the device does not agree */
int driver_start(struct driver *d);

/** Writes 0 to the status, waits until 0 is read.  @return 0; -ETIMEDOUT */
int driver_stop(struct driver *d);

/** Makes memory unreachable, as a driver does before it gives it back. */
int driver_unmap(struct driver *d);

/** A command on the control queue.  @return VIRTIO_NET_OK, VIRTIO_NET_ERR; -ETIMEDOUT */
int driver_command(struct driver *d, uint8_t class, uint8_t cmd, const void *data, uint32_t len);

uint8_t driver_status(struct driver *d);

#endif
