/* SPDX-License-Identifier: BSD-3-Clause */
#include "clock.h"
#include "log.h"
#include "rpc_impl.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

LOG_USE(rpc);

/* How long a leaving server waits for its clients to take their last answers. */
#define FLUSH_NS (200 * 1000000ULL)

#define ACCEPT_PAUSE_US 100000

struct client {
	TAILQ_ENTRY(client) next;
	struct rpc_server *server;
	struct bufferevent *bev;
	uint64_t number;
	struct ucred peer;
	size_t scanned;  /* bytes of the input that are known to hold no newline */
	bool ended;      /* the client sends no more */
};

struct rpc_server {
	struct rpc *rpc;
	struct rpc_socket socket;
	struct evconnlistener *listener;
	TAILQ_HEAD(, client) clients;
	uint32_t n_clients;
	uint64_t n_accepted;
	struct timeval unread;
	struct loop *loop;
	struct loop_watch *pause; /* until accept() may work again */
};

static void
client_destroy(struct client *c)
{
	TAILQ_REMOVE(&c->server->clients, c, next);
	c->server->n_clients--;
	bufferevent_free(c->bev);
	free(c);
}

static void
client_drop(struct client *c, const char *why)
{
	LOG_RL(WARNING, "client %" PRIu64 " (pid %d, uid %u) dropped: %s", c->number,
	       (int)c->peer.pid, c->peer.uid, why);
	client_destroy(c);
}

static struct evbuffer *
client_in(const struct client *c)
{
	return bufferevent_get_input(c->bev);
}

static size_t
client_unread(const struct client *c)
{
	return evbuffer_get_length(bufferevent_get_output(c->bev));
}

static void
client_say(struct client *c, const char *text)
{
	evbuffer_add(bufferevent_get_output(c->bev), text, strlen(text));
	evbuffer_add(bufferevent_get_output(c->bev), "\n", 1);
}

/* Length of the first line, newline included; 0: it is not there yet. */
static size_t
line_length(struct client *c)
{
	struct evbuffer *in = client_in(c);
	size_t have = evbuffer_get_length(in);
	struct evbuffer_ptr from, at;

	if (have > c->scanned) {
		evbuffer_ptr_set(in, &from, c->scanned, EVBUFFER_PTR_SET);
		at = evbuffer_search(in, "\n", 1, &from);
		if (at.pos >= 0)
			return (size_t)at.pos + 1;
		c->scanned = have;
	}
	/* what a client says before it hangs up needs no newline */
	return c->ended ? have : 0;
}

static void
line_handle(struct client *c, size_t len)
{
	struct evbuffer *in = client_in(c);
	const char *line = (const char *)evbuffer_pullup(in, (ev_ssize_t)len);
	char *answer;

	answer = rpc_handle_line(c->server->rpc, line, len - (line[len - 1] == '\n'));
	evbuffer_drain(in, len);
	c->scanned = 0;
	if (answer != NULL)
		client_say(c, answer);
	free(answer);
}

static int
ms_until(uint64_t then_ns)
{
	uint64_t now = clock_ns();

	return now < then_ns ? (int)((then_ns - now) / 1000000) : 0;
}

/* Writes what is queued as far as the client takes it by then. */
static void
client_flush(struct client *c, uint64_t until_ns)
{
	struct evbuffer *out = bufferevent_get_output(c->bev);
	struct pollfd p = { .fd = bufferevent_getfd(c->bev), .events = POLLOUT };

	evbuffer_unfreeze(out, 1);
	while (evbuffer_get_length(out) > 0) {
		if (evbuffer_write(out, p.fd) < 0 && errno != EAGAIN)
			break;
		if (evbuffer_get_length(out) > 0 && poll(&p, 1, ms_until(until_ns)) <= 0)
			break;
	}
}

static void
refuse_long_line(struct client *c)
{
	client_say(c, "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32600,"
		      "\"message\":\"line longer than 1 MiB\"}}");
	client_flush(c, 0);
	client_drop(c, "line longer than 1 MiB");
}

/*
 * Answers what is there, in order, until the client has too much to read: then the requests that
 * follow stay in its buffer, and in its own once that is full, until it has read.
 */
static void
client_serve(struct client *c)
{
	size_t len;

	while (client_unread(c) < RPC_PENDING_MAX) {
		len = line_length(c);
		if (len > RPC_LINE_MAX || (len == 0 && c->scanned > RPC_LINE_MAX)) {
			refuse_long_line(c);
			return;
		}
		if (len == 0)
			break;
		line_handle(c, len);
	}
	if (c->ended && evbuffer_get_length(client_in(c)) == 0 && client_unread(c) == 0)
		client_destroy(c);
}

