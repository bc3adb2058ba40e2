/* SPDX-License-Identifier: BSD-3-Clause */
#include "server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SLOW_MS 5

static void client_ready(void *arg);

/* Life */

static void
fds_close(struct server *s)
{
	while (s->n_fds > 0)
		close(s->fds[--s->n_fds]);
}

static void
client_drop(struct server *s)
{
	int fd = s->client.fd;

	fds_close(s);
	s->in_len = 0;
	s->due = 0;
	s->versioned = false;
	s->client_fds = 1;
	loop_forget(&s->client);
	if (fd >= 0)
		close(fd);
	device_release(s->dev);
}

static void
listen_ready(void *arg)
{
	struct server *s = arg;
	int fd = accept4(s->listen.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (s->client.fd >= 0 || loop_watch(&s->client, fd, client_ready, s) < 0)
		close(fd);      /* somebody has the device already */
}

static int
server_listen(struct server *s)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd, rc;

	memcpy(sun.sun_path, s->dev->conf.path, sizeof(sun.sun_path));
	unlink(sun.sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	rc = bind(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0 || listen(fd, 4) < 0 ? -errno :
		loop_watch(&s->listen, fd, listen_ready, s);
	if (rc < 0)
		close(fd);
	return rc;
}

int
server_init(struct server *s, struct device *d)
{
	memset(s, 0, sizeof(*s));
	s->dev = d;
	s->listen.fd = s->client.fd = -1;
	s->client_fds = 1;
	return server_listen(s);
}

static void
listen_end(struct server *s)
{
	int fd = s->listen.fd;

	if (fd < 0)
		return;
	loop_forget(&s->listen);
	close(fd);
	unlink(s->dev->conf.path);
}

void
server_fini(struct server *s)
{
	if (s->dev == NULL)
		return;
	client_drop(s);
	listen_end(s);
}

/* Messages */

/* Returns false when the client does not read what it has asked for. */
static bool
send_all(struct server *s, struct iovec *iov, const int *fds, unsigned int n_fds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * SERVER_FDS_MAX)];
	} control = { 0 };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };
	size_t all = iov[0].iov_len + iov[1].iov_len;
	struct cmsghdr *c;

	if (n_fds > 0) {
		m.msg_control = control.bytes;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * n_fds);
	}
	return sendmsg(s->client.fd, &m, MSG_NOSIGNAL) == (ssize_t)all;
}

static bool
reply(struct server *s, const struct request *q, int rc)
{
	struct vfu_header h = { .id = s->header.id, .command = s->header.command,
				.flags = VFU_REPLY | (rc < 0 ? VFU_ERROR : 0),
				.error = rc < 0 ? (uint32_t)-rc : 0 };
	struct iovec iov[2] = {
		{ .iov_base = &h, .iov_len = sizeof(h) },
		{ .iov_base = (void *)(uintptr_t)q->body, .iov_len = rc < 0 ? 0 : q->len },
	};

	if ((s->header.flags & VFU_NO_REPLY) != 0)
		return true;
	h.size = (uint32_t)(sizeof(h) + iov[1].iov_len);
	return send_all(s, iov, q->out_fds, rc < 0 ? 0 : q->n_out_fds);
}

/* A number of the JSON that comes with VERSION. */
static unsigned long
json_number(const char *json, const char *name, unsigned long otherwise)
{
	const char *at = strstr(json, name);

	at = at == NULL ? NULL : strchr(at, ':');
	return at == NULL ? otherwise : strtoul(at + 1, NULL, 10);
}

static bool
version(struct server *s, struct request *q)
{
	struct vfu_version v;
	unsigned long fds;

	if (q->len < sizeof(v) || q->command != VFU_VERSION)
		return false;
	memcpy(&v, q->body, sizeof(v));
	q->body[q->len < SERVER_BODY_MAX ? q->len : SERVER_BODY_MAX - 1] = '\0';
	if (v.major != VFU_MAJOR)
		return false;
	fds = json_number((const char *)q->body + sizeof(v), "\"max_msg_fds\"", 1);
	s->client_fds = fds > SERVER_FDS_MAX ? SERVER_FDS_MAX : (unsigned int)fds;
	v.minor = v.minor > VFU_MINOR ? VFU_MINOR : v.minor;
	memcpy(q->body, &v, sizeof(v));
	q->len = (uint32_t)sizeof(v) + 1 + (uint32_t)sprintf((char *)q->body + sizeof(v),
		"{\"capabilities\":{\"max_msg_fds\":%d,\"max_data_xfer_size\":%d,"
		"\"max_dma_maps\":%d}}",
		SERVER_FDS_MAX, SERVER_ACCESS_MAX, MAPS_MAX);
	s->versioned = true;
	return reply(s, q, 0);
}

