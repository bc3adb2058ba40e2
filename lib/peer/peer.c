/* SPDX-License-Identifier: BSD-3-Clause */
#include "peer_impl.h"
#include "log.h"

#include <event2/listener.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

LOG_REGISTER(peer);
LOG_USE(peer);

/* Deadlines, pings and pauses are looked after so often. */
#define TICK_US 100000

/* Who has called: peers, and strangers until the handshake shows it. */
#define CALLERS_MAX 64

const char *const peer_state_names[PEER_STATE_N] = {
#define X(id, name) [PEER_STATE_##id] = name,
	PEER_STATES(X)
#undef X
};

/* The name of the host as the wire takes it. */
static void
host_name(char out[PEER_HOST_MAX + 1])
{
	if (gethostname(out, PEER_HOST_MAX) < 0)
		out[0] = '\0';
	out[PEER_HOST_MAX] = '\0';
	for (char *c = out; *c != '\0'; c++)
		if (*c <= ' ' || *c > '~')
			*c = '?';
}

int
peer_set_create(struct loop *l, const struct peer_ops *ops, void *arg, struct peer_set **out)
{
	struct peer_set *ps = calloc(1, sizeof(*ps));

	if (ps == NULL)
		return -ENOMEM;
	ps->loop = l;
	ps->ops = *ops;
	ps->arg = arg;
	if (getrandom(&ps->instance, sizeof(ps->instance), 0) != sizeof(ps->instance)) {
		free(ps);
		return -ENOMEM;
	}
	host_name(ps->host);
	signal(SIGPIPE, SIG_IGN); /* whoever hangs up is told by write() */
	*out = ps;
	return 0;
}

static void
socket_remove(struct peer_set *ps)
{
	struct stat st;

	if (ps->socket.path[0] != '\0' && lstat(ps->socket.path, &st) == 0 &&
	    st.st_dev == ps->socket.dev && st.st_ino == ps->socket.ino)
		unlink(ps->socket.path);
	ps->socket.path[0] = '\0';
}

static void
all_end(struct peer_set *ps)
{
	loop_watch_destroy(ps->watch);
	ps->watch = NULL;
	if (ps->listener != NULL)
		evconnlistener_free(ps->listener);
	ps->listener = NULL;
	ps->deaf = false;
	socket_remove(ps);
	while (ps->callers != NULL)
		peer_hang_up(ps->callers, "the configuration has changed");
	while (ps->called != NULL) {
		struct peer *p = ps->called;

		if (p->bev != NULL)
			peer_hang_up(p, "the configuration has changed");
		ps->called = p->next;
		free(p);
	}
	if (ps->tls.ctx != NULL)
		peer_tls_fini(&ps->tls);
}

void
peer_set_destroy(struct peer_set *ps)
{
	if (ps == NULL)
		return;
	all_end(ps);
	free(ps);
}

/* callers */

void
peer_ended(struct peer *p)
{
	struct peer **at = &p->set->callers;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	p->set->n_callers--;
	free(p);
}

/* Strangers who only hold the line must not keep a peer out: the oldest of them goes. */
static bool
room_make(struct peer_set *ps)
{
	struct peer *oldest = NULL;

	if (ps->n_callers < CALLERS_MAX)
		return true;
	for (struct peer *p = ps->callers; p != NULL; p = p->next)
		if (p->state != PEER_STATE_UP)
			oldest = p;
	if (oldest != NULL)
		peer_hang_up(oldest, "made room for others before its handshake was over");
	return oldest != NULL;
}

static void
on_caller(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *sa, int len, void *arg)
{
	struct peer_set *ps = arg;
	struct peer *p = room_make(ps) ? calloc(1, sizeof(*p)) : NULL;

	if (p == NULL) {
		close(fd);
		return;
	}
	p->set = ps;
	peer_address_format(sa, p->text, sizeof(p->text));
	if (peer_answer(p, fd) < 0) {
		close(fd);
		free(p);
		return;
	}
	p->next = ps->callers;
	ps->callers = p;
	ps->n_callers++;
}

/* Out of descriptors: who calls waits in the kernel, and we do not spin. */
static void
on_deaf(struct evconnlistener *l, void *arg)
{
	struct peer_set *ps = arg;

	LOG_RL(WARNING, "cannot take a peer's call: %s", strerror(EVUTIL_SOCKET_ERROR()));
	evconnlistener_disable(l);
	ps->deaf = true;
}

static int
socket_remember(struct peer_set *ps, const struct peer_address *a)
{
	const char *path = ((const struct sockaddr_un *)&a->sa)->sun_path;
	struct stat st;

	if (a->sa.ss_family != AF_UNIX)
		return 0;
	if (lstat(path, &st) < 0)
		return -errno;
	strcpy(ps->socket.path, path);
	ps->socket.dev = st.st_dev;
	ps->socket.ino = st.st_ino;
	return 0;
}

