/* SPDX-License-Identifier: BSD-3-Clause */
#include "peer_rig.h"
#include "check.h"
#include "fds.h"
#include "log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TCP4  "127.0.0.1:47981"
#define TCP6  "[::1]:47982"
#define OTHER "another key, as long as the right one is"

static char unix_path[64], unix_text[80];

/* wire */

static void
round_trip(const struct peer_message *m, struct peer_message *back)
{
	static uint8_t bytes[PEER_WIRE_MAX + 64]; /* what is decoded points into it */
	size_t n = peer_wire_encode(m, bytes);
	enum peer_kind kind;
	int len;

	CHECK(n <= PEER_WIRE_MAX);
	if (m->kind == PEER_FRAME) {
		memcpy(bytes + n, m->frame.bytes, m->frame.len);
		n += m->frame.len;
	}
	len = peer_wire_head(bytes, PEER_BODY_MAX, &kind);
	CHECK(len == (int)(n - PEER_HEAD) && kind == m->kind);
	CHECK(peer_wire_decode(kind, bytes + PEER_HEAD, (size_t)len, back) == 0);
	for (int cut = 0; cut < len; cut++)
		CHECK(peer_wire_decode(kind, bytes + PEER_HEAD, (size_t)cut, back) == -EPROTO ||
		      (kind == PEER_FRAME && cut >= 28));
	CHECK(kind == PEER_FRAME ||
	      peer_wire_decode(kind, bytes + PEER_HEAD, (size_t)len + 1, back) == -EPROTO);
	CHECK(peer_wire_decode(kind, bytes + PEER_HEAD, (size_t)len, back) == 0);
}

static void
test_wire(void)
{
	struct peer_message m = { .kind = PEER_HELLO }, back;
	uint8_t bytes[40] = { 1, 2, 3 };

	m.hello = (struct peer_hello){ PEER_VERSION, 0x0123456789abcdef, "host.example" };
	round_trip(&m, &back);
	CHECK(back.hello.instance == m.hello.instance);
	CHECK_STR("hello", back.hello.host, "host.example");

	m = (struct peer_message){ .kind = PEER_ARRIVED,
		.arrived = { 7, 1234567, 2, { 0x000152540012ab, 0x0fff0252540012ac } } };
	round_trip(&m, &back);
	CHECK(back.arrived.generation == 7 && back.arrived.age_us == 1234567);
	CHECK(back.arrived.n == 2 && back.arrived.keys[1] == m.arrived.keys[1]);

	m = (struct peer_message){ .kind = PEER_FRAME,
		.frame = { 9, { 1, 3, 66, 1448, 34, 16 }, sizeof(bytes), bytes } };
	round_trip(&m, &back);
	CHECK(back.frame.len == 40 && memcmp(back.frame.bytes, bytes, 40) == 0);
	CHECK(memcmp(&back.frame.vnet, &m.frame.vnet, sizeof(m.frame.vnet)) == 0);

	m = (struct peer_message){ .kind = PEER_DONE, .done = { 3, 1ULL << 40 } };
	round_trip(&m, &back);
	CHECK(back.done.generation == 3 && back.done.frames == 1ULL << 40);
}

