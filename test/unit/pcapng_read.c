/* SPDX-License-Identifier: BSD-3-Clause */
#include "pcapng_read.h"

#undef NDEBUG
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static uint32_t
u32(const uint8_t *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof(v));
	return v;
}

static uint16_t
u16(const uint8_t *at)
{
	uint16_t v;

	memcpy(&v, at, sizeof(v));
	return v;
}

/* Finds an option between `at` and `end`; NULL: not there. */
static const uint8_t *
option_find(const uint8_t *at, const uint8_t *end, uint16_t code, uint16_t *len)
{
	while (at < end) {
		assert(end - at >= 4);
		if (u16(at) == 0) {
			assert(u16(at + 2) == 0 && at + 4 == end);
			return NULL;
		}
		*len = u16(at + 2);
		assert(4 + *len <= end - at);
		if (u16(at) == code)
			return at + 4;
		at += 4 + (*len + 3) / 4 * 4;
	}
	return NULL;
}

static uint64_t
option_u64(const uint8_t *at, const uint8_t *end, uint16_t code)
{
	uint16_t len;
	const uint8_t *value = option_find(at, end, code, &len);
	uint64_t v;

	assert(value != NULL && len == sizeof(v));
	memcpy(&v, value, sizeof(v));
	return v;
}

static void
section_read(struct pcapng_read *f, const uint8_t *b, uint32_t size)
{
	uint16_t len;

	assert(b == f->bytes);
	assert(u32(b + 8) == 0x1a2b3c4d && u16(b + 12) == 1 && u16(b + 14) == 0);
	assert(u32(b + 16) == UINT32_MAX && u32(b + 20) == UINT32_MAX);
	assert(option_find(b + 24, b + size - 4, 4, &len) != NULL);
}

static void
iface_read(struct pcapng_read *f, const uint8_t *b, uint32_t size)
{
	struct pcapng_read_iface *i = &f->ifaces[f->n_ifaces++];
	const uint8_t *options = b + 16, *end = b + size - 4, *value;
	uint16_t len;

	assert(f->n_ifaces <= PCAPNG_IFACES_MAX);
	assert(u16(b + 8) == 1);
	i->snaplen = u32(b + 12);
	value = option_find(options, end, 2, &len);
	assert(value != NULL && len < sizeof(i->name));
	memcpy(i->name, value, len);
	value = option_find(options, end, 9, &len);
	assert(value != NULL && len == 1 && *value == 9);
	value = option_find(options, end, 11, &len);
	if (value == NULL)
		return;
	assert(len > 1 && value[0] == 0 && len <= sizeof(i->filter));
	memcpy(i->filter, value + 1, len - 1);
}

static void
frame_read(struct pcapng_read *f, const uint8_t *b, uint32_t size)
{
	struct pcapng_read_frame *r = &f->frames[f->n_frames++];
	const uint8_t *value;
	uint16_t len;

	r->iface = u32(b + 8);
	assert(r->iface < f->n_ifaces);
	f->ifaces[r->iface].n_frames++;
	r->time_ns = (uint64_t)u32(b + 12) << 32 | u32(b + 16);
	r->cap_len = u32(b + 20);
	r->len = u32(b + 24);
	r->data = b + 28;
	assert(r->cap_len <= r->len && 32 + r->cap_len <= size);
	value = option_find(b + 28 + (r->cap_len + 3) / 4 * 4, b + size - 4, 2, &len);
	assert(value != NULL && len == 4);
	r->flags = u32(value);
}

static void
stats_read(struct pcapng_read *f, const uint8_t *b, uint32_t size)
{
	const uint8_t *options = b + 20, *end = b + size - 4;
	struct pcapng_read_iface *i = &f->ifaces[u32(b + 8)];

	assert(u32(b + 8) < f->n_ifaces && !i->closed);
	i->closed = true;
	i->received = option_u64(options, end, 4);
	i->dropped = option_u64(options, end, 5);
	i->accepted = option_u64(options, end, 6);
	i->written = option_u64(options, end, 8);
}

static void
block_read(struct pcapng_read *f, const uint8_t *b, uint32_t size)
{
	switch (u32(b)) {
	case 0x0a0d0d0a:
		section_read(f, b, size);
		break;
	case 1:
		iface_read(f, b, size);
		break;
	case 5:
		stats_read(f, b, size);
		break;
	case 6:
		frame_read(f, b, size);
		break;
	default:
		assert(!"a known block");
	}
}

void
pcapng_parse(uint8_t *bytes, size_t size, struct pcapng_read *out)
{
	memset(out, 0, sizeof(*out));
	out->bytes = bytes;
	out->size = size;
	out->frames = calloc(size / 32 + 1, sizeof(*out->frames));
	assert(out->frames != NULL);
	for (size_t at = 0; at < size;) {
		const uint32_t block = u32(&bytes[at + 4]);

		assert(size - at >= 12 && block >= 12 && block % 4 == 0 && block <= size - at);
		assert(u32(&bytes[at + block - 4]) == block);
		block_read(out, &bytes[at], block);
		at += block;
	}
}

void
pcapng_load(const char *path, struct pcapng_read *out)
{
	FILE *f = fopen(path, "rb");
	struct stat st;
	uint8_t *bytes;

	assert(f != NULL && fstat(fileno(f), &st) == 0);
	bytes = malloc(st.st_size + 1);
	assert(bytes != NULL);
	assert(fread(bytes, 1, st.st_size, f) == (size_t)st.st_size);
	fclose(f);
	pcapng_parse(bytes, st.st_size, out);
}

void
pcapng_free(struct pcapng_read *f)
{
	free(f->bytes);
	free(f->frames);
}