static void
on_read(struct bufferevent *bev, void *arg)
{
	client_serve(arg);
}

/* Called when the output has drained to the low watermark, which is half of what makes it wait. */
static void
on_write(struct bufferevent *bev, void *arg)
{
	client_serve(arg);
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	struct client *c = arg;

	if (what & BEV_EVENT_TIMEOUT) {
		client_drop(c, "it does not read its answers");
	} else if ((what & BEV_EVENT_EOF) && (what & BEV_EVENT_READING)) {
		c->ended = true;
		bufferevent_setwatermark(bev, EV_WRITE, 0, 0);
		client_serve(c);
	} else {
		client_destroy(c);
	}
}

static void
client_create(struct rpc_server *s, struct event_base *base, int fd)
{
	struct client *c = calloc(1, sizeof(*c));
	socklen_t len = sizeof(c->peer);

	if (c != NULL)
		c->bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (c == NULL || c->bev == NULL) {
		free(c);
		close(fd);
		return;
	}
	c->server = s;
	c->number = s->n_accepted;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c->peer, &len) < 0)
		memset(&c->peer, 0, sizeof(c->peer));
	TAILQ_INSERT_TAIL(&s->clients, c, next);
	s->n_clients++;
	bufferevent_setcb(c->bev, on_read, on_write, on_event, c);
	bufferevent_setwatermark(c->bev, EV_READ, 0, RPC_LINE_MAX + 1);
	bufferevent_setwatermark(c->bev, EV_WRITE, RPC_PENDING_MAX / 2, 0);
	bufferevent_set_timeouts(c->bev, NULL, &s->unread);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

static void
on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *addr, int len, void *arg)
{
	static const char full[] =
		"{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32000,"
		"\"message\":\"64 clients are connected, no more are taken\"}}\n";
	struct rpc_server *s = arg;

	s->n_accepted++;
	if (s->n_clients < RPC_CLIENTS_MAX) {
		client_create(s, evconnlistener_get_base(l), fd);
		return;
	}
	LOG_RL(WARNING, "%s: a client was refused, %d are connected", s->socket.path,
	       RPC_CLIENTS_MAX);
	if (send(fd, full, sizeof(full) - 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		LOG_RL(DEBUG, "refused client: %s", strerror(errno));
	close(fd);
}

static void
on_accept_again(void *arg)
{
	struct rpc_server *s = arg;

	loop_watch_destroy(s->pause);
	s->pause = NULL;
	evconnlistener_enable(s->listener);
}

/* Out of descriptors: without a pause the loop would spin on the listening socket. */
static void
on_accept_error(struct evconnlistener *l, void *arg)
{
	struct rpc_server *s = arg;

	LOG_RL(ERR, "%s: accept: %s", s->socket.path, strerror(errno));
	if (s->pause == NULL &&
	    loop_timer(s->loop, ACCEPT_PAUSE_US, on_accept_again, s, &s->pause) == 0)
		evconnlistener_disable(l);
}

int
rpc_server_create(struct rpc *r, struct loop *l, const struct rpc_opts *opts,
		  struct rpc_server **out)
{
	uint32_t unread_ms = opts->unread_ms == 0 ? RPC_UNREAD_MS : opts->unread_ms;
	struct rpc_server *s = calloc(1, sizeof(*s));
	int rc;

	if (s == NULL)
		return -ENOMEM;
	s->rpc = r;
	s->loop = l;
	s->unread.tv_sec = unread_ms / 1000;
	s->unread.tv_usec = unread_ms % 1000 * 1000;
	TAILQ_INIT(&s->clients);
	rc = rpc_socket_open(opts, &s->socket);
	if (rc < 0) {
		free(s);
		return rc;
	}
	s->listener = evconnlistener_new(loop_base(l), on_accept, s, LEV_OPT_CLOSE_ON_EXEC, 0,
					 s->socket.fd);
	if (s->listener == NULL) {
		rpc_server_destroy(s);
		return -ENOMEM;
	}
	evconnlistener_set_error_cb(s->listener, on_accept_error);
	signal(SIGPIPE, SIG_IGN);
	*out = s;
	return 0;
}

void
rpc_server_destroy(struct rpc_server *s)
{
	uint64_t until = clock_ns() + FLUSH_NS;
	struct client *c;

	if (s == NULL)
		return;
	while ((c = TAILQ_FIRST(&s->clients)) != NULL) {
		/* the answer to ferryd.quit is still in the buffer */
		client_flush(c, until);
		client_destroy(c);
	}
	loop_watch_destroy(s->pause);
	if (s->listener != NULL)
		evconnlistener_free(s->listener);
	rpc_socket_close(&s->socket);
	free(s);
}