/* Returns false when the connection is of no use any more. */
static bool
message_run(struct server *s)
{
	static struct request q;
	int rc;

	q.command = s->header.command;
	q.len = s->header.size - (uint32_t)sizeof(s->header);
	memcpy(q.body, s->in + sizeof(s->header), q.len);
	q.fds = s->fds;
	q.n_fds = s->n_fds;
	q.n_out_fds = 0;
	q.client_fds = s->client_fds;
	if ((s->header.flags & VFU_TYPE_MASK) != 0)
		return false;
	if (!s->versioned)
		return version(s, &q);
	rc = request_run(s->dev, &q);
	return reply(s, &q, rc);
}

static bool
message_end(struct server *s)
{
	bool ok = message_run(s);

	fds_close(s);
	s->in_len = 0;
	return ok;
}

static bool
fds_take(struct server *s, struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		for (size_t i = 0; c->cmsg_type == SCM_RIGHTS && i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (s->n_fds < SERVER_FDS_MAX)
				s->fds[s->n_fds++] = fd;
			else
				close(fd);
		}
	}
	return (m->msg_flags & MSG_CTRUNC) == 0;
}

/* Reads what has come of one message.  Returns 1: it is whole; 0: not yet; -1: no use. */
static int
message_read(struct server *s)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * SERVER_FDS_MAX)];
	} control;
	uint32_t whole = s->in_len < sizeof(s->header) ? (uint32_t)sizeof(s->header) :
							 s->header.size;
	struct iovec iov = { .iov_base = s->in + s->in_len, .iov_len = whole - s->in_len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes,
			    .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(s->client.fd, &m, MSG_CMSG_CLOEXEC);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	if (n == 0 || !fds_take(s, &m))
		return -1;
	s->in_len += (uint32_t)n;
	if (s->in_len < sizeof(s->header))
		return 0;
	if (s->header.size < sizeof(s->header) || s->header.size > sizeof(s->in))
		return -1;
	return s->in_len == s->header.size;
}

static bool
slow(struct server *s)
{
	uint64_t ms = s->dev->faults.of[FAULT_slow_registers].arg;
	bool reg = s->header.command == VFU_REGION_READ || s->header.command == VFU_REGION_WRITE;

	if (!reg || !fault_on(s->dev, FAULT_slow_registers))
		return false;
	s->due = loop_now_us() + (ms == 0 ? SLOW_MS : ms) * 1000;
	loop_at(s->due);
	return true;
}

/* A header and its body are two reads. */
static void
client_ready(void *arg)
{
	struct server *s = arg;
	int rc = 0;

	if (s->due != 0)
		return;
	for (int i = 0; i < 2 && rc == 0; i++)
		rc = message_read(s);
	if (rc < 0 || (rc > 0 && !slow(s) && !message_end(s)))
		client_drop(s);
}

static void
removal(struct server *s)
{
	bool gone = fault_on(s->dev, FAULT_surprise_removal);
	int rc = 0;

	if (gone && s->listen.fd >= 0) {
		client_drop(s);
		listen_end(s);
	} else if (!gone && s->listen.fd < 0) {
		rc = server_listen(s);
	}
	if (rc < 0)
		fprintf(stderr, "%s: %s\n", s->dev->conf.path, strerror(-rc));
}

void
server_poll(struct server *s)
{
	removal(s);
	if (s->due == 0)
		return;
	if (s->due > loop_now_us()) {
		loop_at(s->due);
		return;
	}
	s->due = 0;
	if (!message_end(s))
		client_drop(s);
}
