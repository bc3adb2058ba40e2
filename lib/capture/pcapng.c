/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcapng.h"

#include <rte_common.h>

#include <string.h>

enum block { BLOCK_IFACE = 1, BLOCK_STATS = 5, BLOCK_FRAME = 6, BLOCK_SECTION = 0x0a0d0d0a };

enum option {
	OPT_END = 0,
	OPT_SHB_USERAPPL = 4,
	OPT_IF_NAME = 2,
	OPT_IF_TSRESOL = 9,
	OPT_IF_FILTER = 11,
	OPT_EPB_FLAGS = 2,
	OPT_ISB_STARTTIME = 2,
	OPT_ISB_ENDTIME = 3,
	OPT_ISB_IFRECV = 4,
	OPT_ISB_IFDROP = 5,
	OPT_ISB_FILTERACCEPT = 6,
	OPT_ISB_USRDELIV = 8,
};

#define BYTE_ORDER_MAGIC 0x1a2b3c4d
#define LINKTYPE_ETHERNET 1
#define EPB_INBOUND       1
#define EPB_OUTBOUND      2

/* Type and length in front, length behind. */
#define BLOCK_FRAMING 12
#define OPTION_HEADER 4
#define EPB_FIELDS    20
#define ISB_FIELDS    12
#define IDB_FIELDS    8

/* A block in the making. */
struct cursor {
	uint8_t *at;
};

static void
put(struct cursor *c, const void *from, uint32_t len)
{
	const uint32_t pad = RTE_ALIGN_CEIL(len, 4) - len;

	memcpy(c->at, from, len);
	memset(c->at + len, 0, pad);
	c->at += len + pad;
}

static void
put16(struct cursor *c, uint16_t a, uint16_t b)
{
	const uint16_t pair[] = { a, b };

	put(c, pair, sizeof(pair));
}

static void
put32(struct cursor *c, uint32_t v)
{
	put(c, &v, sizeof(v));
}

/* Time stamps are two words with the high one first, in any byte order. */
static void
put_time(struct cursor *c, uint64_t ns)
{
	put32(c, ns >> 32);
	put32(c, (uint32_t)ns);
}

static void
put_option(struct cursor *c, enum option code, const void *value, uint32_t len)
{
	put16(c, code, len);
	put(c, value, len);
}

static void
put_option64(struct cursor *c, enum option code, uint64_t value)
{
	put_option(c, code, &value, sizeof(value));
}

static void
put_option_time(struct cursor *c, enum option code, uint64_t ns)
{
	put16(c, code, sizeof(ns));
	put_time(c, ns);
}

static uint32_t
option_size(uint32_t len)
{
	return OPTION_HEADER + RTE_ALIGN_CEIL(len, 4);
}

static bool
block_begin(struct cursor *c, struct capture_sink *s, enum block type, uint32_t size)
{
	c->at = sink_extend(s, size);
	if (c->at == NULL)
		return false;
	put32(c, type);
	put32(c, size);
	return true;
}

static void
block_end(struct cursor *c, uint32_t size)
{
	put32(c, size);
}

void
pcapng_section(struct capture_sink *s)
{
	static const char app[] = "ferry " FERRY_VERSION;
	const uint32_t size = BLOCK_FRAMING + 16 + option_size(sizeof(app) - 1) + OPTION_HEADER;
	const uint64_t unknown = UINT64_MAX;
	struct cursor c;

	if (!block_begin(&c, s, BLOCK_SECTION, size))
		return;
	put32(&c, BYTE_ORDER_MAGIC);
	put16(&c, 1, 0);
	put(&c, &unknown, sizeof(unknown));
	put_option(&c, OPT_SHB_USERAPPL, app, sizeof(app) - 1);
	put16(&c, OPT_END, 0);
	block_end(&c, size);
}

static uint32_t
filter_size(const char *filter)
{
	return filter == NULL ? 0 : option_size(1 + strlen(filter));
}

uint32_t
pcapng_iface_size(const char *name, const char *filter)
{
	return BLOCK_FRAMING + IDB_FIELDS + option_size(strlen(name)) + option_size(1) +
	       filter_size(filter) + OPTION_HEADER;
}

