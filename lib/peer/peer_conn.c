/* SPDX-License-Identifier: BSD-3-Clause */
#include "peer_impl.h"
#include "clock.h"
#include "log.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <openssl/err.h>

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

LOG_USE(peer);

#define HANDSHAKE_US (5 * 1000 * 1000)  /* TLS and HELLO, both ways */
#define PAUSE_MIN_US (200 * 1000)
#define PAUSE_MAX_US (5 * 1000 * 1000)
#define PING_US      (1000 * 1000)
#define SILENCE_US   (5 * 1000 * 1000)  /* who says nothing for so long is gone */

/* What waits to be sent: nothing goes above the first, no frame above the second; room is told below
 * the third. */
#define OUT_MOST   (2U << 20)
#define OUT_FRAMES (1U << 20)
#define OUT_ROOM   (256U << 10)

/* What has come and was not read yet: the kernel's buffer, and then the sender's, take the rest. */
#define IN_MOST   (256U << 10)
#define IN_HELLO  (PEER_HEAD + PEER_BODY_HELLO)

uint64_t
peer_now_us(void)
{
	return clock_ns() / NS_PER_US;
}

static void
reason_set(struct peer *p, const char *fmt, va_list args)
{
	char reason[sizeof(p->reason)];

	vsnprintf(reason, sizeof(reason), fmt, args);
	if (strcmp(reason, p->reason) != 0 || p->state == PEER_STATE_UP)
		LOG_RL(WARNING, "%s: %s", p->text, reason);
	memcpy(p->reason, reason, sizeof(p->reason));
}

/* The callbacks find no connection any more; libevent frees it, the SSL and the descriptor later. */
static void
connection_end(struct peer *p)
{
	bool was_up = p->state == PEER_STATE_UP;

	if (p->bev != NULL) {
		bufferevent_setcb(p->bev, NULL, NULL, NULL, NULL);
		bufferevent_free(p->bev);
	}
	p->bev = NULL;
	p->secure = p->blocked = false;
	p->state = PEER_STATE_WAITING;
	if (!was_up)
		return;
	atomic_fetch_sub(&p->set->n_up, 1);
	p->set->ops.gone(p->set->arg, p);
}

void
peer_hang_up(struct peer *p, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	reason_set(p, fmt, args);
	va_end(args);
	if (p->state == PEER_STATE_UP)
		p->pause_us = 0;
	connection_end(p);
	if (!p->called) {
		peer_ended(p);
		return;
	}
	p->pause_us = RTE_MAX(2 * p->pause_us, (uint64_t)PAUSE_MIN_US);
	p->pause_us = RTE_MIN(p->pause_us, (uint64_t)PAUSE_MAX_US);
	p->deadline_us = peer_now_us() + p->pause_us;
}

/* hello */

static void
hello_send(struct peer *p)
{
	struct peer_message m = {
		.kind = PEER_HELLO,
		.hello = { .version = PEER_VERSION, .instance = p->set->instance },
	};
	uint8_t bytes[PEER_WIRE_MAX];

	snprintf(m.hello.host, sizeof(m.hello.host), "%s", p->set->host);
	bufferevent_write(p->bev, bytes, peer_wire_encode(&m, bytes));
}

/*
 * With one key for both directions, what we say could be played back to us by somebody who has
 * not got it (RFC 9257, 4.1): an instance does not speak to itself.
 */
static int
hello_handle(struct peer *p, const struct peer_hello *h)
{
	if (h->version != PEER_VERSION) {
		peer_hang_up(p, "speaks version %u of this protocol, not %u", h->version,
			     PEER_VERSION);
		return -EPROTO;
	}
	if (h->instance == p->set->instance) {
		peer_hang_up(p, "is this ferryd itself");
		return -EPROTO;
	}
	p->instance = h->instance;
	memcpy(p->host, h->host, sizeof(p->host));
	p->state = PEER_STATE_UP;
	p->reason[0] = '\0';
	p->pause_us = 0;
	bufferevent_setwatermark(p->bev, EV_READ, 0, IN_MOST);
	atomic_fetch_add(&p->set->n_up, 1);
	LOG_RL(INFO, "%s: up, host %s", p->text, p->host);
	return 0;
}

