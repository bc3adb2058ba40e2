/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_PCAPNG_H
#define FERRY_PCAPNG_H

/*
 * Blocks of a pcapng file, appended to a sink's buffer; in the byte order of this machine, as the
 * format wants it.  When memory runs out the sink says so and the block is not there.
 *
 * Source  draft-ietf-opsawg-pcapng
 */

#include "capture.h"
#include "capture_sink.h"

struct pcapng_frame {
	uint32_t iface;
	uint64_t time_ns;
	uint32_t len;
	uint32_t cap_len;
	enum capture_dir dir;
	const uint8_t *data;
};

struct pcapng_stats {
	uint32_t iface;
	uint64_t start_ns;
	uint64_t end_ns;
	uint64_t received; /* frames that were offered */
	uint64_t accepted; /* of them by the filter */
	uint64_t dropped;  /* of these for want of room */
	uint64_t written;
};

void pcapng_section(struct capture_sink *s);
void pcapng_iface(struct capture_sink *s, const char *name, uint32_t snaplen, const char *filter);
void pcapng_frame(struct capture_sink *s, const struct pcapng_frame *f);
void pcapng_stats(struct capture_sink *s, const struct pcapng_stats *st);

/* Bytes that such a block takes in the file. */
uint32_t pcapng_iface_size(const char *name, const char *filter);
uint32_t pcapng_frame_size(uint32_t cap_len);
uint32_t pcapng_stats_size(void);

/* Bytes of the blocks that are complete within the first `len` bytes of `buf`. */
size_t pcapng_whole(const uint8_t *buf, size_t len);

/* The interface of the frame whose block stands at `block`; -1: another kind of block. */
int64_t pcapng_iface_of(const uint8_t *block);
uint32_t pcapng_block_size(const uint8_t *block);

#endif
