/* SPDX-License-Identifier: BSD-3-Clause */
#include "peer_rig.h"
#include "check.h"

#include <event2/bufferevent_ssl.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct loop *rig_loop;

void
rig_begin(void)
{
	CHECK(loop_create(&rig_loop) == 0);
}

void
rig_end(void)
{
	loop_destroy(rig_loop);
}

static void
wake(evutil_socket_t fd, short what, void *arg)
{
}

void
rig_step(void)
{
	const struct timeval most = { .tv_usec = 5000 };

	event_base_once(loop_base(rig_loop), -1, EV_TIMEOUT, wake, NULL, &most);
	event_base_loop(loop_base(rig_loop), EVLOOP_ONCE);
}

static void
on_arrived(void *arg, struct peer *p, const struct peer_arrived *a)
{
	struct end *e = arg;

	e->n_arrived++;
	e->arrived = *a;
	e->from = p;
}

void
rig_frame(uint64_t number, uint8_t *bytes, struct peer_frame *out)
{
	uint32_t len = 22 + number * 31 % 1493;

	for (uint32_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(number * 7 + i);
	memcpy(bytes + 14, &number, sizeof(number));
	*out = (struct peer_frame){
		.generation = 5, .len = len, .bytes = bytes,
		.vnet = { .flags = 1, .gso_type = 4, .hdr_len = 54, .gso_size = (uint16_t)number,
			  .csum_start = 34, .csum_offset = 16 },
	};
}

static bool
on_frame(void *arg, struct peer *p, const struct peer_frame *f)
{
	struct end *e = arg;
	struct peer_frame expected;
	uint8_t bytes[2048];

	if (e->refuse_every > 0 && e->n_frames % e->refuse_every == 0 && !e->refused) {
		e->refused = true;
		e->n_refused++;
		return false;
	}
	e->refused = false;
	rig_frame(e->n_frames++, bytes, &expected);
	e->n_wrong += f->len != expected.len || memcmp(f->bytes, bytes, f->len) != 0 ||
		      memcmp(&f->vnet, &expected.vnet, sizeof(f->vnet)) != 0 || f->generation != 5;
	return true;
}

static void
on_done(void *arg, struct peer *p, const struct peer_done *d)
{
	struct end *e = arg;

	e->n_done++;
	e->done = *d;
}

static void
on_room(void *arg, struct peer *p)
{
	struct end *e = arg;

	e->n_room++;
}

static void
on_gone(void *arg, struct peer *p)
{
	struct end *e = arg;

	e->n_gone++;
	if (e->from == p)
		e->from = NULL;
}

static const struct peer_ops ops = {
	.arrived = on_arrived, .frame = on_frame, .done = on_done, .room = on_room, .gone = on_gone,
};

void
end_open(struct end *e, const char *key, const char *listen, const char *call)
{
	struct peer_opts o = {
		.listen = listen, .n_called = call != NULL, .called = { call },
		.key = (const uint8_t *)key, .key_len = strlen(key),
	};

	*e = (struct end){ .listen = listen, .call = call, .key = key };
	CHECK(peer_set_create(rig_loop, &ops, e, &e->set) == 0);
	CHECK(peer_set_configure(e->set, &o) == 0);
}

void
end_close(struct end *e)
{
	peer_set_destroy(e->set);
	e->set = NULL;
}

struct peer_info
end_info(const struct end *e)
{
	struct peer_info info = { .state = PEER_STATE_WAITING };
	uint32_t iter = 0;

	peer_next(e->set, &iter, &info);
	return info;
}

bool
end_up(const struct end *e)
{
	return peer_set_active(e->set);
}

uint32_t
end_count(const struct end *e)
{
	struct peer_info info;
	uint32_t iter = 0;

	while (peer_next(e->set, &iter, &info) == 0)
		;
	return iter;
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	struct stranger *s = arg;

	if ((what & BEV_EVENT_CONNECTED) != 0)
		s->secure = true;
	else
		s->ended = true;
}

void
stranger_call(struct stranger *s, const char *key, const char *address)
{
	struct peer_address a;

	*s = (struct stranger){ .fd = -1 };
	CHECK(peer_address_parse(address, &a) == 0);
	s->fd = socket(a.sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	CHECK(s->fd >= 0);
	CHECK(connect(s->fd, (struct sockaddr *)&a.sa, a.len) == 0 || errno == EINPROGRESS);
	if (key == NULL)
		return;
	CHECK(peer_tls_init(&s->tls, (const uint8_t *)key, strlen(key)) == 0);
	s->bev = bufferevent_openssl_socket_new(loop_base(rig_loop), s->fd,
						peer_tls_session(&s->tls, true),
						BUFFEREVENT_SSL_CONNECTING, BEV_OPT_CLOSE_ON_FREE);
	CHECK(s->bev != NULL);
	bufferevent_setcb(s->bev, NULL, NULL, on_event, s);
	bufferevent_enable(s->bev, EV_READ | EV_WRITE);
}

void
stranger_say(struct stranger *s, const void *bytes, size_t len)
{
	if (s->bev != NULL)
		bufferevent_write(s->bev, bytes, len);
	else
		CHECK(write(s->fd, bytes, len) == (ssize_t)len);
}

bool
stranger_ended(struct stranger *s)
{
	char byte;

	if (s->bev != NULL)
		return s->ended;
	return recv(s->fd, &byte, 1, MSG_DONTWAIT) == 0 || (errno != EAGAIN && errno != EINPROGRESS);
}

void
stranger_close(struct stranger *s)
{
	if (s->bev != NULL) {
		bufferevent_free(s->bev);
		peer_tls_fini(&s->tls);
	} else {
		close(s->fd);
	}
}