/* messages */

/* @return 0; 1: it has to wait; -errno: the connection is over, and perhaps the peer */
static int
message_handle(struct peer *p, const struct peer_message *m)
{
	struct peer_set *ps = p->set;

	if ((m->kind == PEER_HELLO) == (p->state == PEER_STATE_UP)) {
		peer_hang_up(p, "says hello twice, or not first");
		return -EPROTO;
	}
	switch (m->kind) {
	case PEER_HELLO:
		return hello_handle(p, &m->hello);
	case PEER_ARRIVED:
		ps->ops.arrived(ps->arg, p, &m->arrived);
		return 0;
	case PEER_FRAME:
		if (!ps->ops.frame(ps->arg, p, &m->frame))
			return 1;
		p->frames_in++;
		return 0;
	case PEER_DONE:
		ps->ops.done(ps->arg, p, &m->done);
		return 0;
	case PEER_PING:
	case PEER_KIND_NONE:
	case PEER_KIND_N:
		break;
	}
	return 0;
}

/* @return 1: more may be there; 0: not now; -errno: the connection is over */
static int
message_read(struct peer *p)
{
	struct evbuffer *in = bufferevent_get_input(p->bev);
	size_t most = p->state == PEER_STATE_UP ? PEER_BODY_MAX : PEER_BODY_HELLO;
	struct peer_message m;
	uint8_t head[PEER_HEAD];
	enum peer_kind kind;
	uint8_t *body;
	int len, rc;

	if (evbuffer_copyout(in, head, sizeof(head)) < (ssize_t)sizeof(head))
		return 0;
	len = peer_wire_head(head, most, &kind);
	if (len < 0) {
		peer_hang_up(p, "sends what is no message");
		return len;
	}
	if (evbuffer_get_length(in) < PEER_HEAD + (size_t)len)
		return 0;
	body = evbuffer_pullup(in, PEER_HEAD + len);
	if (body == NULL || peer_wire_decode(kind, body + PEER_HEAD, (size_t)len, &m) < 0) {
		peer_hang_up(p, "sends a message that is not what it says");
		return -EPROTO;
	}
	rc = message_handle(p, &m);
	if (rc < 0)
		return rc;
	p->blocked = rc > 0;
	if (!p->blocked)
		evbuffer_drain(in, PEER_HEAD + (size_t)len);
	return !p->blocked;
}

static void
messages_read(struct peer *p)
{
	int rc;

	do {
		rc = message_read(p);
	} while (rc > 0);
	/* What stays unread fills the buffer, then the kernel's, then the sender's. */
	if (rc == 0 && p->blocked)
		bufferevent_disable(p->bev, EV_READ);
}

void
peer_read_on(struct peer *p)
{
	if (!p->blocked)
		return;
	bufferevent_enable(p->bev, EV_READ);
	messages_read(p);
}

static void
on_read(struct bufferevent *bev, void *arg)
{
	struct peer *p = arg;

	if (!p->secure)
		return;
	p->seen_us = peer_now_us();
	messages_read(p);
}

static void
on_written(struct bufferevent *bev, void *arg)
{
	struct peer *p = arg;

	if (p->state == PEER_STATE_UP)
		p->set->ops.room(p->set->arg, p);
}

static void
on_secure(struct peer *p)
{
	if (!peer_tls_proven(bufferevent_openssl_get_ssl(p->bev))) {
		peer_hang_up(p, "has not shown that it has the key");
		return;
	}
	p->secure = true;
	hello_send(p);
	on_read(p->bev, p);
}

/* A key that differs shows as a record that nobody can read, or as a handshake without one. */
static void
on_failed(struct peer *p)
{
	unsigned long err = bufferevent_get_openssl_error(p->bev);
	const char *why = err == 0 ? NULL : ERR_reason_error_string(err);
	int sys = EVUTIL_SOCKET_ERROR();

	if (why == NULL && sys != 0 && sys != EAGAIN && sys != EINPROGRESS)
		peer_hang_up(p, "%s", strerror(sys));
	else if (p->secure)
		peer_hang_up(p, "has hung up");
	else
		peer_hang_up(p, "no TLS connection, is the key the same? (%s)",
			     why == NULL ? "it hung up" : why);
	ERR_clear_error();
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	struct peer *p = arg;

	if ((what & BEV_EVENT_CONNECTED) != 0)
		on_secure(p);
	else if ((what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) != 0)
		on_failed(p);
}

