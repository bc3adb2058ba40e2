/* SPDX-License-Identifier: BSD-3-Clause */
/* Checksums and segments made in software, against a slow reference that shares no code with them. */
#include "fwd_rig.h"

#include <linux/virtio_net.h>

#define FIN 0x01
#define PSH 0x08
#define ACK 0x10
#define CWR 0x80

#define TCP 6
#define UDP 17

/* Port 0 sends; what the others take: nothing, checksums only, all but ECN, everything. */
enum { SENDER, TAKES_NONE, TAKES_CSUM, TAKES_TSO, TAKES_ALL, N_PORTS };

static struct rig rig;

struct row {
	bool ipv6, tagged, more;  /* more: IPv4 options, or an IPv6 extension header */
	uint8_t tcp_len;          /* 0: UDP */
	uint8_t flags;
	uint32_t payload;
	uint16_t mss;             /* 0: checksum alone */
};

/* A frame and where its parts are. */
struct packet {
	uint8_t bytes[RIG_FRAME];
	uint32_t len, l3, l4, data;
};

static void
put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void
put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

static uint32_t
get16(const uint8_t *p)
{
	return (uint32_t)(p[0] << 8 | p[1]);
}

static uint32_t
get32(const uint8_t *p)
{
	return get16(p) << 16 | get16(p + 2);
}

/* RFC 1071, a byte at a time. */
static uint32_t
ones_sum(const uint8_t *p, uint32_t len, uint32_t sum)
{
	for (uint32_t i = 0; i < len; i++) {
		sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum;
}

static uint32_t
pseudo(const struct packet *p, const struct row *row)
{
	uint32_t l4_len = p->len - p->l4;
	uint32_t sum = ones_sum(p->bytes + p->l3 + (row->ipv6 ? 8 : 12), row->ipv6 ? 32 : 8, 0);

	sum += (row->tcp_len > 0 ? TCP : UDP) + (l4_len & 0xffff) + (l4_len >> 16);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static uint8_t *
csum_at(struct packet *p, const struct row *row)
{
	return p->bytes + p->l4 + (row->tcp_len > 0 ? 16 : 6);
}

static void
csum_full(struct packet *p, const struct row *row)
{
	uint32_t sum;

	put16(csum_at(p, row), 0);
	sum = ~ones_sum(p->bytes + p->l4, p->len - p->l4, pseudo(p, row)) & 0xffff;
	put16(csum_at(p, row), sum == 0 && row->tcp_len == 0 ? 0xffff : sum);
}

static void
ip_lengths(struct packet *p, const struct row *row)
{
	uint8_t *ip = p->bytes + p->l3;

	if (row->ipv6) {
		put16(ip + 4, p->len - p->l3 - 40);
		return;
	}
	put16(ip + 2, p->len - p->l3);
	put16(ip + 10, 0);
	put16(ip + 10, ~ones_sum(ip, p->l4 - p->l3, 0));
}

static void
ip_build(struct packet *p, const struct row *row)
{
	uint8_t *ip = p->bytes + p->l3, proto = row->tcp_len > 0 ? TCP : UDP;

	p->l4 = p->l3 + (row->ipv6 ? 40 : 20) + (row->more ? 8 : 0);
	for (uint32_t i = 0; i < p->l4 - p->l3; i++)
		ip[i] = (uint8_t)(i * 37 + 11);
	if (!row->ipv6) {
		ip[0] = (uint8_t)(0x40 | (p->l4 - p->l3) / 4);
		put16(ip + 4, 0xfffe);            /* the next ones wrap */
		put16(ip + 6, 0x4000);
		ip[9] = proto;
		return;
	}
	ip[0] = 0x60;
	ip[6] = row->more ? 60 : proto;           /* destination options */
	if (row->more) {
		memset(ip + 40, 0, 8);
		ip[40] = proto;
		ip[42] = 1;                       /* PadN */
		ip[43] = 4;
	}
}

static void
packet_build(struct packet *p, const struct row *row, uint16_t to)
{
	uint8_t *l4;

	memcpy(p->bytes, rig_mac(&rig, to), 6);
	memcpy(p->bytes + 6, rig_mac(&rig, SENDER), 6);
	p->l3 = 14;
	if (row->tagged) {
		put32(p->bytes + 12, 0x81000064);
		p->l3 = 18;
	}
	put16(p->bytes + p->l3 - 2, row->ipv6 ? 0x86dd : 0x0800);
	ip_build(p, row);
	l4 = p->bytes + p->l4;
	p->data = p->l4 + (row->tcp_len > 0 ? row->tcp_len : 8);
	p->len = p->data + row->payload;
	for (uint32_t i = 0; i < p->len - p->l4; i++)
		l4[i] = (uint8_t)(i * 13 + i / 256 + 5);
	if (row->tcp_len > 0) {
		put32(l4 + 4, 0xffffff00);        /* the sequence wraps */
		l4[12] = (uint8_t)(row->tcp_len / 4 << 4);
		l4[13] = row->flags;
	} else {
		put16(l4 + 4, p->len - p->l4);
	}
	ip_lengths(p, row);
	put16(csum_at(p, row), pseudo(p, row));
}

static struct virtio_net_hdr_v1
packet_hdr(const struct packet *p, const struct row *row)
{
	struct virtio_net_hdr_v1 h = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = (uint16_t)p->l4,
		.csum_offset = row->tcp_len > 0 ? 16 : 6,
	};

	if (row->mss > 0) {
		h.gso_type = row->ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
		if (row->flags & CWR)
			h.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
		h.gso_size = row->mss;
		h.hdr_len = (uint16_t)p->data;
	}
	return h;
}

/* The i-th segment, as a stack that had no offload would have sent it. */
static void
segment_of(struct packet *out, const struct packet *p, const struct row *row, uint32_t i)
{
	uint32_t at = i * row->mss, left = row->payload - at;
	uint8_t *tcp = out->bytes + p->l4;

	out->l3 = p->l3;
	out->l4 = p->l4;
	out->data = p->data;
	out->len = p->data + (left < row->mss ? left : row->mss);
	memcpy(out->bytes, p->bytes, p->data);
	memcpy(out->bytes + p->data, p->bytes + p->data + at, out->len - p->data);
	if (!row->ipv6)
		put16(out->bytes + p->l3 + 4, get16(p->bytes + p->l3 + 4) + i);
	put32(tcp + 4, get32(p->bytes + p->l4 + 4) + at);
	if (left > row->mss)
		tcp[13] &= (uint8_t)~(FIN | PSH);
	if (i > 0)
		tcp[13] &= (uint8_t)~CWR;
	ip_lengths(out, row);
}

static struct packet sent, want;

/* Frames of one row as a receiver that takes no segments has to get them. */
static void
parts_check(const struct row *row, uint16_t to, bool csum_left)
{
	uint32_t n = row->mss > 0 ? (row->payload + row->mss - 1) / row->mss : 1;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t len = rig_recv(&rig, to, NULL);

		if (row->mss > 0)
			segment_of(&want, &sent, row, i);
		else
			want = sent;
		if (csum_left)
			put16(csum_at(&want, row), pseudo(&want, row));
		else
			csum_full(&want, row);
		CHECK(len == want.len);
		CHECK(memcmp(rig.frame, want.bytes, want.len) == 0);
		CHECK(rig.hdr.gso_type == 0 && rig.hdr.gso_size == 0);
		CHECK(rig.hdr.flags == (csum_left ? VIRTIO_NET_HDR_F_NEEDS_CSUM : 0));
		CHECK(!csum_left || (rig.hdr.csum_start == sent.l4 &&
				     rig.hdr.csum_offset == (row->tcp_len > 0 ? 16 : 6)));
	}
	CHECK(rig_recv(&rig, to, NULL) == 0);
}

