/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_PCAPNG_READ_H
#define FERRY_PCAPNG_READ_H

/**
 * @file
 * Reads a pcapng file as its specification says, with what libpcap does not tell: names,
 * directions, losses.  Any mistake in the file ends the test.
 *
 * Source  draft-ietf-opsawg-pcapng
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PCAPNG_IFACES_MAX 64

struct pcapng_read_iface {
	char name[64];
	char filter[256];
	uint32_t snaplen;
	uint32_t n_frames;   /* counted while reading */
	bool closed;         /* its statistics are there */
	uint64_t received;
	uint64_t accepted;
	uint64_t dropped;
	uint64_t written;
};

struct pcapng_read_frame {
	uint32_t iface;
	uint64_t time_ns;
	uint32_t cap_len;
	uint32_t len;
	uint32_t flags;      /* 1: inbound, 2: outbound */
	const uint8_t *data; /* into `bytes` */
};

struct pcapng_read {
	uint8_t *bytes;
	size_t size;
	struct pcapng_read_iface ifaces[PCAPNG_IFACES_MAX];
	uint32_t n_ifaces;
	struct pcapng_read_frame *frames;
	uint32_t n_frames;
};

/** Reads a whole file; pcapng_free() frees it. */
void pcapng_load(const char *path, struct pcapng_read *out);
/** Reads bytes that came through a pipe; takes them over. */
void pcapng_parse(uint8_t *bytes, size_t size, struct pcapng_read *out);
void pcapng_free(struct pcapng_read *f);

#endif
