/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Peer: what a ferryd of another host says, behind TLS.
 *
 * An input is a stream of messages.  What is taken is within its bounds, and said again it is the
 * same bytes.
 */
#include "fuzz.h"

#include "peer_wire.h"

#include <errno.h>

#define REACHED(X) \
	X(HELLO, "hello") \
	X(ARRIVED, "arrived") \
	X(FRAME, "frame") \
	X(DONE, "done") \
	X(PING, "ping") \
	X(OTHER, "other") \
	X(KIND, "kind") \
	X(LONG, "long") \
	X(WRONG, "wrong") \
	X(HALF, "half")

enum {
#define X(id, name) REACH_##id,
	REACHED(X)
#undef X
	REACH_N
};

#define X(id, name) name,
const char *fuzz_names[] = { REACHED(X) };
#undef X
const size_t fuzz_n_names = REACH_N;
const char *const fuzz_tokens[] = { NULL };

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	return 0;
}

static void
frame_check(const struct peer_frame *f, const uint8_t *body, size_t len)
{
	FUZZ_CHECK(f->len >= RTE_ETHER_HDR_LEN && f->len <= PEER_FRAME_MAX);
	FUZZ_CHECK(f->bytes > body && f->bytes + f->len == body + len);
}

static void
same_again(const struct peer_message *m, const uint8_t *said, size_t len)
{
	uint8_t bytes[PEER_WIRE_MAX];
	size_t n = peer_wire_encode(m, bytes);

	FUZZ_CHECK(n + (m->kind == PEER_FRAME ? m->frame.len : 0) == len);
	FUZZ_CHECK(memcmp(bytes, said, n) == 0);
}

/* The reach of a message has the number of its kind, but for the first. */
static void
message_check(const struct peer_message *m, const uint8_t *said, size_t len)
{
	switch (m->kind) {
	case PEER_HELLO:
		if (m->hello.version != PEER_VERSION) {
			fuzz_reach(REACH_OTHER);
			return;
		}
		FUZZ_CHECK(memchr(m->hello.host, '\0', sizeof(m->hello.host)) != NULL);
		break;
	case PEER_ARRIVED:
		FUZZ_CHECK(m->arrived.n >= 1 && m->arrived.n <= PEER_ADDRESSES_MAX);
		break;
	case PEER_FRAME:
		frame_check(&m->frame, said + PEER_HEAD, len - PEER_HEAD);
		break;
	default:
		FUZZ_CHECK(m->kind == PEER_DONE || m->kind == PEER_PING);
	}
	same_again(m, said, len);
	fuzz_reach(REACH_HELLO + m->kind - PEER_HELLO);
}

/* @return bytes of the message; 0: there is none, or the line would be hung up */
static size_t
message(const uint8_t *data, size_t size, size_t most)
{
	struct peer_message m;
	enum peer_kind kind;
	int len;

	if (size < PEER_HEAD) {
		if (size > 0)
			fuzz_reach(REACH_HALF);
		return 0;
	}
	len = peer_wire_head(data, most, &kind);
	if (len < 0) {
		fuzz_reach(len == -EPROTO ? REACH_KIND : REACH_LONG);
		return 0;
	}
	FUZZ_CHECK((size_t)len <= most);
	if (size < PEER_HEAD + (size_t)len) {
		fuzz_reach(REACH_HALF);
		return 0;
	}
	if (peer_wire_decode(kind, data + PEER_HEAD, (size_t)len, &m) < 0) {
		fuzz_reach(REACH_WRONG);
		return 0;
	}
	message_check(&m, data, PEER_HEAD + (size_t)len);
	return PEER_HEAD + (size_t)len;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* in memory that ends where the input ends, for the sanitizers */
	uint8_t *copy = malloc(size > 0 ? size : 1), *at = copy;
	size_t n = 1, most = PEER_BODY_HELLO;

	memcpy(copy, data, size);
	for (size_t left = size; n > 0; left -= n, at += n, most = PEER_BODY_MAX)
		n = message(at, left, most);
	free(copy);
	return 0;
}