static void
whole_check(const struct virtio_net_hdr_v1 *h, uint16_t to)
{
	CHECK(rig_recv(&rig, to, NULL) == sent.len);
	CHECK(memcmp(rig.frame, sent.bytes, sent.len) == 0);
	CHECK(rig.hdr.flags == h->flags && rig.hdr.gso_type == h->gso_type);
	CHECK(rig.hdr.gso_size == h->gso_size && rig.hdr.csum_start == h->csum_start);
	CHECK(rig.hdr.csum_offset == h->csum_offset && rig.hdr.hdr_len == h->hdr_len);
	CHECK(rig_recv(&rig, to, NULL) == 0);
}

static void
row_run(const struct row *row)
{
	unsigned int failed = checks_failed;

	for (uint16_t to = TAKES_NONE; to < N_PORTS; to++) {
		struct virtio_net_hdr_v1 h;

		packet_build(&sent, row, to);
		h = packet_hdr(&sent, row);
		rig_send(&rig, SENDER, sent.bytes, sent.len, &h);
		rig_turn(&rig);
		if (to == TAKES_NONE)
			parts_check(row, to, false);
		else if ((to == TAKES_CSUM && row->mss > 0) ||
			 (to == TAKES_TSO && row->mss > 0 && (row->flags & CWR) != 0))
			parts_check(row, to, true);
		else
			whole_check(&h, to);
		if (checks_failed == failed)
			continue;
		fprintf(stderr, "  ipv%d%s%s, %s, %u bytes, mss %u, flags 0x%02x, to port %u\n",
			row->ipv6 ? 6 : 4, row->tagged ? ", tagged" : "",
			row->more ? ", options" : "", row->tcp_len > 0 ? "TCP" : "UDP",
			row->payload, row->mss, row->flags, to);
		failed = checks_failed;
	}
}

