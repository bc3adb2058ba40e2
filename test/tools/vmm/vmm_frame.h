/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VMM_FRAME_H
#define VMM_FRAME_H

/**
 * @file
 * Frames that account for themselves, and the frame oracle.
 *
 * Every frame carries its flow, a 64-bit sequence number, its length and a checksum over everything
 * behind the Ethernet header; the filling follows from flow and sequence number.  Frames are UDP
 * over IPv4 (port numbers by flow, so that flow hashes spread them), short and raw ones use the
 * local experimental EtherType.  Order is kept only among frames of one kind.  Frames of TCP are
 * for segmentation and checksum offloads; what is checked in them starts behind the TCP header,
 * which a switch may have to rewrite.
 *
 * Life     plain values.
 * Threads  one at a time per flow.
 * Units    lengths in bytes, from the destination address to the last payload byte, without FCS.
 * Source   IEEE 802.3, IEEE 802 clause 9.2.4 (EtherType 88-B5), RFC 768, RFC 791, RFC 9293;
 *          virtio 1.2 clause 5.1.6.2 (what a driver writes for offloads).
 */

#include <linux/virtio_net.h>
#include <stdint.h>

#include "vmm_fault.h"

/** Shortest and longest frame that can account for itself. */
#define VMM_FRAME_MIN 38
#define VMM_FRAME_MAX 65535

/** Shortest frame of UDP. */
#define VMM_FRAME_UDP_MIN 66

/** Shortest frame of TCP, and where its payload starts. */
#define VMM_FRAME_TCP_MIN 78
#define VMM_FRAME_TCP_PAYLOAD 54

/** Who sends what to whom. */
struct vmm_frame {
	uint8_t dst[6], src[6];
	uint32_t flow;
	uint64_t seq;
	uint32_t len;
	bool tcp;               /* TCP over IPv4; needs VMM_FRAME_TCP_MIN bytes */
	bool raw;               /* neither UDP nor TCP; so is every frame below VMM_FRAME_UDP_MIN */
};

/** One direction of one flow, as sender and receiver count it. */
struct vmm_flow {
	uint32_t id;
	uint64_t sent;          /* the next sequence number to send */
	uint64_t expected;      /* the next sequence number that may arrive */
	uint64_t received;
	uint64_t missing;       /* numbers that were overtaken and may never arrive now */
};

/** Source port of a flow's UDP and TCP; flows below 60000 have ports of their own. */
static inline uint16_t
vmm_frame_port(uint32_t flow)
{
	return (uint16_t)(1024 + flow * 7919 % 60000);
}

/** Writes the frame.  @return 0; -EINVAL: length */
int vmm_frame_build(uint8_t *out, const struct vmm_frame *f);

/**
 * The virtio header for a frame of TCP whose checksum, and whose segments when it is longer than
 * `mss` allows, are left to the device.
 *
 * @param mss  most TCP payload of a segment
 */
void vmm_frame_offload(struct virtio_net_hdr_v1 *out, const struct vmm_frame *f, uint16_t mss);

/** The checksum of TCP over IPv4 as it stands in a frame.  @return true: right */
bool vmm_frame_tcp_valid(const uint8_t *bytes, uint32_t len);

/** True for a frame that vmm_frame_build() made (its checksum is not looked at). */
bool vmm_frame_ours(const uint8_t *bytes, uint32_t len);

/**
 * Takes a frame of ours apart and checks length, filling and checksum.
 *
 * @return 0; -EPROTO
 */
int vmm_frame_parse(struct vmm_frame *out, const uint8_t *bytes, uint32_t len,
		    struct vmm_fault *fault);

/** Order and duplicates: a number may be jumped over, never repeated.  @return 0; -EPROTO */
int vmm_flow_received(struct vmm_flow *flow, const struct vmm_frame *f, struct vmm_fault *fault);

/**
 * The sum: sent = received + drops.
 *
 * @param drops  frames that the switch says it dropped, by all names together
 * @return       0; -EPROTO
 */
int vmm_flow_check(const struct vmm_flow *flow, uint64_t drops, struct vmm_fault *fault);

#endif