/* life */

static int
connection_begin(struct peer *p, int fd, enum bufferevent_ssl_state role)
{
	SSL *ssl = peer_tls_session(&p->set->tls, p->called);

	if (ssl == NULL)
		return -ENOMEM;
	p->bev = bufferevent_openssl_socket_new(loop_base(p->set->loop), fd, ssl, role,
						BEV_OPT_CLOSE_ON_FREE);
	if (p->bev == NULL) {
		SSL_free(ssl);
		return -ENOMEM;
	}
	p->state = PEER_STATE_CONNECTING;
	p->deadline_us = peer_now_us() + HANDSHAKE_US;
	p->instance = 0;
	p->host[0] = '\0';
	bufferevent_setcb(p->bev, on_read, on_written, on_event, p);
	bufferevent_setwatermark(p->bev, EV_READ, 0, IN_HELLO);
	bufferevent_setwatermark(p->bev, EV_WRITE, OUT_ROOM, 0);
	bufferevent_enable(p->bev, EV_READ | EV_WRITE);
	return 0;
}

/* Fails, and changes nothing, where the socket is not one of TCP. */
static void
nodelay_set(int fd)
{
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

/* The socket is ours, so that its connect() does not wait and a failure has one road. */
static int
socket_connect(const struct peer_address *a)
{
	int fd = socket(a->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), rc;

	if (fd < 0)
		return -errno;
	nodelay_set(fd);
	if (connect(fd, (const struct sockaddr *)&a->sa, a->len) == 0 || errno == EINPROGRESS)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

void
peer_call(struct peer *p)
{
	int fd = socket_connect(&p->addr), rc = fd;

	if (fd >= 0)
		rc = connection_begin(p, fd, BUFFEREVENT_SSL_CONNECTING);
	if (rc == 0)
		return;
	if (fd >= 0)
		close(fd);
	peer_hang_up(p, "%s", strerror(-rc));
}

int
peer_answer(struct peer *p, int fd)
{
	nodelay_set(fd);
	return connection_begin(p, fd, BUFFEREVENT_SSL_ACCEPTING);
}

static size_t
waiting(const struct peer *p)
{
	return evbuffer_get_length(bufferevent_get_output(p->bev));
}

static void
keep_alive(struct peer *p, uint64_t now)
{
	const struct peer_message ping = { .kind = PEER_PING };

	if (!p->blocked && now - p->seen_us > SILENCE_US) {
		peer_hang_up(p, "was silent for %d seconds", SILENCE_US / 1000000);
		return;
	}
	if (now - p->told_us >= PING_US)
		peer_send(p, &ping);
}

void
peer_tick(struct peer *p, uint64_t now)
{
	switch (p->state) {
	case PEER_STATE_WAITING:
		if (p->called && now >= p->deadline_us)
			peer_call(p);
		break;
	case PEER_STATE_CONNECTING:
		if (now >= p->deadline_us)
			peer_hang_up(p, "no answer within %d seconds", HANDSHAKE_US / 1000000);
		break;
	case PEER_STATE_UP:
		keep_alive(p, now);
		break;
	case PEER_STATE_N:
		break;
	}
}

int
peer_send(struct peer *p, const struct peer_message *m)
{
	uint8_t bytes[PEER_WIRE_MAX];

	if (p->state != PEER_STATE_UP)
		return -ENOTCONN;
	if (waiting(p) >= (m->kind == PEER_FRAME ? OUT_FRAMES : OUT_MOST))
		return -EAGAIN;
	bufferevent_write(p->bev, bytes, peer_wire_encode(m, bytes));
	p->told_us = peer_now_us();
	if (m->kind == PEER_FRAME) {
		bufferevent_write(p->bev, m->frame.bytes, m->frame.len);
		p->frames_out++;
	}
	return 0;
}

uint64_t
peer_waiting(const struct peer *p)
{
	return p->bev == NULL ? 0 : waiting(p);
}
