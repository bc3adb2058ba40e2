/* SPDX-License-Identifier: BSD-3-Clause */
#include "gather.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "guest_inner.h"

#define ETH 14
#define IP 20
#define PAYLOAD VMM_FRAME_TCP_PAYLOAD
#define PSH 0x08

static uint32_t
get16(const uint8_t *at)
{
	return (uint32_t)(at[0] << 8 | at[1]);
}

bool
gather_wants(const uint8_t *bytes, uint32_t len)
{
	return len > PAYLOAD && get16(bytes + 12) == 0x0800 && bytes[ETH] == 0x45 &&
		bytes[ETH + 9] == 6 && get16(bytes + ETH + 12) == (198 << 8 | 18);
}

void
gather_fini(struct gather *g)
{
	free(g->bytes);
	*g = (struct gather){ 0 };
}

/* The checksum is either complete, or declared incomplete to a guest that agreed to that. */
static int
checksum_check(const struct vmm_guest *to, const uint8_t *bytes, uint32_t len,
	       const vmm_net_hdr *hdr)
{
	if ((hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) == 0)
		return vmm_frame_tcp_valid(bytes, len) ? 0 :
			vmm_fault_set(to->fault, "offload: TCP checksum of %u bytes is wrong", len);
	if (!guest_has(to, VIRTIO_NET_F_GUEST_CSUM))
		return vmm_fault_set(to->fault, "offload: incomplete checksum without GUEST_CSUM");
	if (hdr->csum_start != ETH + IP || hdr->csum_offset != 16)
		return vmm_fault_set(to->fault, "offload: checksum at %u + %u", hdr->csum_start,
				     hdr->csum_offset);
	return 0;
}

/* A frame of several segments in one piece. */
static int
whole_check(const struct vmm_guest *to, const vmm_net_hdr *hdr, uint32_t len)
{
	if (hdr->gso_type != VIRTIO_NET_HDR_GSO_TCPV4)
		return vmm_fault_set(to->fault, "offload: gso_type %u", hdr->gso_type);
	if (!guest_has(to, VIRTIO_NET_F_GUEST_TSO4))
		return vmm_fault_set(to->fault, "offload: %u bytes in one piece without GUEST_TSO4",
				     len);
	if (hdr->gso_size != GATHER_MSS)
		return vmm_fault_set(to->fault, "offload: gso_size %u, sent %u", hdr->gso_size,
				     GATHER_MSS);
	return 0;
}

/* Every header of its own is right: length, header checksum. */
static int
segment_check(const struct vmm_guest *to, const uint8_t *bytes, uint32_t len)
{
	uint32_t sum = 0;

	if (get16(bytes + ETH + 2) != len - ETH)
		return vmm_fault_set(to->fault, "offload: IP says %u bytes, there are %u",
				     get16(bytes + ETH + 2), len - ETH);
	for (int i = 0; i < IP; i += 2)
		sum += get16(bytes + ETH + i);
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	if (sum != 0xffff)
		return vmm_fault_set(to->fault, "offload: IP header checksum is wrong");
	if (len - PAYLOAD > GATHER_MSS)
		return vmm_fault_set(to->fault, "offload: segment of %u bytes", len - PAYLOAD);
	return 0;
}

/* The first segment carries the tag, which says how long all of it is. */
static int
first_take(struct gather *g, const struct vmm_guest *to, const uint8_t *bytes, uint32_t len)
{
	if (get16(bytes + ETH + IP + 6) != 0 || !vmm_frame_ours(bytes, len))
		return vmm_fault_set(to->fault, "offload: segment at offset %u without a first one",
				     get16(bytes + ETH + IP + 6));
	if (g->bytes == NULL)
		g->bytes = malloc(VMM_FRAME_MAX + 1);
	if (g->bytes == NULL)
		return -ENOMEM;
	memcpy(g->bytes, bytes, len);
	memcpy(&g->total, bytes + PAYLOAD + 16, sizeof(g->total));
	g->ip_id = (uint16_t)get16(bytes + ETH + 4);
	g->len = len;
	g->n = 1;
	return 0;
}

static int
next_take(struct gather *g, const struct vmm_guest *to, const uint8_t *bytes, uint32_t len)
{
	uint32_t offset = get16(bytes + ETH + IP + 6), id = get16(bytes + ETH + 4);

	if (offset != g->len - PAYLOAD)
		return vmm_fault_set(to->fault, "offload: segment at offset %u, expected %u",
				     offset, g->len - PAYLOAD);
	if (memcmp(bytes + ETH + IP, g->bytes + ETH + IP, 6) != 0)
		return vmm_fault_set(to->fault, "offload: segment of another frame at offset %u",
				     offset);
	if (id != (uint16_t)(g->ip_id + g->n))
		return vmm_fault_set(to->fault, "offload: IP id %u, expected %u", id,
				     (uint16_t)(g->ip_id + g->n));
	if (len - PAYLOAD > VMM_FRAME_MAX - g->len)
		return vmm_fault_set(to->fault, "offload: more than %u bytes", VMM_FRAME_MAX);
	memcpy(g->bytes + g->len, bytes + PAYLOAD, len - PAYLOAD);
	g->len += len - PAYLOAD;
	g->n++;
	return 0;
}

/* PSH belongs to the last segment only, since the sender set it. */
static int
end_check(struct gather *g, const struct vmm_guest *to, const uint8_t *bytes)
{
	bool last = g->len >= g->total, pushed = (bytes[ETH + IP + 13] & PSH) != 0;

	if (last != pushed)
		return vmm_fault_set(to->fault, "offload: PSH is %s on segment %u",
				     pushed ? "set" : "missing", g->n);
	return 0;
}

int
gather_add(struct gather *g, const struct vmm_guest *to, const uint8_t *bytes, uint32_t len,
	   const vmm_net_hdr *hdr, const uint8_t **out)
{
	int rc = checksum_check(to, bytes, len, hdr);

	if (rc == 0 && hdr->gso_type != VIRTIO_NET_HDR_GSO_NONE) {
		rc = whole_check(to, hdr, len);
		*out = bytes;
		return rc < 0 ? rc : (int)len;
	}
	if (rc == 0)
		rc = segment_check(to, bytes, len);
	if (rc == 0)
		rc = g->len == 0 ? first_take(g, to, bytes, len) : next_take(g, to, bytes, len);
	if (rc == 0)
		rc = end_check(g, to, bytes);
	if (rc < 0)
		return rc;
	g->segments++;
	if (g->len < g->total)
		return 0;
	*out = g->bytes;
	rc = (int)g->len;
	g->len = 0;
	return rc;
}

bool
gather_broken(struct gather *g, const uint8_t *bytes)
{
	uint32_t offset = get16(bytes + ETH + IP + 6), id = get16(bytes + ETH + 4);

	if (g->len > 0 && offset == g->len - PAYLOAD && id == (uint16_t)(g->ip_id + g->n))
		return false;
	g->len = 0;
	return offset != 0;
}