static int
listen_on(struct peer_set *ps, const char *text)
{
	struct peer_address a;
	int rc = peer_address_parse(text, &a);

	if (rc == 0)
		rc = peer_address_clear(&a);
	if (rc < 0)
		return rc;
	ps->listener = evconnlistener_new_bind(loop_base(ps->loop), on_caller, ps,
		LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE, CALLERS_MAX,
		(const struct sockaddr *)&a.sa, (int)a.len);
	if (ps->listener == NULL)
		return errno == 0 ? -ENOMEM : -errno;
	evconnlistener_set_error_cb(ps->listener, on_deaf);
	return socket_remember(ps, &a);
}

/* time */

static void
on_tick(void *arg)
{
	struct peer_set *ps = arg;
	uint64_t now = peer_now_us();
	struct peer *next;

	if (ps->deaf && evconnlistener_enable(ps->listener) == 0)
		ps->deaf = false;
	for (struct peer *p = ps->called; p != NULL; p = p->next)
		peer_tick(p, now);
	for (struct peer *p = ps->callers; p != NULL; p = next) {
		next = p->next;
		peer_tick(p, now);
	}
}

/* configuration */

static int
called_add(struct peer_set *ps, const char *text)
{
	struct peer *p = calloc(1, sizeof(*p)), **at = &ps->called;
	int rc;

	if (p == NULL)
		return -ENOMEM;
	rc = peer_address_parse(text, &p->addr);
	if (rc < 0) {
		free(p);
		return rc;
	}
	p->set = ps;
	p->called = true;
	strcpy(p->text, text);
	strcpy(p->reason, "not called yet");
	while (*at != NULL)
		at = &(*at)->next;
	*at = p;
	return 0;
}

static int
configure(struct peer_set *ps, const struct peer_opts *o)
{
	int rc = peer_tls_init(&ps->tls, o->key, o->key_len);

	for (uint32_t i = 0; rc == 0 && i < o->n_called; i++)
		rc = called_add(ps, o->called[i]);
	if (rc == 0 && o->listen != NULL)
		rc = listen_on(ps, o->listen);
	return rc < 0 ? rc : loop_timer(ps->loop, TICK_US, on_tick, ps, &ps->watch);
}

int
peer_set_configure(struct peer_set *ps, const struct peer_opts *opts)
{
	int rc;

	all_end(ps);
	rc = opts == NULL ? 0 : configure(ps, opts);
	if (rc < 0)
		all_end(ps);
	return rc;
}

bool
peer_set_active(const struct peer_set *ps)
{
	return atomic_load(&ps->n_up) > 0;
}

void
peer_set_resume(struct peer_set *ps)
{
	struct peer *next;

	for (struct peer *p = ps->called; p != NULL; p = p->next)
		peer_read_on(p);
	for (struct peer *p = ps->callers; p != NULL; p = next) {
		next = p->next;
		peer_read_on(p);
	}
}

/* look */

static struct peer *
after(const struct peer_set *ps, const struct peer *p)
{
	if (p == NULL)
		return ps->called != NULL ? ps->called : ps->callers;
	return p->next != NULL || !p->called ? p->next : ps->callers;
}

/* Whether another connection to the same instance comes before it. */
static bool
doubled(const struct peer_set *ps, const struct peer *p)
{
	for (const struct peer *q = after(ps, NULL); q != p; q = after(ps, q))
		if (q->state == PEER_STATE_UP && q->instance == p->instance)
			return true;
	return false;
}

struct peer *
peer_up_next(struct peer_set *ps, const struct peer *p)
{
	for (struct peer *q = after(ps, p); q != NULL; q = after(ps, q))
		if (q->state == PEER_STATE_UP && !doubled(ps, q))
			return q;
	return NULL;
}

const char *
peer_host(const struct peer *p)
{
	return p->host;
}

int
peer_next(const struct peer_set *ps, uint32_t *iter, struct peer_info *out)
{
	const struct peer *p = after(ps, NULL);

	for (uint32_t i = 0; p != NULL && i < *iter; i++)
		p = after(ps, p);
	if (p == NULL)
		return -ENOENT;
	++*iter;
	*out = (struct peer_info){
		.called = p->called, .state = p->state, .instance = p->instance,
		.frames_in = p->frames_in, .frames_out = p->frames_out,
		.bytes_waiting = peer_waiting(p),
		.seen = p->seen_us != 0, .seen_us = peer_now_us() - p->seen_us,
	};
	strcpy(out->address, p->text);
	strcpy(out->reason, p->reason);
	strcpy(out->host, p->host);
	return 0;
}