/* The filter's option is a byte that says how it is written, 0 for words, and the words. */
static void
put_filter(struct cursor *c, const char *filter)
{
	const uint32_t len = strlen(filter);

	put16(c, OPT_IF_FILTER, 1 + len);
	memset(c->at, 0, RTE_ALIGN_CEIL(1 + len, 4));
	memcpy(c->at + 1, filter, len);
	c->at += RTE_ALIGN_CEIL(1 + len, 4);
}

void
pcapng_iface(struct capture_sink *s, const char *name, uint32_t snaplen, const char *filter)
{
	const uint32_t size = pcapng_iface_size(name, filter);
	const uint8_t nanoseconds = 9;
	struct cursor c;

	if (!block_begin(&c, s, BLOCK_IFACE, size))
		return;
	put16(&c, LINKTYPE_ETHERNET, 0);
	put32(&c, snaplen);
	put_option(&c, OPT_IF_NAME, name, strlen(name));
	put_option(&c, OPT_IF_TSRESOL, &nanoseconds, sizeof(nanoseconds));
	if (filter != NULL)
		put_filter(&c, filter);
	put16(&c, OPT_END, 0);
	block_end(&c, size);
}

uint32_t
pcapng_frame_size(uint32_t cap_len)
{
	return BLOCK_FRAMING + EPB_FIELDS + RTE_ALIGN_CEIL(cap_len, 4) +
	       option_size(sizeof(uint32_t)) + OPTION_HEADER;
}

void
pcapng_frame(struct capture_sink *s, const struct pcapng_frame *f)
{
	const uint32_t size = pcapng_frame_size(f->cap_len);
	const uint32_t flags = f->dir == CAPTURE_RX ? EPB_INBOUND : EPB_OUTBOUND;
	struct cursor c;

	if (!block_begin(&c, s, BLOCK_FRAME, size))
		return;
	put32(&c, f->iface);
	put_time(&c, f->time_ns);
	put32(&c, f->cap_len);
	put32(&c, f->len);
	put(&c, f->data, f->cap_len);
	put_option(&c, OPT_EPB_FLAGS, &flags, sizeof(flags));
	put16(&c, OPT_END, 0);
	block_end(&c, size);
}

uint32_t
pcapng_stats_size(void)
{
	return BLOCK_FRAMING + ISB_FIELDS + 6 * option_size(sizeof(uint64_t)) + OPTION_HEADER;
}

void
pcapng_stats(struct capture_sink *s, const struct pcapng_stats *st)
{
	const uint32_t size = pcapng_stats_size();
	struct cursor c;

	if (!block_begin(&c, s, BLOCK_STATS, size))
		return;
	put32(&c, st->iface);
	put_time(&c, st->end_ns);
	put_option_time(&c, OPT_ISB_STARTTIME, st->start_ns);
	put_option_time(&c, OPT_ISB_ENDTIME, st->end_ns);
	put_option64(&c, OPT_ISB_IFRECV, st->received);
	put_option64(&c, OPT_ISB_IFDROP, st->dropped);
	put_option64(&c, OPT_ISB_FILTERACCEPT, st->accepted);
	put_option64(&c, OPT_ISB_USRDELIV, st->written);
	put16(&c, OPT_END, 0);
	block_end(&c, size);
}

static uint32_t
load32(const uint8_t *from)
{
	uint32_t v;

	memcpy(&v, from, sizeof(v));
	return v;
}

uint32_t
pcapng_block_size(const uint8_t *block)
{
	return load32(block + 4);
}

int64_t
pcapng_iface_of(const uint8_t *block)
{
	return load32(block) == BLOCK_FRAME ? (int64_t)load32(block + 8) : -1;
}

size_t
pcapng_whole(const uint8_t *buf, size_t len)
{
	size_t at = 0;

	while (at + BLOCK_FRAMING <= len && at + pcapng_block_size(&buf[at]) <= len)
		at += pcapng_block_size(&buf[at]);
	return at;
}
