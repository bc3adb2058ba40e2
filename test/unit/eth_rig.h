/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_ETH_RIG_H
#define FERRY_ETH_RIG_H

/**
 * @file
 * A switch without threads: the test is control and, one turn at a time, each of two workers.
 *
 * Threads  one
 */

#include "check.h"
#include "fwd_impl.h"
#include "port_impl.h"

#define RIG_WORKERS 2
#define RIG_FRAME   70000

struct rig {
	struct cross *cross;
	struct swdev_pool *pool;
	struct ports *ports;
	struct fdb *fdb;
	struct capture *capture;
	struct fwd *fwd[RIG_WORKERS];
	struct rte_mempool *mbufs;  /* of the test, not of a port */
	char why[512];
	struct port_info info;      /* of the last rig_info() */
	uint32_t n_changed;         /* news about ports */
};

extern struct rig rig;

void rig_init(void);
void rig_fini(void);

/** Adds a port that hears all others; NULL: refused, rig.why says so. */
struct port *rig_add(const char *name, const char *devargs, uint16_t n_queues, uint16_t mtu);
/** Looks at a port again. */
const struct port_info *rig_info(struct port *p);
uint64_t rig_drops(struct port *p, enum drop d);

/** One turn of a worker. @return frames */
uint32_t rig_turn(uint32_t worker);

/* A net_ring device gives what it is given: one queue is both a way in and a way out. */

/** Leaves a frame in a ring for its port to receive. */
void rig_ring_put(struct port *p, uint16_t queue, const void *data, uint32_t len);
/** Takes what was sent to a ring; NULL: nothing. */
struct rte_mbuf *rig_ring_get(struct port *p, uint16_t queue);

/** Its bytes in one piece. */
void rig_mbuf_copy(const struct rte_mbuf *m, uint8_t *to);

/** A frame between two stations, its payload a pattern of `seed`. */
void rig_frame(uint8_t *to, uint32_t len, uint8_t seed);

/** Bytes that DPDK has given away. */
size_t rig_heap(void);

/* eth_frames.c: frames with headers, and what is right about them. */

struct packet {
	bool ipv6, udp;
	uint8_t n_tags;
	uint8_t n_options;       /* of 4 bytes, TCP's */
	uint32_t payload;
};

/** Builds it as a guest sends it: the sum of the pseudo header where the checksum will be. */
uint32_t packet_make(uint8_t *to, const struct packet *p);
uint32_t packet_l3(const struct packet *p);
uint32_t packet_l4(const struct packet *p);
uint32_t packet_payload(const struct packet *p);
uint16_t packet_csum_offset(const struct packet *p);
/** What the field holds while the sum is another's to do; `len` 0: for segments to come. */
uint16_t packet_pseudo(const uint8_t *frame, const struct packet *p, uint32_t l4_len);
/** Folded sum of bytes, not complemented. */
uint32_t packet_sum(const uint8_t *p, uint32_t len);
/** Whether the transport checksum and the IPv4 header's are right. */
bool packet_right(const uint8_t *frame, uint32_t len, const struct packet *p);
/** Has worker 0 deliver it as a guest's, to a device that offers so much. */
void packet_deliver(struct port *to, uint64_t offloads, const uint8_t *frame, uint32_t len,
		    const struct packet *p, uint16_t gso_size);
/** The same with a burst of n, at most FWD_BURST. */
void packets_deliver(struct port *to, uint64_t offloads, const uint8_t *const *frames,
		     const uint32_t *lens, const struct packet *p, uint16_t gso_size, uint32_t n);

/* port_eth_test.c, fwd_eth_test.c, port_eth_tap_test.c */

void port_eth_stories(void);
void fwd_eth_stories(void);
/** @return false: this machine allows no tap */
bool port_eth_tap_stories(void);

#endif
