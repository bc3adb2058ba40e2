/* SPDX-License-Identifier: BSD-3-Clause */
/* Parks whose frames go to another host, and those that wait for what comes from one. */
#include "park_test.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define P 3
#define UPLINK 9
#define WORKERS 2
#define TIMEOUT_MS 40

static struct cross *cross;
static struct park_set *parks;
static uint32_t n_closed;
static uint16_t closed_heir;

static void
on_wanted(void *arg)
{
	CHECK(arg == &cross);
}

static void
on_closed(void *arg, uint16_t port, uint16_t heir)
{
	CHECK(arg == &cross && port == P);
	n_closed++;
	closed_heir = heir;
}

static void
create(void)
{
	const struct park_opts opts = { .bytes = WORKERS * PARK_BUF_MIN, .timeout_ms = TIMEOUT_MS };
	const struct park_ops ops = { .wanted = on_wanted, .closed = on_closed };

	CHECK(cross_create(WORKERS, &cross) == 0);
	CHECK(park_set_create(cross, &opts, &ops, &cross, &parks) == 0);
	n_closed = 0;
}

static void
destroy(void)
{
	park_set_destroy(parks);
	cross_destroy(cross);
}

static enum park_phase
phase(void)
{
	struct park_info info;

	CHECK(park_info(parks, P, &info) == 0);
	return info.phase;
}

/* A frame whose first byte tells it, in a worker's buffer. */
static void
keep(uint32_t worker, uint8_t name)
{
	struct park_buf *b = park_view(parks)->ports[P]->bufs[worker];
	struct park_frame *pf = park_buf_room(b, 60);

	memset(pf->bytes, name, 60);
	park_buf_put(b, pf, 60);
}

/* What was taken, and how much may be. */
struct taken {
	char names[32];
	size_t n, most;
};

static bool
on_take(void *arg, const struct park_frame *pf)
{
	struct taken *t = arg;

	if (t->n == t->most)
		return false;
	CHECK(pf->len == 60 && pf->bytes[59] == pf->bytes[0]);
	t->names[t->n++] = (char)pf->bytes[0];
	return true;
}

static const char *
take(size_t most)
{
	static struct taken t;

	t = (struct taken){ .most = most };
	CHECK(park_stream_take(parks, P, on_take, &t) == 0);
	return t.names;
}

static void
leave(void)
{
	CHECK(park_open(parks, P) == 0);
	park_begin(parks, P, 0, 1);
}

/* In order of each worker's, and what was refused comes again. */
static void
streams(void)
{
	struct taken none = { .most = 1 };

	create();
	CHECK(park_stream(parks, P) == -ENOENT);
	CHECK(park_stream_take(parks, P, on_take, &none) == -ENOENT && none.n == 0);
	CHECK(park_open(parks, P) == 0 && park_stream(parks, P) == -ENOENT);
	leave();
	keep(0, 'a');
	keep(1, 'x');
	keep(0, 'b');
	CHECK(park_stream(parks, P) == 0 && park_stream(parks, P) == 0);
	CHECK(phase() == PARK_STREAMING && !park_stream_empty(parks, P));
	CHECK_STR("no more than wanted", take(1), "a");
	CHECK_STR("the rest", take(9), "bx");
	keep(1, 'y');
	CHECK_STR("what came meanwhile", take(9), "y");
	CHECK(park_stream_empty(parks, P) && strcmp(take(9), "") == 0);
	CHECK(park_late(parks, P, UPLINK) == 0 && phase() == PARK_LATE);
	keep(0, 'c');
	CHECK_STR("late", take(9), "c");
	park_stream_end(parks, P);
	CHECK(phase() == PARK_RELEASING && park_late(parks, P, UPLINK) == -ENOENT);
	park_tick(parks);
	usleep(220000);
	park_tick(parks);
	CHECK(n_closed == 1 && closed_heir == UPLINK && !park_active(parks, P));
	destroy();
}

/* Nobody to send to: who has an heir gets its frames, who has none keeps them. */
static void
failures(void)
{
	create();
	leave();
	CHECK(park_stream(parks, P) == 0);
	keep(0, 'a');
	park_stream_fail(parks, P, PARK_NOWHERE);
	CHECK(phase() == PARK_KEEPING && !park_stream_empty(parks, P));
	CHECK(park_stream(parks, P) == 0);
	CHECK_STR("again", take(9), "a");
	park_stream_fail(parks, P, UPLINK);
	CHECK(phase() == PARK_RELEASING);
	park_return(parks, P);
	CHECK(phase() == PARK_RELEASING && park_stream(parks, P) == -ENOENT);
	destroy();
	create();
	leave();
	CHECK(park_stream(parks, P) == 0);
	park_stream_end(parks, P);
	CHECK(phase() == PARK_DROPPING); /* it is too late for its guest, and nobody else may have it */
	destroy();
}

static int
admit(uint8_t name)
{
	const struct virtio_net_hdr vnet = { 0 };
	uint8_t bytes[60];

	memset(bytes, name, sizeof(bytes));
	return park_admit(parks, P, &vnet, bytes, sizeof(bytes));
}

/* What other hosts have kept is older than what came here, and comes first, late ones too. */
static void
arrivals(void)
{
	int rc = 0;

	create();
	CHECK(admit('a') == -ENOENT && !park_arriving(parks, P));
	CHECK(park_expect(parks, P, 0) == 0 && park_expect(parks, P, 0) == -EALREADY);
	CHECK(park_arriving(parks, P) && phase() == PARK_ARRIVING);
	keep(0, 'x');
	CHECK(admit('a') == 0 && admit('b') == 0);
	park_return(parks, P); /* its rings are started one by one: that is no return */
	CHECK(phase() == PARK_ARRIVING);
	park_admitted(parks, P);
	CHECK(phase() == PARK_RELEASING && !park_arriving(parks, P) && admit('c') == 0);
	/* It goes on to a third host before anything was delivered. */
	park_begin(parks, P, 0, 1);
	CHECK(admit('d') == -ENOENT && park_stream(parks, P) == 0);
	CHECK_STR("from the first host, then from here", take(9), "abcx");
	destroy();
	create();
	CHECK(park_expect(parks, P, 0) == 0);
	for (int i = 0; rc == 0 && i < 1000000; i++)
		rc = admit('a');
	CHECK(rc == -EAGAIN);
	usleep(TIMEOUT_MS * 1100);
	park_tick(parks);
	CHECK(phase() == PARK_RELEASING); /* it does not wait for peers for ever */
	destroy();
}

void
park_host_stories(void)
{
	const struct park_opts off = { .bytes = 0, .timeout_ms = TIMEOUT_MS };

	streams();
	failures();
	arrivals();
	create();
	park_set_opts(parks, &off);
	CHECK(park_expect(parks, P, 0) == -ENOTSUP);
	destroy();
}