static void
test_addresses(void)
{
	static const struct { const char *text; int rc; } rows[] = {
		{ "10.0.0.2:4798", 0 }, { "[fe80::1]:1", 0 }, { "unix:/run/x", 0 },
		{ "10.0.0.2", -EINVAL }, { "10.0.0.2:0", -EINVAL }, { "[::1]", -EINVAL },
		{ "10.0.0.2:99999", -EINVAL }, { "host:1", -EINVAL }, { "", -EINVAL },
		{ "unix:", -EINVAL },
		{ "unix:/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", -ENAMETOOLONG },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (peer_address_check(rows[i].text) != rows[i].rc)
			CHECK_STR(rows[i].text, "another answer", "the expected one");
}

/* lines */

static void
test_meet(const char *address)
{
	struct end a, b;
	struct peer_message m = { .kind = PEER_ARRIVED, .arrived = { 5, 100, 1, { 0x525400000001 } } };
	struct peer_info info;

	end_open(&a, RIG_KEY, address, NULL);
	end_open(&b, RIG_KEY, NULL, address);
	CHECK(RIG_WAIT(end_up(&a) && end_up(&b), 5000));
	info = end_info(&b);
	CHECK(info.state == PEER_STATE_UP && info.called && info.host[0] != '\0');
	CHECK(peer_up_next(b.set, peer_up_next(b.set, NULL)) == NULL);
	CHECK(peer_send(peer_up_next(b.set, NULL), &m) == 0);
	CHECK(RIG_WAIT(a.n_arrived == 1, 5000));
	CHECK(a.arrived.keys[0] == 0x525400000001 && a.from != NULL);
	m = (struct peer_message){ .kind = PEER_DONE, .done = { 5, 0 } };
	CHECK(a.from != NULL && peer_send(a.from, &m) == 0);
	CHECK(RIG_WAIT(b.n_done == 1, 5000));
	end_close(&a);
	CHECK(RIG_WAIT(b.n_gone == 1, 5000) && !end_up(&b));
	end_open(&a, RIG_KEY, address, NULL);
	CHECK(RIG_WAIT(end_up(&a) && end_up(&b), 10000)); /* it calls again by itself */
	end_close(&b);
	CHECK(RIG_WAIT(end_count(&a) == 0, 5000));
	end_close(&a);
}

/* Each calls the other: one line is used, until it breaks. */
static void
test_both_call(void)
{
	struct end a, b;

	end_open(&a, RIG_KEY, TCP4, unix_text);
	end_open(&b, RIG_KEY, unix_text, TCP4);
	CHECK(RIG_WAIT(end_count(&a) == 2 && end_count(&b) == 2 &&
		       atomic_load(&a.set->n_up) == 2 && atomic_load(&b.set->n_up) == 2, 5000));
	CHECK(peer_up_next(a.set, NULL) != NULL);
	CHECK(peer_up_next(a.set, peer_up_next(a.set, NULL)) == NULL);
	end_close(&a);
	end_close(&b);
}

static void
test_frames(void)
{
	struct end a, b;
	struct peer_message m = { .kind = PEER_FRAME };
	uint8_t bytes[2048];
	struct peer *p;
	uint64_t sent = 0;
	uint32_t full = 0;

	end_open(&a, RIG_KEY, unix_text, NULL);
	end_open(&b, RIG_KEY, NULL, unix_text);
	a.refuse_every = 997;
	CHECK(RIG_WAIT(end_up(&a) && end_up(&b), 5000));
	p = peer_up_next(b.set, NULL);
	for (int turns = 0; sent < 10000 && turns < 100000; turns++) {
		rig_frame(sent, bytes, &m.frame);
		if (peer_send(p, &m) == 0) {
			sent++;
			continue;
		}
		full++;
		CHECK(end_info(&b).bytes_waiting < 2 << 20);
		peer_set_resume(a.set);
		rig_step();
	}
	CHECK(RIG_WAIT((peer_set_resume(a.set), a.n_frames == 10000), 10000));
	CHECK(sent == 10000 && a.n_frames == 10000 && a.n_wrong == 0);
	CHECK(a.n_refused >= 10 && full > 0 && b.n_room > 0);
	CHECK(end_info(&a).frames_in == 10000 && end_info(&b).frames_out == 10000);
	end_close(&b);
	end_close(&a);
}

/* strangers */

static void
test_wrong_key(void)
{
	struct end a, b;

	end_open(&a, RIG_KEY, TCP4, NULL);
	end_open(&b, OTHER, NULL, TCP4);
	CHECK(RIG_WAIT(strstr(end_info(&b).reason, "is the key the same?") != NULL, 5000));
	CHECK(RIG_WAIT(end_count(&a) == 0, 5000));
	CHECK(!end_up(&a) && !end_up(&b) && a.n_gone == 0);
	end_close(&b);
	end_close(&a);
}

static void
test_nobody(void)
{
	struct end b;

	end_open(&b, RIG_KEY, NULL, TCP4);
	CHECK(RIG_WAIT(strstr(end_info(&b).reason, "refused") != NULL, 5000));
	end_close(&b);
}

static void
test_itself(void)
{
	struct end a;

	end_open(&a, RIG_KEY, TCP4, TCP4);
	CHECK(RIG_WAIT(strstr(end_info(&a).reason, "itself") != NULL, 5000));
	CHECK(!end_up(&a));
	end_close(&a);
}

/* What a stranger without the key says, and one who has it; all of them are hung up on. */
static const struct {
	const char *story;
	bool key;
	size_t len;
	const char *bytes;
} rows[] = {
	{ "no TLS", false, 16, "GET / HTTP/1.0\r\n" },
	{ "half a TLS record, then nonsense", false, 12, "\x16\x03\x01\x00\x05\xff\xff\xff\xff\xff\xff\xff" },
	{ "no hello first", true, 5, "\0\0\0\0\5" },
	{ "no such kind", true, 5, "\0\0\0\0\6" },
	{ "kind 0", true, 5, "\0\0\0\0\0" },
	{ "huge length", true, 5, "\xff\xff\xff\xff\1" },
	{ "a frame's length before hello", true, 5, "\0\1\0\0\3" },
	{ "empty hello", true, 5, "\0\0\0\0\1" },
	{ "hello of another version", true, 7, "\0\0\0\2\1\0\2" },
	{ "host that ends a line", true, 17, "\0\0\0\14\1\0\1" "instance" "\1\n" },
	{ "host shorter than it says", true, 17, "\0\0\0\14\1\0\1" "instance" "\2a" },
	{ "hello twice", true, 34, "\0\0\0\14\1\0\1" "instance" "\1a" "\0\0\0\14\1\0\1" "instance" "\1a" },
	{ "frame too long", true, 22, "\0\0\0\14\1\0\1" "instance" "\1a" "\0\2\0\0\3" },
	{ "frame too short", true, 36,
	  "\0\0\0\14\1\0\1" "instance" "\1a" "\0\0\0\16\3" "fourteen bytes" },
	{ "arrival of nobody", true, 36,
	  "\0\0\0\14\1\0\1" "instance" "\1a" "\0\0\0\16\2" "\0\0\0\1" "\0\0\0\0\0\0\0\1" "\0\0" },
};

static void
test_strangers(void)
{
	struct stranger s;
	struct end a;

	end_open(&a, RIG_KEY, TCP6, NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		stranger_call(&s, rows[i].key ? RIG_KEY : NULL, TCP6);
		CHECK(!rows[i].key || RIG_WAIT(s.secure, 5000));
		CHECK(rows[i].key || RIG_WAIT(end_count(&a) == 1, 5000));
		stranger_say(&s, rows[i].bytes, rows[i].len);
		if (!RIG_WAIT(stranger_ended(&s), 3000))
			CHECK_STR(rows[i].story, "still connected", "hung up on");
		CHECK(RIG_WAIT(end_count(&a) == 0, 1000));
		stranger_close(&s);
	}
	CHECK(a.n_arrived == 0 && a.n_done == 0 && a.n_frames == 0);
	end_close(&a);
}

/* Half a handshake, half a hello, and somebody who reads nothing and says nothing more. */
static void
test_silence(void)
{
	static const char hello[] = "\0\0\0\14\1\0\1" "instance" "\1a";
	struct peer_message m = { .kind = PEER_FRAME };
	uint64_t begin = peer_now_us();
	struct stranger s[3];
	uint8_t bytes[2048];
	struct end a;
	int rc = 0;

	end_open(&a, RIG_KEY, unix_text, NULL);
	stranger_call(&s[0], NULL, unix_text);
	stranger_call(&s[1], RIG_KEY, unix_text);
	stranger_call(&s[2], RIG_KEY, unix_text);
	CHECK(RIG_WAIT(s[1].secure && s[2].secure, 5000));
	stranger_say(&s[1], hello, 9);
	stranger_say(&s[2], hello, sizeof(hello) - 1);
	CHECK(RIG_WAIT(end_up(&a), 5000));
	bufferevent_disable(s[2].bev, EV_READ);
	rig_frame(1, bytes, &m.frame);
	for (int i = 0; rc == 0 && i < 100000; i++)
		rc = peer_send(peer_up_next(a.set, NULL), &m);
	CHECK(rc == -EAGAIN);
	CHECK(end_count(&a) == 3);
	CHECK(RIG_WAIT(end_count(&a) == 0, 8000));
	CHECK(peer_now_us() - begin > 4000000 && a.n_gone == 1);
	for (int i = 0; i < 3; i++)
		stranger_close(&s[i]);
	end_close(&a);
}

/* More of them than there is room for keep no peer out. */
static void
test_crowd(void)
{
	static struct stranger s[100];
	struct end a, b;

	end_open(&a, RIG_KEY, TCP4, NULL);
	for (int i = 0; i < 100; i++)
		stranger_call(&s[i], NULL, TCP4);
	CHECK(RIG_WAIT(end_count(&a) >= 60, 5000));
	end_open(&b, RIG_KEY, NULL, TCP4);
	CHECK(RIG_WAIT(end_up(&b) && end_up(&a), 5000));
	CHECK(end_count(&a) <= 64);
	for (int i = 0; i < 100; i++)
		stranger_close(&s[i]);
	CHECK(RIG_WAIT(end_count(&a) == 1, 5000));
	end_close(&b);
	end_close(&a);
}

static void
test_sockets(void)
{
	struct peer_opts o = { .listen = unix_text, .key = (const uint8_t *)RIG_KEY, .key_len = 15 };
	struct end a, b;

	end_open(&a, RIG_KEY, unix_text, NULL);
	end_open(&b, RIG_KEY, NULL, NULL);
	CHECK(peer_set_configure(b.set, &o) == -EINVAL); /* a key of 15 bytes */
	o.key_len = 16;
	CHECK(peer_set_configure(b.set, &o) == -EADDRINUSE);
	end_close(&a);
	CHECK(access(unix_path, F_OK) < 0);
	CHECK(peer_set_configure(b.set, &o) == 0 && access(unix_path, F_OK) == 0);
	CHECK(peer_set_configure(b.set, NULL) == 0 && access(unix_path, F_OK) < 0);
	o.listen = "unix:/nowhere/at/all";
	CHECK(peer_set_configure(b.set, &o) == -ENOENT);
	o.listen = TCP4;
	CHECK(peer_set_configure(b.set, &o) == 0);
	end_open(&a, RIG_KEY, NULL, NULL);
	CHECK(peer_set_configure(a.set, &o) == -EADDRINUSE);
	end_close(&a);
	end_close(&b);
}

int
main(void)
{
	uint32_t descriptors;

	log_set("ferry.peer", getenv("VERBOSE") != NULL ? "debug" : "error");
	snprintf(unix_path, sizeof(unix_path), "/tmp/ferry-peer-test.%d", getpid());
	snprintf(unix_text, sizeof(unix_text), "unix:%s", unix_path);
	rig_begin();
	test_wire();
	test_addresses();
	test_meet(TCP4); /* and what libraries open once is open */
	descriptors = fds_count();
	test_meet(TCP6);
	test_meet(unix_text);
	test_both_call();
	test_frames();
	test_wrong_key();
	test_nobody();
	test_itself();
	test_strangers();
	test_crowd();
	test_silence();
	test_sockets();
	CHECK(RIG_WAIT(fds_count() == descriptors, 1000)); /* libevent frees a turn later */
	rig_end();
	return check_done("peer");
}
