/* SPDX-License-Identifier: BSD-3-Clause */
#include "vmm_frame.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define ETHERTYPE_LOCAL 0x88b5
#define ETHERTYPE_IPV4 0x0800
#define ETH_LEN 14
#define IP_LEN 20
#define UDP_LEN 8
#define TCP_LEN 20
#define PROTO_TCP 6
#define PROTO_UDP 17
#define MAGIC 0x66657279

/* The part that accounts; it stands behind the Ethernet or the UDP header. */
struct tag {
	uint32_t magic;
	uint32_t flow;
	uint64_t seq;
	uint32_t len;
	uint32_t sum;
};

_Static_assert(ETH_LEN + IP_LEN + UDP_LEN + sizeof(struct tag) == VMM_FRAME_UDP_MIN, "UDP");
_Static_assert(ETH_LEN + IP_LEN + TCP_LEN + sizeof(struct tag) == VMM_FRAME_TCP_MIN, "TCP");

static uint64_t
mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

/* Sum over eight bytes at a time, mixed so that swapped words do not cancel out. */
static uint32_t
checksum(const uint8_t *bytes, uint32_t len)
{
	uint64_t sum = len, word;

	for (; len >= 8; bytes += 8, len -= 8) {
		memcpy(&word, bytes, 8);
		sum = (sum ^ word) * 0x9e3779b97f4a7c15;
		sum ^= sum >> 29;
	}
	for (; len > 0; bytes++, len--)
		sum = (sum ^ *bytes) * 0x9e3779b97f4a7c15;
	return (uint32_t)(sum >> 32);
}

static void
fill(uint8_t *out, uint32_t len, uint32_t flow, uint64_t seq)
{
	uint64_t word = mix(seq ^ (uint64_t)flow << 40);

	for (; len >= 8; out += 8, len -= 8) {
		memcpy(out, &word, 8);
		word += 0x9e3779b97f4a7c15;
	}
	memcpy(out, &word, len);
}

static void
put16(uint8_t *out, uint32_t value)
{
	uint16_t be = htons((uint16_t)value);

	memcpy(out, &be, sizeof(be));
}