static void
create(void)
{
	static const struct testbed_opts bed = { .n_workers = 1, .n_ports = N_PORTS };
	const uint64_t tso = 1ULL << VIRTIO_NET_F_GUEST_TSO4 | 1ULL << VIRTIO_NET_F_GUEST_TSO6;
	const uint64_t ecn = 1ULL << VIRTIO_NET_F_GUEST_ECN;
	struct vmm_guest_conf confs[N_PORTS];

	for (int p = 0; p < N_PORTS; p++) {
		vmm_guest_conf_init(&confs[p]);
		confs[p].offload = p != TAKES_NONE;
		confs[p].tx_buf = p == SENDER ? 70000 : 2048;
		confs[p].n_bufs = p == SENDER ? 16 : 128;
		confs[p].segs = 3;
		confs[p].shadow = true;
	}
	confs[TAKES_CSUM].features_off = tso | ecn;
	confs[TAKES_TSO].features_off = ecn;
	rig_create(&rig, &bed, confs);
	for (uint16_t p = 0; p < N_PORTS; p++)
		CHECK(fdb_add(rig.bed.fdb, fdb_key(0, rig_mac(&rig, p)), p) == 0);
	for (uint16_t p = 0; p < N_PORTS; p++)
		CHECK(fdb_add(rig.bed.fdb, fdb_key(0x64, rig_mac(&rig, p)), p) == 0);
}

/* All kinds of headers, sizes around the ends of segments, the flags that only one segment has. */
static void
matrix(void)
{
	static const uint32_t payloads[] = { 1, 535, 536, 537, 1072, 1073, 9001, 60000 };
	static const uint8_t flags[] = { ACK, ACK | PSH, ACK | FIN, ACK | CWR, 0xff };

	for (unsigned int kind = 0; kind < 16; kind++)
		for (unsigned int i = 0; i < RTE_DIM(payloads); i++) {
			struct row row = {
				.ipv6 = kind & 1, .tagged = kind & 2, .more = kind & 4,
				.tcp_len = kind & 8 ? 32 : 20, .payload = payloads[i],
				.flags = flags[(kind + i) % RTE_DIM(flags)], .mss = 536,
			};

			row_run(&row);
			row.mss = 0;
			row.payload = RTE_MIN(row.payload, 1900u);
			row_run(&row);
			row.tcp_len = 0;
			row_run(&row);
		}
}

/* A sum of zero: UDP says 0xffff, as zero would mean that there is none. */
static void
udp_zero(void)
{
	const struct row row = { .payload = 64 };
	struct virtio_net_hdr_v1 h;
	uint32_t sum;

	packet_build(&sent, &row, TAKES_NONE);
	put16(sent.bytes + sent.data, 0);
	put16(csum_at(&sent, &row), 0);
	sum = ones_sum(sent.bytes + sent.l4, sent.len - sent.l4, pseudo(&sent, &row));
	put16(sent.bytes + sent.data, 0xffff - (sum & 0xffff));
	put16(csum_at(&sent, &row), pseudo(&sent, &row));
	h = packet_hdr(&sent, &row);
	rig_send(&rig, SENDER, sent.bytes, sent.len, &h);
	rig_turn(&rig);
	CHECK(rig_recv(&rig, TAKES_NONE, NULL) == sent.len);
	CHECK(get16(rig.frame + sent.l4 + 6) == 0xffff);
}

/* Large frames whose headers do not say what their virtio-net header does. */
static const struct {
	const char *story;
	uint32_t at;             /* from the network header on */
	uint8_t value;
	struct virtio_net_hdr_v1 change;  /* what is not 0 replaces */
} lies[] = {
	{ "IPv6 said to be IPv4", 0, 0x45, { .gso_type = VIRTIO_NET_HDR_GSO_TCPV6 } },
	{ "header length of IPv4 is another", 0, 0x46, { 0 } },
	{ "header length of TCP is too small", 20 + 12, 0x40, { 0 } },
	{ "header length of TCP runs over the end", 20 + 12, 0xf0, { 0 } },
	{ "checksum of something else", 0, 0x45, { .csum_offset = 6 } },
	{ "checksum starts elsewhere", 0, 0x45, { .csum_start = 40 } },
};

