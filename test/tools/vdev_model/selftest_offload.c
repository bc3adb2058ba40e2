/* SPDX-License-Identifier: BSD-3-Clause */
/* Offloads go on to who takes them; a checksum is done for who does not. */
#include <unistd.h>

#include "selftest.h"

#define MSS 1448

struct scene {
	struct rig r;
	struct driver d[2];
};

static int
scene_init(struct scene *s, bool receiver_offloads)
{
	struct vmm_guest_conf conf;
	int rc = rig_start(&s->r, 2, ",event_idx", NULL);

	for (unsigned int i = 0; i < 2 && rc == 0; i++) {
		conf_plain(&conf);
		conf.mac_id = (uint8_t)(i + 1);
		conf.tx_buf = VMM_FRAME_MAX + 12;
		conf.offload = i == 0 || receiver_offloads;
		rc = driver_open(&s->d[i], s->r.sockets[i], &conf);
		if (rc == 0)
			rc = driver_start(&s->d[i]);
	}
	return rc;
}

static int
send_tcp(struct scene *s, uint32_t len, vmm_net_hdr *hdr)
{
	static uint8_t bytes[VMM_FRAME_MAX];
	struct vmm_frame f = { .flow = 4, .len = len, .tcp = true };
	int rc;

	memcpy(f.dst, s->d[1].g->mac, 6);
	memcpy(f.src, s->d[0].g->mac, 6);
	vmm_frame_build(bytes, &f);
	vmm_frame_offload(hdr, &f, MSS);
	rc = vmm_guest_send(s->d[0].g, 0, bytes, len, hdr);
	return rc < 0 ? rc : vmm_guest_flush(s->d[0].g);
}

static int
receive(struct scene *s, uint8_t *bytes, vmm_net_hdr *hdr)
{
	int len = vmm_guest_recv(s->d[1].g, 0, bytes, VMM_FRAME_MAX, hdr);

	for (unsigned int i = 0; i < 20 && len == 0; i++) {
		vmm_guest_wait(&s->d[1].g, 1, 50);
		len = vmm_guest_recv(s->d[1].g, 0, bytes, VMM_FRAME_MAX, hdr);
	}
	return len;
}

static const struct row {
	const char *story;
	uint32_t len;
	bool receiver_offloads, arrives;
} rows[] = {
	{ "a checksum, to who takes it",           500,   true,  true },
	{ "segments, to who takes them",           40000, true,  true },
	{ "a checksum, to who does not take it",   501,   false, true },
	{ "segments, to who does not take them",   40000, false, false },
};

static void
row_run(const struct row *row)
{
	static uint8_t bytes[VMM_FRAME_MAX];
	struct scene s = { .r.control = -1, .d = { { .c.fd = -1 }, { .c.fd = -1 } } };
	vmm_net_hdr sent = { 0 }, got = { 0 };
	struct vmm_frame f;
	int len;

	CHECK(scene_init(&s, row->receiver_offloads) == 0);
	CHECK(send_tcp(&s, row->len, &sent) == 0);
	len = receive(&s, bytes, &got);
	CHECK(len == (row->arrives ? (int)row->len : 0));
	CHECK(rig_count(&s.r, 1, "dropped_no_offload") == !row->arrives);
	if (len > 0) {
		CHECK(vmm_frame_parse(&f, bytes, (uint32_t)len, &s.d[1].fault) == 0);
		CHECK(vmm_frame_tcp_valid(bytes, (uint32_t)len) != row->receiver_offloads);
		CHECK(got.gso_type == (row->receiver_offloads ? sent.gso_type : 0));
		CHECK(got.flags == (row->receiver_offloads ? sent.flags : 0));
	}
	CHECK(rig_count(&s.r, 0, "violations") == 0);
	CHECK_STR(row->story, s.d[1].fault.text, "");
	pair_close(s.d);
	CHECK(rig_end(&s.r) == 0);
}

void
stories_offload(void)
{
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		row_run(&rows[i]);
}
