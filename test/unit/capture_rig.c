/* SPDX-License-Identifier: BSD-3-Clause */
#include "capture_rig.h"

#include "event.h"

#include <rte_common.h>

#undef NDEBUG
#include <assert.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct cross *cross;
struct capture *capture;
char folder[] = "/tmp/ferry-capture-XXXXXX";
char path[64];
char path2[64];
char why[256];

void
rig_create(void)
{
	assert(cross_create(N_WORKERS, &cross) == 0);
	assert(capture_create(cross, &capture) == 0);
	capture_port_set(capture, 1, "vm1");
	capture_port_set(capture, 2, "vm2");
}

void
rig_destroy(void)
{
	capture_destroy(capture);
	cross_destroy(cross);
	unlink(path);
	unlink(path2);
}

/* A UDP frame from port `n` of 10.0.0.1, filled with a pattern that `n` decides. */
uint32_t
frame_make(uint8_t *frame, uint32_t n, uint32_t len)
{
	static const uint8_t head[] = {
		0x52, 0x54, 0, 0, 0, 2, 0x52, 0x54, 0, 0, 0, 1, 0x08, 0x00,
		0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
	};

	for (uint32_t i = 0; i < len; i++)
		frame[i] = n + i * 7;
	memcpy(frame, head, RTE_MIN(len, sizeof(head)));
	if (len >= 42) {
		frame[34] = n >> 8;
		frame[35] = n;
		memcpy(&frame[38], &n, sizeof(n));
	}
	return len;
}

void
offer(uint16_t port, uint32_t worker, enum capture_dir dir, uint32_t n, uint32_t len)
{
	uint8_t frame[70000];
	struct iovec iov = { frame, frame_make(frame, n, len) };

	capture_frame(capture_view(capture, port), worker, dir, &iov, 1, len);
}

void
start(const struct capture_opts *opts)
{
	const int rc = capture_start(capture, opts, why, sizeof(why));

	if (rc < 0)
		fprintf(stderr, "start: %d: %s\n", rc, why);
	assert(rc == 0);
}

const struct capture_info *
info_of(const char *name)
{
	static struct capture_info info;

	for (uint32_t iter = 0; capture_next(capture, &iter, &info) == 0;)
		if (strcmp(info.name, name) == 0)
			return &info;
	return NULL;
}

/* Waits until the writer has ended a capture by itself; control then takes it out of the view. */
const struct capture_info *
ended(const char *name)
{
	struct pollfd p = { .fd = event_fd(cross), .events = POLLIN };

	while (info_of(name)->running)
		if (poll(&p, 1, 1000) == 1)
			event_run(cross, 100);
	/* The writer says that it has ended, and sends the event behind that. */
	while (poll(&p, 1, 100) == 1)
		event_run(cross, 100);
	return info_of(name);
}

void
frame_check(const struct pcapng_read_frame *r, uint32_t n, uint32_t cap_len, uint32_t len)
{
	uint8_t frame[70000];

	frame_make(frame, n, len);
	assert(r->cap_len == cap_len && r->len == len);
	assert(memcmp(r->data, frame, cap_len) == 0);
}

/* libpcap must see what our own reader sees. */
static void
libpcap_check(const char *file, const struct pcapng_read *f)
{
	char err[PCAP_ERRBUF_SIZE];
	struct pcap_pkthdr *h;
	const u_char *data;
	pcap_t *p = pcap_open_offline_with_tstamp_precision(file, PCAP_TSTAMP_PRECISION_NANO, err);

	if (p == NULL)
		fprintf(stderr, "libpcap: %s\n", err);
	assert(p != NULL && pcap_datalink(p) == DLT_EN10MB);
	for (uint32_t i = 0; i < f->n_frames; i++) {
		const struct pcapng_read_frame *r = &f->frames[i];

		assert(pcap_next_ex(p, &h, &data) == 1);
		assert(h->caplen == r->cap_len && h->len == r->len);
		assert((uint64_t)h->ts.tv_sec * NS_PER_S + h->ts.tv_usec == r->time_ns);
		assert(memcmp(data, r->data, r->cap_len) == 0);
	}
	assert(pcap_next_ex(p, &h, &data) == PCAP_ERROR_BREAK);
	pcap_close(p);
}

void
load(const char *file, struct pcapng_read *f)
{
	pcapng_load(file, f);
	libpcap_check(file, f);
}