/* Ones' complement sum over an even or odd number of bytes, not inverted. */
static uint16_t
ones_sum(const uint8_t *bytes, uint32_t len, uint32_t sum)
{
	for (; len >= 2; bytes += 2, len -= 2)
		sum += (uint32_t)(bytes[0] << 8 | bytes[1]);
	if (len > 0)
		sum += (uint32_t)(bytes[0] << 8);
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* The pseudo header's share of a TCP checksum. */
static uint16_t
pseudo_sum(const uint8_t *ip, uint32_t tcp_len)
{
	return ones_sum(ip + 12, 8, PROTO_TCP + tcp_len);
}

static void
ip_write(uint8_t *out, const struct vmm_frame *f)
{
	memset(out, 0, IP_LEN);
	out[0] = 0x45;
	put16(out + 2, f->len - ETH_LEN);
	put16(out + 4, (uint32_t)f->seq);
	out[8] = 64;
	out[9] = f->tcp ? PROTO_TCP : PROTO_UDP;
	memcpy(out + 12, (const uint8_t[]){ 198, 18, 0, f->src[5] }, 4);
	memcpy(out + 16, (const uint8_t[]){ 198, 18, 0, f->dst[5] }, 4);
	put16(out + 10, (uint16_t)~ones_sum(out, IP_LEN, 0));
}

static void
udp_write(uint8_t *out, const struct vmm_frame *f)
{
	put16(out, vmm_frame_port(f->flow));
	put16(out + 2, 9);
	put16(out + 4, f->len - ETH_LEN - IP_LEN);
	/* UDP over IPv4 may leave its checksum out: ours covers more. */
	put16(out + 6, 0);
}

/* Every frame has 64 KiB of sequence numbers: the low half is the offset within the frame. */
static void
tcp_write(uint8_t *out, const uint8_t *ip, const struct vmm_frame *f)
{
	memset(out, 0, TCP_LEN);
	put16(out, vmm_frame_port(f->flow));
	put16(out + 2, 9);
	put16(out + 4, (uint32_t)f->seq);
	put16(out + 8, 1);
	out[12] = TCP_LEN / 4 << 4;
	out[13] = 0x18; /* ACK, PSH */
	put16(out + 14, 0xffff);
	/* Left to the device: only the pseudo header's share (virtio 1.2 clause 5.1.6.2). */
	put16(out + 16, pseudo_sum(ip, f->len - ETH_LEN - IP_LEN));
}

static void
headers_write(uint8_t *out, const struct vmm_frame *f, uint32_t tag)
{
	memcpy(out, f->dst, 6);
	memcpy(out + 6, f->src, 6);
	put16(out + 12, tag == ETH_LEN ? ETHERTYPE_LOCAL : ETHERTYPE_IPV4);
	if (tag == ETH_LEN)
		return;
	ip_write(out + ETH_LEN, f);
	if (f->tcp)
		tcp_write(out + ETH_LEN + IP_LEN, out + ETH_LEN, f);
	else
		udp_write(out + ETH_LEN + IP_LEN, f);
}

/* Offset of the tag in a frame that is to be made. */
static uint32_t
tag_choose(const struct vmm_frame *f)
{
	if (f->tcp)
		return VMM_FRAME_TCP_PAYLOAD;
	if (f->raw || f->len < VMM_FRAME_UDP_MIN)
		return ETH_LEN;
	return ETH_LEN + IP_LEN + UDP_LEN;
}

/* Offset of the tag in a frame that arrived; 0: it cannot have one. */
static uint32_t
tag_find(const uint8_t *bytes, uint32_t len)
{
	uint32_t at = ETH_LEN;

	if (len < VMM_FRAME_MIN)
		return 0;
	if (bytes[12] == ETHERTYPE_IPV4 >> 8 && bytes[13] == (ETHERTYPE_IPV4 & 0xff))
		at = ETH_LEN + IP_LEN + (bytes[ETH_LEN + 9] == PROTO_TCP ? TCP_LEN : UDP_LEN);
	return len >= at + sizeof(struct tag) ? at : 0;
}

/* What our checksum covers: not a TCP header, whose checksum is the switch's to complete. */
static uint32_t
sum_from(uint32_t tag)
{
	return tag == VMM_FRAME_TCP_PAYLOAD ? tag : ETH_LEN;
}

void
vmm_frame_offload(struct virtio_net_hdr_v1 *out, const struct vmm_frame *f, uint16_t mss)
{
	*out = (struct virtio_net_hdr_v1){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.csum_start = ETH_LEN + IP_LEN,
		.csum_offset = 16,
	};
	if (f->len - VMM_FRAME_TCP_PAYLOAD <= mss)
		return;
	out->gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
	out->gso_size = mss;
	out->hdr_len = VMM_FRAME_TCP_PAYLOAD;
}

bool
vmm_frame_tcp_valid(const uint8_t *bytes, uint32_t len)
{
	const uint8_t *ip = bytes + ETH_LEN;
	uint32_t tcp_len = len - ETH_LEN - IP_LEN;

	return ones_sum(ip + IP_LEN, tcp_len, pseudo_sum(ip, tcp_len)) == 0xffff;
}

int
vmm_frame_build(uint8_t *out, const struct vmm_frame *f)
{
	struct tag tag = { .magic = MAGIC, .flow = f->flow, .seq = f->seq, .len = f->len };
	uint32_t at = tag_choose(f), body = at + sizeof(tag);

	if (f->len < (f->tcp ? VMM_FRAME_TCP_MIN : VMM_FRAME_MIN) || f->len > VMM_FRAME_MAX)
		return -EINVAL;
	headers_write(out, f, at);
	fill(out + body, f->len - body, f->flow, f->seq);
	memcpy(out + at, &tag, sizeof(tag));
	tag.sum = checksum(out + sum_from(at), f->len - sum_from(at));
	memcpy(out + at, &tag, sizeof(tag));
	return 0;
}

bool
vmm_frame_ours(const uint8_t *bytes, uint32_t len)
{
	uint32_t at = tag_find(bytes, len), magic;

	if (at == 0)
		return false;
	memcpy(&magic, bytes + at, sizeof(magic));
	return magic == MAGIC;
}

/* The checksum as the sender made it: over a tag whose sum is still zero. */
static uint32_t
checksum_without(const uint8_t *bytes, uint32_t len, uint32_t at, const struct tag *tag)
{
	uint8_t copy[VMM_FRAME_MAX];
	struct tag blank = *tag;
	uint32_t from = sum_from(at);

	blank.sum = 0;
	memcpy(copy, bytes + from, len - from);
	memcpy(copy + at - from, &blank, sizeof(blank));
	return checksum(copy, len - from);
}

int
vmm_frame_parse(struct vmm_frame *out, const uint8_t *bytes, uint32_t len, struct vmm_fault *fault)
{
	uint32_t at = tag_find(bytes, len);
	struct tag tag;

	if (len > VMM_FRAME_MAX || !vmm_frame_ours(bytes, len))
		return vmm_fault_set(fault, "frame: %u bytes that nobody sent", len);
	memcpy(&tag, bytes + at, sizeof(tag));
	if (tag.len != len)
		return vmm_fault_set(fault, "frame: flow %u seq %" PRIu64 " has %u bytes, sent %u",
				     tag.flow, tag.seq, len, tag.len);
	if (checksum_without(bytes, len, at, &tag) != tag.sum)
		return vmm_fault_set(fault, "frame: flow %u seq %" PRIu64 " (%u bytes) is damaged",
				     tag.flow, tag.seq, len);
	memcpy(out->dst, bytes, 6);
	memcpy(out->src, bytes + 6, 6);
	out->flow = tag.flow;
	out->seq = tag.seq;
	out->len = len;
	out->tcp = at == VMM_FRAME_TCP_PAYLOAD;
	out->raw = at == ETH_LEN;
	return 0;
}

int
vmm_flow_received(struct vmm_flow *flow, const struct vmm_frame *f, struct vmm_fault *fault)
{
	if (f->seq >= flow->sent)
		return vmm_fault_set(fault, "flow %u: seq %" PRIu64 " arrived of %" PRIu64 " sent",
				     flow->id, f->seq, flow->sent);
	if (f->seq < flow->expected)
		return vmm_fault_set(fault, "flow %u: seq %" PRIu64 " after %" PRIu64
				     ": reordered or twice", flow->id, f->seq, flow->expected - 1);
	flow->missing += f->seq - flow->expected;
	flow->expected = f->seq + 1;
	flow->received++;
	return 0;
}

int
vmm_flow_check(const struct vmm_flow *flow, uint64_t drops, struct vmm_fault *fault)
{
	if (flow->sent == flow->received + drops)
		return 0;
	return vmm_fault_set(fault, "flow %u: %" PRIu64 " sent, %" PRIu64 " received, %" PRIu64
			     " dropped by name", flow->id, flow->sent, flow->received, drops);
}