static void
liars(void)
{
	for (size_t i = 0; i < RTE_DIM(lies); i++) {
		const struct row row = { .tcp_len = 20, .payload = i == 3 ? 30 : 3000, .mss = 536 };
		uint64_t drops = testbed_drop(&rig.bed, SENDER, DROP_BAD_HDR);
		struct virtio_net_hdr_v1 h;

		packet_build(&sent, &row, TAKES_NONE);
		sent.bytes[14 + lies[i].at] = lies[i].value;
		h = packet_hdr(&sent, &row);
		h.gso_type = lies[i].change.gso_type ? lies[i].change.gso_type : h.gso_type;
		h.csum_offset = lies[i].change.csum_offset ? lies[i].change.csum_offset : h.csum_offset;
		h.csum_start = lies[i].change.csum_start ? lies[i].change.csum_start : h.csum_start;
		rig_send(&rig, SENDER, sent.bytes, sent.len, &h);
		rig_turn(&rig);
		CHECK_STR(lies[i].story, rig_recv(&rig, TAKES_NONE, NULL) == 0 &&
			  testbed_drop(&rig.bed, SENDER, DROP_BAD_HDR) == drops + 1 ? "dropped" :
			  "passed", "dropped");
	}
}

/* Flooded it is as bad for each receiver, and counted once. */
static void
liar_flooded(void)
{
	const struct row row = { .tcp_len = 20, .payload = 3000, .mss = 536 };
	uint64_t drops = testbed_drop(&rig.bed, SENDER, DROP_BAD_HDR);
	struct virtio_net_hdr_v1 h;

	for (uint32_t n = 1; n <= 2; n++) {
		packet_build(&sent, &row, TAKES_NONE);
		memset(sent.bytes, 0xff, 6);
		sent.bytes[14] = 0x46;
		h = packet_hdr(&sent, &row);
		rig_send(&rig, SENDER, sent.bytes, sent.len, &h);
		rig_turn(&rig);
		CHECK(rig_recv(&rig, TAKES_NONE, NULL) == 0 && rig_recv(&rig, TAKES_CSUM, NULL) == 0);
		CHECK(rig_recv(&rig, TAKES_TSO, NULL) == sent.len);
		CHECK(rig_recv(&rig, TAKES_ALL, NULL) == sent.len);
		CHECK(testbed_drop(&rig.bed, SENDER, DROP_BAD_HDR) == drops + n);
	}
}

/* Another eight bytes of options before the transport header, which so leaves the snapshot. */
static void
packet_stretch(struct packet *p)
{
	memmove(p->bytes + p->l4 + 8, p->bytes + p->l4, p->len - p->l4);
	p->bytes[p->l3 + 41]++;
	p->bytes[p->l3 + 43] += 8;
	p->l4 += 8;
	p->data += 8;
	p->len += 8;
	put16(p->bytes + p->l3 + 4, p->len - p->l3 - 40);
}

/* How long its segments are is said by a TCP header that stands behind the snapshot, too. */
static void
limits(void)
{
	const struct testbed_opts bed = {
		.n_workers = 1, .n_ports = 2, .ports = { { 0 }, { .mtu = 1500 } },
	};
	/* What is left of 1518 bytes behind 18 + 40 + 16 and the TCP header. */
	const struct { uint16_t mss; uint8_t tcp_len; bool passes; } rows[] = {
		{ 1424, 20, true }, { 1425, 20, false }, { 1384, 60, true }, { 1385, 60, false },
	};
	struct vmm_guest_conf confs[2];

	for (uint16_t p = 0; p < 2; p++) {
		vmm_guest_conf_init(&confs[p]);
		confs[p].offload = true;
		confs[p].tx_buf = 70000;
		confs[p].n_bufs = 16;
	}
	rig_create(&rig, &bed, confs);
	for (uint16_t p = 0; p < 2; p++)
		CHECK(fdb_add(rig.bed.fdb, fdb_key(0x64, rig_mac(&rig, p)), p) == 0);
	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		const struct row row = {
			.ipv6 = true, .more = true, .tagged = true, .tcp_len = rows[i].tcp_len,
			.payload = 5000, .mss = rows[i].mss,
		};
		uint64_t drops = testbed_drop(&rig.bed, 1, DROP_TOO_LONG);
		struct virtio_net_hdr_v1 h;

		packet_build(&sent, &row, 1);
		packet_stretch(&sent);
		h = packet_hdr(&sent, &row);
		rig_send(&rig, 0, sent.bytes, sent.len, &h);
		rig_turn(&rig);
		CHECK((rig_recv(&rig, 1, NULL) == sent.len) == rows[i].passes);
		CHECK(testbed_drop(&rig.bed, 1, DROP_TOO_LONG) == drops + !rows[i].passes);
	}
	rig_destroy(&rig);
}

void
fwd_offload_stories(void)
{
	create();
	matrix();
	udp_zero();
	liars();
	liar_flooded();
	rig_destroy(&rig);
	limits();
}
