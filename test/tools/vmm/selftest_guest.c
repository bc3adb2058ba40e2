/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A whole guest, against a backend of some lines in a thread: it only answers messages.  The
 * device's side of the rings is played by the test, in the memory that both share.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "refdev.h"
#include "selftest.h"
#include "vmm.h"

#define FEATURES_ALL (~(1ULL << VMM_F_LOG_ALL))

/* The backend */

struct backend {
	char path[108];
	int listen_fd;
	pthread_t thread;
	struct refdev *devs;    /* by ring, for GET_VRING_BASE */
	uint32_t base_error;    /* added to every base */
};

static int
backend_listen(struct backend *b)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	snprintf(b->path, sizeof(b->path), "vmm-selftest-%d.sock", (int)getpid());
	memcpy(sun.sun_path, b->path, sizeof(sun.sun_path));
	unlink(b->path);
	b->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (b->listen_fd < 0 || bind(b->listen_fd, (struct sockaddr *)&sun, sizeof(sun)) < 0 ||
	    listen(b->listen_fd, 1) < 0)
		return -errno;
	return 0;
}

/* Reads a message and lets go of descriptors that came with it.  Returns false at the end. */
static bool
message_read(int fd, struct vmm_header *h, uint64_t payload[64])
{
	char control[512];
	struct iovec iov = { .iov_base = h, .iov_len = sizeof(*h) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c;
	int fds[8];

	if (recvmsg(fd, &m, MSG_WAITALL | MSG_CMSG_CLOEXEC) != sizeof(*h))
		return false;
	for (c = CMSG_FIRSTHDR(&m); c != NULL; c = CMSG_NXTHDR(&m, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		memcpy(fds, CMSG_DATA(c), n * sizeof(int));
		while (n > 0)
			close(fds[--n]);
	}
	return h->size == 0 || recv(fd, payload, h->size, MSG_WAITALL) == (ssize_t)h->size;
}

/* What the backend answers; false: nothing, but perhaps an acknowledgement. */
static bool
message_answer(const struct backend *b, const struct vmm_header *h, uint64_t *payload)
{
	uint32_t *state = (uint32_t *)payload;

	switch (h->request) {
	case VMM_GET_FEATURES:
		*payload = FEATURES_ALL;
		return true;
	case VMM_GET_PROTOCOL_FEATURES:
		*payload = VMM_PROTO_MQ | VMM_PROTO_REPLY_ACK;
		return true;
	case VMM_GET_QUEUE_NUM:
		*payload = 4;
		return true;
	case VMM_GET_VRING_BASE:
		state[1] = refdev_base(&b->devs[state[0]]) + b->base_error;
		return true;
	default:
		*payload = 0;
		return (h->flags & VMM_MSG_NEED_REPLY) != 0;
	}
}

static void *
backend_run(void *arg)
{
	struct backend *b = arg;
	int fd = accept4(b->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	uint64_t payload[64];
	struct vmm_header h;

	while (fd >= 0 && message_read(fd, &h, payload)) {
		if (!message_answer(b, &h, payload))
			continue;
		h.flags = VMM_MSG_VERSION | VMM_MSG_REPLY;
		h.size = sizeof(uint64_t);
		if (send(fd, &h, sizeof(h), MSG_NOSIGNAL) < 0 ||
		    send(fd, payload, h.size, MSG_NOSIGNAL) < 0)
			break;
	}
	if (fd >= 0)
		close(fd);
	return NULL;
}

/* A guest on it */

struct fixture {
	struct backend backend;
	struct vmm_guest *g;
	struct refdev *devs;
	struct vmm_fault fault;
};

static int
fixture_init(struct fixture *f, bool packed, bool mergeable)
{
	struct vmm_guest_conf conf;
	int rc;

	memset(f, 0, sizeof(*f));
	f->devs = calloc(2, sizeof(*f->devs));
	f->backend.devs = f->devs;
	rc = f->devs == NULL ? -ENOMEM : backend_listen(&f->backend);
	if (rc < 0)
		return rc;
	pthread_create(&f->backend.thread, NULL, backend_run, &f->backend);
	vmm_guest_conf_init(&conf);
	conf.path = f->backend.path;
	conf.packed = packed;
	conf.pos = packed ? 1 << 15 : 0;
	conf.mergeable = mergeable;
	conf.shadow = true;
	conf.rx_buf = 512;
	rc = vmm_guest_create(&f->g, &conf, &f->fault);
	if (rc == 0)
		rc = vmm_guest_open(f->g);
	for (unsigned int i = 0; i < 2 && rc == 0; i++)
		refdev_init(&f->devs[i], f->g->queues[i].ring, 1);
	/* The driver has posted its buffers already: the device starts where the driver did. */
	if (rc == 0)
		f->devs[0].avail_idx = f->devs[0].used_idx = 0;
	return rc;
}

static void
fixture_fini(struct fixture *f)
{
	vmm_guest_destroy(f->g);
	pthread_join(f->backend.thread, NULL);
	close(f->backend.listen_fd);
	unlink(f->backend.path);
	free(f->devs);
}

/* What the device does with one frame */

static const struct net_row {
	const char *story;
	bool mergeable, ok;
	uint16_t num_buffers;   /* as the header says */
	uint16_t returned;      /* buffers that are returned */
	uint32_t lens[3];
} net_rows[] = {
	{ "one buffer",                      true,  true,  1, 1, { 100 } },
	{ "three buffers",                   true,  true,  3, 3, { 512, 512, 60 } },
	{ "num_buffers 0",                   true,  false, 0, 1, { 100 } },
	{ "num_buffers beyond the ring",     true,  false, 999, 1, { 100 } },
	{ "second buffer not used",          true,  false, 2, 1, { 512 } },
	{ "first buffer not full",           true,  false, 2, 2, { 511, 60 } },
	{ "middle buffer not full",          true,  false, 3, 3, { 512, 100, 60 } },
	{ "less than a header",              true,  false, 1, 1, { 11 } },
	{ "not mergeable",                   false, true,  1, 1, { 100 } },
	{ "not mergeable, num_buffers 0",    false, false, 0, 1, { 100 } },
};

static int
net_row_run(struct fixture *f, const struct net_row *row)
{
	static uint8_t frame[VMM_FRAME_MAX];
	struct refdev_chain c[3];
	vmm_net_hdr *hdr;
	int rc, expected = -(int)sizeof(*hdr);

	for (int i = 0; i < row->returned; i++) {
		if (!refdev_take(&f->devs[0], &c[i]))
			return -ENOBUFS;
		expected += (int)row->lens[i];
	}
	hdr = vmm_mem_host(f->g->mem, c[0].segs[0].gpa, sizeof(*hdr));
	memset(hdr, 0, sizeof(*hdr));
	hdr->num_buffers = row->num_buffers;
	for (int i = 0; i < row->returned; i++)
		refdev_return(&f->devs[0], &c[i], row->lens[i]);
	rc = vmm_guest_recv(f->g, 0, frame, sizeof(frame), NULL);
	return rc == expected ? 0 : rc < 0 ? rc : -EMSGSIZE;
}

static void
net(bool packed)
{
	for (size_t i = 0; i < sizeof(net_rows) / sizeof(net_rows[0]); i++) {
		const struct net_row *row = &net_rows[i];
		struct fixture f;
		int rc = fixture_init(&f, packed, row->mergeable);

		if (rc == 0)
			rc = net_row_run(&f, row);
		story(packed ? "packed guest" : "split guest", row->story,
		      rc == (row->ok ? 0 : -EPROTO), &f.fault);
		fixture_fini(&f);
	}
}

/* A stop in the middle, and positions that are right or wrong by one */
static void
stops(bool packed, uint32_t base_error)
{
	struct fixture f;
	uint8_t frame[200] = { 0xff };
	int rc = fixture_init(&f, packed, true);

	for (int i = 0; i < 10 && rc == 0; i++)
		rc = vmm_guest_send(f.g, 0, frame, sizeof(frame), NULL);
	if (rc == 0)
		rc = vmm_guest_flush(f.g);
	for (int i = 0; i < 6 && rc == 0; i++) {
		struct refdev_chain c;

		if (!refdev_take(&f.devs[1], &c))
			rc = -ENOBUFS;
		else
			refdev_return(&f.devs[1], &c, 0);
	}
	f.backend.base_error = base_error;
	if (rc == 0)
		rc = vmm_guest_stop(f.g);
	if (rc == 0)
		rc = vmm_guest_settle(f.g);
	story(packed ? "packed stop" : "split stop", base_error ? "base is wrong" : "base is right",
	      rc == (base_error ? -EPROTO : 0) && (base_error || vmm_guest_unsent(f.g) == 4),
	      &f.fault);
	fixture_fini(&f);
}

void
guests(void)
{
	for (int packed = 0; packed < 2; packed++) {
		net(packed);
		stops(packed, 0);
		stops(packed, 1);
	}
}
