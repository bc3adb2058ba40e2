/* SPDX-License-Identifier: BSD-3-Clause */
#include "user_sock.h"

#include "bus.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define FLAG_TYPE  0xf
#define FLAG_REPLY 0x1
#define FLAG_ERROR 0x20

#define VERSION_MAJOR 0
#define VERSION_MINOR 1

struct header {
	uint16_t id;
	uint16_t command;
	uint32_t size;
	uint32_t flags;
	uint32_t error;
};

struct version {
	uint16_t major;
	uint16_t minor;
};

static uint64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int
wait_for(int fd, short events, uint64_t deadline)
{
	for (;;) {
		struct pollfd p = { .fd = fd, .events = events };
		uint64_t now = now_ms();
		int n = now < deadline ? poll(&p, 1, (int)(deadline - now)) : 0;

		if (n > 0)
			return 0;
		if (n == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

/* What of `iov` is left after `n` bytes have gone. */
static void
iov_advance(struct msghdr *msg, size_t n)
{
	while (msg->msg_iovlen > 0 && n >= msg->msg_iov->iov_len) {
		n -= msg->msg_iov->iov_len;
		msg->msg_iov++;
		msg->msg_iovlen--;
	}
	if (n > 0) {
		msg->msg_iov->iov_base = (char *)msg->msg_iov->iov_base + n;
		msg->msg_iov->iov_len -= n;
	}
}

static int
send_all(int fd, struct msghdr *msg, uint64_t deadline)
{
	iov_advance(msg, 0);
	while (msg->msg_iovlen > 0) {
		ssize_t n = sendmsg(fd, msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		int rc;

		if (n >= 0) {
			msg->msg_control = NULL;        /* they went with the first byte */
			msg->msg_controllen = 0;
			iov_advance(msg, (size_t)n);
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return -ENODEV;
		rc = wait_for(fd, POLLOUT, deadline);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int
send_request(struct user_sock *s, const struct user_call *call, uint64_t deadline)
{
	char control[CMSG_SPACE(USER_FDS_MAX * sizeof(int))];
	struct header h = {
		.id = ++s->id,
		.command = (uint16_t)call->command,
		.size = (uint32_t)sizeof(h) + call->req_len + call->data_len,
	};
	struct iovec iov[] = {
		{ &h, sizeof(h) },
		{ (void *)(uintptr_t)call->req, call->req_len },
		{ (void *)(uintptr_t)call->data, call->data_len },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 3 };

	if (call->n_fds > 0) {
		struct cmsghdr *c = (struct cmsghdr *)control;

		*c = (struct cmsghdr){
			.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
			.cmsg_len = CMSG_LEN(call->n_fds * sizeof(int)),
		};
		memcpy(CMSG_DATA(c), call->fds, call->n_fds * sizeof(int));
		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(call->n_fds * sizeof(int));
	}
	return send_all(s->fd, &msg, deadline);
}

static void
close_all(const int *fds, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		close(fds[i]);
}

/* Hands the descriptors of a message to the call, or closes them. */
static void
take_fds(struct msghdr *msg, struct user_call *call)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		int fds[USER_FDS_MAX];
		uint32_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (uint32_t)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(c), n * sizeof(int));
		if (call->reply_fds == NULL || call->n_reply_fds + n > USER_FDS_MAX) {
			close_all(fds, n);
			continue;
		}
		memcpy(call->reply_fds + call->n_reply_fds, fds, n * sizeof(int));
		call->n_reply_fds += n;
	}
}

static int
recv_exact(struct user_sock *s, struct user_call *call, void *buf, size_t len, uint64_t deadline)
{
	char control[CMSG_SPACE(USER_FDS_MAX * sizeof(int))];

	while (len > 0) {
		struct iovec iov = { buf, len };
		struct msghdr msg = {
			.msg_iov = &iov, .msg_iovlen = 1,
			.msg_control = control, .msg_controllen = sizeof(control),
		};
		ssize_t n = recvmsg(s->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		int rc;

		if (n > 0) {
			take_fds(&msg, call);
			buf = (char *)buf + n;
			len -= (size_t)n;
			continue;
		}
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			return -ENODEV;
		rc = wait_for(s->fd, POLLIN, deadline);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int
recv_reply(struct user_sock *s, struct user_call *call, uint64_t deadline, int *error)
{
	struct header h;
	int rc = recv_exact(s, call, &h, sizeof(h), deadline);

	if (rc < 0)
		return rc;
	if ((h.flags & FLAG_TYPE) != FLAG_REPLY || h.id != s->id || h.command != call->command)
		return -EPROTO;
	if (h.size < sizeof(h) || h.size - sizeof(h) > call->reply_size)
		return -EPROTO;
	call->reply_len = h.size - (uint32_t)sizeof(h);
	rc = recv_exact(s, call, call->reply, call->reply_len, deadline);
	if (rc == 0 && (h.flags & FLAG_ERROR) != 0)
		*error = h.error > 0 && h.error < 4096 ? -(int)h.error : -EIO;
	return rc;
}

int
user_sock_call(struct user_sock *s, struct user_call *call)
{
	uint64_t deadline = now_ms() + BUS_TIMEOUT_MS;
	int error = 0;
	int rc = -ENODEV;

	call->n_reply_fds = 0;
	pthread_mutex_lock(&s->lock);
	if (!atomic_load(&s->gone)) {
		rc = send_request(s, call, deadline);
		if (rc == 0)
			rc = recv_reply(s, call, deadline, &error);
		if (rc < 0) {
			/* A late reply could be taken for another's, so nothing more is asked. */
			atomic_store(&s->gone, true);
			shutdown(s->fd, SHUT_RDWR);
		}
	}
	pthread_mutex_unlock(&s->lock);
	if (rc == 0)
		rc = error;
	if (rc < 0) {
		close_all(call->reply_fds, call->n_reply_fds);
		call->n_reply_fds = 0;
	}
	return rc;
}

static int
connect_to(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd, rc;

	if (strlen(path) >= sizeof(a.sun_path))
		return -ENAMETOOLONG;
	strcpy(a.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	rc = connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 ? 0 : -errno;
	if (rc < 0) {
		close(fd);
		return rc;
	}
	return fd;
}

/* Replies make the socket readable too; that somebody has hung up is told by an epoll on it. */
static int
gone_fd_of(int fd)
{
	struct epoll_event ev = { .events = EPOLLRDHUP };
	int ep = epoll_create1(EPOLL_CLOEXEC);

	if (ep < 0)
		return -errno;
	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) < 0) {
		int rc = -errno;

		close(ep);
		return rc;
	}
	return ep;
}

/* The one capability that this client obeys. */
static uint32_t
fds_max_of(const char *json)
{
	static const char word[] = "\"max_msg_fds\"";
	const char *p = strstr(json, word);
	unsigned long n;

	if (p == NULL)
		return 1;
	p += strlen(word);
	n = strtoul(p + strspn(p, " \t\n:"), NULL, 10);
	if (n < 1)
		return 1;
	return n < USER_FDS_MAX ? (uint32_t)n : USER_FDS_MAX;
}

static int
agree(struct user_sock *s)
{
	const struct version v = { VERSION_MAJOR, VERSION_MINOR };
	char json[64];
	struct {
		struct version v;
		char json[1024];
	} reply = { 0 };
	int n = snprintf(json, sizeof(json), "{\"capabilities\":{\"max_msg_fds\":%d}}", USER_FDS_MAX);
	struct user_call call = {
		.command = USER_VERSION, .req = &v, .req_len = sizeof(v),
		.data = json, .data_len = (uint32_t)n + 1,
		.reply = &reply, .reply_size = sizeof(reply) - 1,
	};
	int rc = user_sock_call(s, &call);

	if (rc < 0)
		return rc;
	if (call.reply_len < sizeof(v) || reply.v.major != v.major || reply.v.minor > v.minor)
		return -EPROTO;
	s->fds_max = fds_max_of(reply.json);
	return 0;
}

int
user_sock_open(struct user_sock *s, const char *path)
{
	pthread_mutex_init(&s->lock, NULL);
	s->gone_fd = -1;
	s->fd = connect_to(path);
	if (s->fd < 0)
		return s->fd;
	s->gone_fd = gone_fd_of(s->fd);
	return s->gone_fd < 0 ? s->gone_fd : agree(s);
}

void
user_sock_close(struct user_sock *s)
{
	if (s->gone_fd >= 0)
		close(s->gone_fd);
	if (s->fd >= 0)
		close(s->fd);
	s->fd = s->gone_fd = -1;
}
