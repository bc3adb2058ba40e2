/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_PEER_WIRE_H
#define FERRY_PEER_WIRE_H

/**
 * @file
 * What two ferryds say to each other, as bytes: a head of five (length of the body, kind), then the
 * body; numbers in network byte order.
 *
 *   HELLO    first of all, both ways: version, instance, name of the host
 *   ARRIVED  a guest runs here: its addresses, and for how long it does
 *   FRAME    one that was kept for it
 *   DONE     what was kept has been sent; frames that come later follow as they come
 *   PING     I am there
 *
 * Pure functions: no I/O, no memory of their own.
 *
 * Threads  any
 * Units    bytes, microseconds
 */

#include "fdb.h"

#include <linux/virtio_net.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PEER_VERSION 1

#define PEER_HEAD          5
#define PEER_HOST_MAX      64
#define PEER_ADDRESSES_MAX 64
#define PEER_FRAME_MAX     (65535 + 14 + 8)  /**< longest IP packet, Ethernet header, two tags */

/** A body is at most so long; before the other side has said HELLO, at most PEER_BODY_HELLO. */
#define PEER_BODY_MAX   (PEER_FRAME_MAX + 16)
#define PEER_BODY_HELLO (16 + PEER_HOST_MAX)

/** Room for any message, but for the bytes of a FRAME. */
#define PEER_WIRE_MAX (PEER_HEAD + 14 + 8 * PEER_ADDRESSES_MAX)

/** Kinds of message: name for logs. */
#define PEER_KINDS(X) \
	X(HELLO, "hello") \
	X(ARRIVED, "arrived") \
	X(FRAME, "frame") \
	X(DONE, "done") \
	X(PING, "ping")

enum peer_kind {
	PEER_KIND_NONE,
#define X(id, name) PEER_##id,
	PEER_KINDS(X)
#undef X
	PEER_KIND_N
};

struct peer_hello {
	uint16_t version;
	uint64_t instance;             /**< of the process: two of them never have the same */
	char host[PEER_HOST_MAX + 1];
};

struct peer_arrived {
	uint32_t generation;           /**< chosen by the destination, one for each arrival */
	uint64_t age_us;               /**< for how long the guest's rings have run there */
	uint16_t n;
	fdb_key_t keys[PEER_ADDRESSES_MAX];
};

struct peer_frame {
	uint32_t generation;
	struct virtio_net_hdr vnet;
	uint32_t len;
	const uint8_t *bytes;
};

struct peer_done {
	uint32_t generation;
	uint64_t frames;               /**< sent before it */
};

struct peer_message {
	enum peer_kind kind;
	union {
		struct peer_hello hello;
		struct peer_arrived arrived;
		struct peer_frame frame;
		struct peer_done done;
	};
};

/**
 * Reads a head.
 *
 * @param most  bytes that a body may have here
 * @return      length of the body; -EMSGSIZE: too long; -EPROTO: no such kind
 */
int peer_wire_head(const uint8_t head[PEER_HEAD], size_t most, enum peer_kind *kind);

/**
 * Reads a body, which a frame's bytes stay in.
 *
 * @return  0; -EPROTO: no such kind, shorter or longer than what it says of itself
 */
int peer_wire_decode(enum peer_kind kind, const uint8_t *body, size_t len,
		     struct peer_message *out);

/**
 * Writes a message; of a FRAME all but its bytes, which follow.
 *
 * @param out  PEER_WIRE_MAX bytes
 * @return     bytes written
 */
size_t peer_wire_encode(const struct peer_message *m, uint8_t *out);

#endif
