/* SPDX-License-Identifier: BSD-3-Clause */
#include "vmm_front.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PROTO_WANTED (VMM_PROTO_MQ | VMM_PROTO_LOG_SHMFD | VMM_PROTO_RARP | VMM_PROTO_REPLY_ACK | \
		      VMM_PROTO_NET_MTU)

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* Waits until `fd` is ready for `events`.  Returns 0 or -ETIMEDOUT. */
static int
wait_ready(int fd, short events, int64_t until_ms)
{
	struct pollfd p = { .fd = fd, .events = events };

	for (;;) {
		int64_t left = until_ms - now_ms();
		int n = poll(&p, 1, left > 0 ? (int)left : 0);

		if (n > 0)
			return 0;
		if (n == 0 && left <= 0)
			return -ETIMEDOUT;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

static struct sockaddr_un
address(const struct vmm_front *f)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	memcpy(sun.sun_path, f->path, sizeof(sun.sun_path));
	return sun;
}

static int
front_listen(struct vmm_front *f)
{
	struct sockaddr_un sun = address(f);

	f->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (f->listen_fd < 0)
		return -errno;
	unlink(f->path);
	if (bind(f->listen_fd, (struct sockaddr *)&sun, sizeof(sun)) < 0 ||
	    listen(f->listen_fd, 1) < 0)
		return -errno;
	return 0;
}

int
vmm_front_create(struct vmm_front **out, const char *path, bool server, uint32_t deadline_ms,
		 struct vmm_fault *fault)
{
	struct vmm_front *f = calloc(1, sizeof(*f));
	int rc;

	if (f == NULL)
		return -ENOMEM;
	f->server = server;
	f->fd = f->listen_fd = -1;
	f->deadline_ms = deadline_ms;
	f->fault = fault;
	rc = strlen(path) < sizeof(f->path) ? 0 : -ENAMETOOLONG;
	if (rc == 0)
		strcpy(f->path, path);
	if (rc == 0 && server)
		rc = front_listen(f);
	if (rc < 0) {
		vmm_front_destroy(f);
		return rc;
	}
	*out = f;
	return 0;
}

void
vmm_front_destroy(struct vmm_front *f)
{
	if (f == NULL)
		return;
	vmm_front_disconnect(f);
	if (f->listen_fd >= 0) {
		close(f->listen_fd);
		unlink(f->path);
	}
	free(f);
}

/* A backend that is only starting has no socket yet: try until the deadline. */
static int
client_connect(struct vmm_front *f, int64_t until_ms)
{
	struct sockaddr_un sun = address(f);

	f->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (f->fd < 0)
		return -errno;
	while (connect(f->fd, (struct sockaddr *)&sun, sizeof(sun)) < 0) {
		if ((errno != ENOENT && errno != ECONNREFUSED) || now_ms() >= until_ms)
			return -errno;
		usleep(10000);
	}
	return 0;
}

static int
server_connect(struct vmm_front *f, int64_t until_ms)
{
	int rc = wait_ready(f->listen_fd, POLLIN, until_ms);

	if (rc < 0)
		return rc;
	f->fd = accept4(f->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	return f->fd < 0 ? -errno : 0;
}

int
vmm_front_connect(struct vmm_front *f)
{
	int64_t until_ms = now_ms() + (f->impatient ? 0 : f->deadline_ms);
	int rc;

	vmm_front_disconnect(f);
	/* Not at the disconnect: what is in the rings still has the old features' format. */
	f->offered = f->features = f->protocol = 0;
	f->queue_max = 1;
	rc = f->server ? server_connect(f, until_ms) : client_connect(f, until_ms);
	if (rc < 0)
		vmm_front_disconnect(f);
	return rc;
}

void
vmm_front_disconnect(struct vmm_front *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

bool
vmm_front_closed(const struct vmm_front *f)
{
	struct pollfd p = { .fd = f->fd, .events = POLLRDHUP };

	return f->fd < 0 || (poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLRDHUP | POLLERR)));
}

static ssize_t
send_some(struct vmm_front *f, const void *bytes, size_t len, const int *fds, unsigned int n_fds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * VMM_FDS_MAX * 4)];
	} control;
	struct iovec iov = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c = &control.align;

	if (n_fds > 0) {
		memset(&control, 0, sizeof(control));
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * n_fds);
	}
	return sendmsg(f->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

int
vmm_front_raw(struct vmm_front *f, const void *bytes, size_t len, const int *fds,
	      unsigned int n_fds)
{
	int64_t until_ms = now_ms() + f->deadline_ms;
	const char *at = bytes;

	while (len > 0) {
		int rc = f->fd < 0 ? -ECONNRESET : wait_ready(f->fd, POLLOUT, until_ms);
		ssize_t n;

		if (rc < 0)
			return rc;
		n = send_some(f, at, len, fds, n_fds);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return errno == EPIPE ? -ECONNRESET : -errno;
		if (n <= 0)
			continue;
		at += n;
		len -= (size_t)n;
		n_fds = 0;
	}
	return 0;
}

static int
recv_all(struct vmm_front *f, void *bytes, size_t len, int64_t until_ms)
{
	char *at = bytes;

	while (len > 0) {
		int rc = wait_ready(f->fd, POLLIN, until_ms);
		ssize_t n;

		if (rc < 0)
			return rc;
		n = recv(f->fd, at, len, MSG_DONTWAIT);
		if (n == 0)
			return -ECONNRESET;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (n < 0)
			continue;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

/* The answer to `request`, whose payload must have exactly `size` bytes. */
static int
recv_reply(struct vmm_front *f, uint32_t request, void *payload, uint32_t size)
{
	int64_t until_ms = now_ms() + f->deadline_ms;
	struct vmm_header h;
	int rc = recv_all(f, &h, sizeof(h), until_ms);

	if (rc < 0)
		return rc;
	if (h.request != request || (h.flags & 7) != (VMM_MSG_VERSION | VMM_MSG_REPLY) ||
	    h.size != size)
		return vmm_fault_set(f->fault, "request %u answered by %u, flags 0x%x, size %u",
				     request, h.request, h.flags, h.size);
	return recv_all(f, payload, size, until_ms);
}

static int
send_msg(struct vmm_front *f, uint32_t request, uint32_t flags, const void *payload, uint32_t size,
	 const int *fds, unsigned int n_fds)
{
	char bytes[sizeof(struct vmm_header) + sizeof(struct vmm_mem_table)];
	struct vmm_header h = { request, VMM_MSG_VERSION | flags, size };

	memcpy(bytes, &h, sizeof(h));
	if (size > 0)
		memcpy(bytes + sizeof(h), payload, size);
	return vmm_front_raw(f, bytes, sizeof(h) + size, fds, n_fds);
}

/* The two messages that switch logging on: no write may go unlogged once they are answered. */
static bool
arms_log(uint32_t request, const void *payload)
{
	const struct vmm_vring_addr *addr = payload;
	uint64_t features;

	if (request == VMM_SET_VRING_ADDR)
		return (addr->flags & VMM_VRING_F_LOG) != 0;
	if (request != VMM_SET_FEATURES)
		return false;
	memcpy(&features, payload, sizeof(features));
	return (features >> VMM_F_LOG_ALL & 1) != 0;
}

/* QEMU 7.2 asks for an acknowledgement of these; for others only ack_all does. */
static bool
ack_wanted(const struct vmm_front *f, uint32_t request, const void *payload)
{
	if ((f->protocol & VMM_PROTO_REPLY_ACK) == 0 || request == VMM_SET_LOG_BASE)
		return false;
	return f->ack_all || request == VMM_SET_MEM_TABLE || request == VMM_NET_SET_MTU ||
		arms_log(request, payload);
}

/* SET_LOG_BASE is answered always; whether with a payload the specification leaves open. */
static int
log_reply(struct vmm_front *f)
{
	int64_t until_ms = now_ms() + f->deadline_ms;
	struct vmm_header h;
	uint64_t payload;
	int rc = recv_all(f, &h, sizeof(h), until_ms);

	if (rc < 0)
		return rc;
	if (h.request != VMM_SET_LOG_BASE || h.size > sizeof(payload))
		return vmm_fault_set(f->fault, "SET_LOG_BASE answered by request %u size %u",
				     h.request, h.size);
	return recv_all(f, &payload, h.size, until_ms);
}

int
vmm_front_send(struct vmm_front *f, uint32_t request, const void *payload, uint32_t size,
	       const int *fds, unsigned int n_fds)
{
	bool ack = ack_wanted(f, request, payload);
	uint64_t answer;
	int rc;

	rc = send_msg(f, request, ack ? VMM_MSG_NEED_REPLY : 0, payload, size, fds, n_fds);
	if (rc == 0 && request == VMM_SET_LOG_BASE)
		return log_reply(f);
	if (rc < 0 || !ack)
		return rc;
	rc = recv_reply(f, request, &answer, sizeof(answer));
	if (rc < 0)
		return rc;
	return answer != 0 ? -EREMOTEIO : 0;
}

int
vmm_front_send_u64(struct vmm_front *f, uint32_t request, uint64_t value)
{
	return vmm_front_send(f, request, &value, sizeof(value), NULL, 0);
}

int
vmm_front_send_state(struct vmm_front *f, uint32_t request, uint32_t index, uint32_t num)
{
	uint32_t state[2] = { index, num };

	return vmm_front_send(f, request, state, sizeof(state), NULL, 0);
}

int
vmm_front_send_fd(struct vmm_front *f, uint32_t request, uint32_t index, int fd)
{
	uint64_t value = index | (fd < 0 ? VMM_NO_FD_BIT : 0);

	return vmm_front_send(f, request, &value, sizeof(value), &fd, fd < 0 ? 0 : 1);
}

int
vmm_front_ask_u64(struct vmm_front *f, uint32_t request, uint64_t *value)
{
	int rc = send_msg(f, request, 0, NULL, 0, NULL, 0);

	return rc < 0 ? rc : recv_reply(f, request, value, sizeof(*value));
}

int
vmm_front_ask_base(struct vmm_front *f, uint32_t index, uint32_t *base)
{
	uint32_t state[2] = { index, 0 };
	int rc = send_msg(f, VMM_GET_VRING_BASE, 0, state, sizeof(state), NULL, 0);

	if (rc == 0)
		rc = recv_reply(f, VMM_GET_VRING_BASE, state, sizeof(state));
	if (rc < 0)
		return rc;
	if (state[0] != index)
		return vmm_fault_set(f->fault, "GET_VRING_BASE of ring %u answered for ring %u",
				     index, state[0]);
	*base = state[1];
	return 0;
}

int
vmm_front_send_mem(struct vmm_front *f, const struct vmm_mem *mem)
{
	struct vmm_mem_table table = { .n = mem->n_regions };
	int fds[VMM_REGIONS_MAX];

	for (unsigned int i = 0; i < mem->n_regions; i++) {
		const struct vmm_region *rg = &mem->regions[i];

		table.regions[i] = (struct vmm_mem_region){
			.gpa = rg->gpa,
			.size = rg->size,
			.uva = (uint64_t)(uintptr_t)rg->host,
			.offset = rg->offset,
		};
		fds[i] = rg->fd;
	}
	return vmm_front_send(f, VMM_SET_MEM_TABLE, &table,
			      (uint32_t)(8 + table.n * sizeof(table.regions[0])), fds, table.n);
}

int
vmm_front_send_log(struct vmm_front *f, int fd, uint64_t size, uint64_t offset)
{
	uint64_t body[2] = { size, offset };

	return vmm_front_send(f, VMM_SET_LOG_BASE, body, sizeof(body), &fd, fd < 0 ? 0 : 1);
}

/* Negotiation */

static int
protocol_negotiate(struct vmm_front *f)
{
	uint64_t offered;
	int rc = vmm_front_ask_u64(f, VMM_GET_PROTOCOL_FEATURES, &offered);

	if (rc < 0)
		return rc;
	rc = vmm_front_send_u64(f, VMM_SET_PROTOCOL_FEATURES, offered & PROTO_WANTED);
	if (rc < 0)
		return rc;
	f->protocol = offered & PROTO_WANTED;
	if (f->protocol & VMM_PROTO_MQ)
		rc = vmm_front_ask_u64(f, VMM_GET_QUEUE_NUM, &f->queue_max);
	return rc;
}

int
vmm_front_negotiate(struct vmm_front *f, uint64_t wanted)
{
	int rc = vmm_front_ask_u64(f, VMM_GET_FEATURES, &f->offered);

	if (rc == 0 && (f->offered & 1ULL << VMM_F_PROTOCOL_FEATURES))
		rc = protocol_negotiate(f);
	if (rc == 0)
		rc = vmm_front_send(f, VMM_SET_OWNER, NULL, 0, NULL, 0);
	/* QEMU asks a second time when it sets its device up. */
	if (rc == 0)
		rc = vmm_front_ask_u64(f, VMM_GET_FEATURES, &f->offered);
	if (rc == 0)
		f->features = f->offered & (wanted | 1ULL << VMM_F_PROTOCOL_FEATURES);
	return rc;
}
