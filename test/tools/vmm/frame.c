/* SPDX-License-Identifier: BSD-3-Clause */
#include "vmm_frame.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define ETHERTYPE_LOCAL 0x88b5
#define ETHERTYPE_IPV4 0x0800
#define ETH_LEN 14
#define IP_UDP_LEN 28
#define MAGIC 0x66657279

/* The part that accounts; it stands behind the Ethernet or the UDP header. */
struct tag {
	uint32_t magic;
	uint32_t flow;
	uint64_t seq;
	uint32_t len;
	uint32_t sum;
};

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

static uint16_t
ip_sum(const uint8_t *header)
{
	uint32_t sum = 0;

	for (int i = 0; i < 20; i += 2)
		sum += (uint32_t)(header[i] << 8 | header[i + 1]);
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void
ip_udp_write(uint8_t *out, const struct vmm_frame *f)
{
	memset(out, 0, IP_UDP_LEN);
	out[0] = 0x45;
	put16(out + 2, f->len - ETH_LEN);
	put16(out + 4, (uint32_t)f->seq);
	out[8] = 64;
	out[9] = 17;
	memcpy(out + 12, (const uint8_t[]){ 198, 18, 0, f->src[5] }, 4);
	memcpy(out + 16, (const uint8_t[]){ 198, 18, 0, f->dst[5] }, 4);
	put16(out + 10, ip_sum(out));
	put16(out + 20, 1024 + f->flow * 7919 % 60000);
	put16(out + 22, 9);
	/* UDP over IPv4 may leave its checksum out: ours covers more. */
	put16(out + 24, f->len - ETH_LEN - 20);
}

/* Offset of the tag in a frame of this length. */
static uint32_t
tag_at(uint32_t len)
{
	return len >= ETH_LEN + IP_UDP_LEN + sizeof(struct tag) ? ETH_LEN + IP_UDP_LEN : ETH_LEN;
}

int
vmm_frame_build(uint8_t *out, const struct vmm_frame *f)
{
	struct tag tag = { .magic = MAGIC, .flow = f->flow, .seq = f->seq, .len = f->len };
	uint32_t at = tag_at(f->len), body = at + sizeof(tag);

	if (f->len < VMM_FRAME_MIN || f->len > VMM_FRAME_MAX)
		return -EINVAL;
	memcpy(out, f->dst, 6);
	memcpy(out + 6, f->src, 6);
	put16(out + 12, at == ETH_LEN ? ETHERTYPE_LOCAL : ETHERTYPE_IPV4);
	if (at != ETH_LEN)
		ip_udp_write(out + ETH_LEN, f);
	fill(out + body, f->len - body, f->flow, f->seq);
	memcpy(out + at, &tag, sizeof(tag));
	tag.sum = checksum(out + ETH_LEN, f->len - ETH_LEN);
	memcpy(out + at, &tag, sizeof(tag));
	return 0;
}

bool
vmm_frame_ours(const uint8_t *bytes, uint32_t len)
{
	uint32_t magic;

	if (len < VMM_FRAME_MIN)
		return false;
	memcpy(&magic, bytes + tag_at(len), sizeof(magic));
	return magic == MAGIC;
}

/* The checksum as the sender made it: over a tag whose sum is still zero. */
static uint32_t
checksum_without(const uint8_t *bytes, uint32_t len, uint32_t at, const struct tag *tag)
{
	uint8_t copy[VMM_FRAME_MAX];
	struct tag blank = *tag;

	blank.sum = 0;
	memcpy(copy, bytes + ETH_LEN, len - ETH_LEN);
	memcpy(copy + at - ETH_LEN, &blank, sizeof(blank));
	return checksum(copy, len - ETH_LEN);
}

int
vmm_frame_parse(struct vmm_frame *out, const uint8_t *bytes, uint32_t len, struct vmm_fault *fault)
{
	uint32_t at = tag_at(len);
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
	return 0;
}

int
vmm_flow_received(struct vmm_flow *flow, const struct vmm_frame *f, struct vmm_fault *fault)
{
	if (f->seq >= flow->sent)
		return vmm_fault_set(fault, "flow %u: seq %" PRIu64 " arrived, %" PRIu64 " were sent",
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
