/* SPDX-License-Identifier: BSD-3-Clause */
#include "dma.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define LOG_SHIFT 12

static int
refuse(struct dma *d)
{
	d->refused++;
	return -EFAULT;
}

static int
mark(struct dma *d, uint64_t page)
{
	uint64_t one = 1;
	uint8_t *byte;

	if (page / 8 >= d->log_size)
		return refuse(d);
	byte = maps_find(&d->maps, d->log_base + page / 8, &one, true);
	if (byte == NULL)
		return refuse(d);
	__atomic_fetch_or(byte, (uint8_t)(1U << page % 8), __ATOMIC_RELEASE);
	d->marks++;
	return 0;
}

/* After the write: whoever harvests the log may clear the bit at any moment. */
static int
mark_all(struct dma *d, uint64_t iova, uint64_t len)
{
	uint64_t last = (iova + len - 1) >> LOG_SHIFT;

	if (!d->logging || d->log_bad || len == 0)
		return 0;
	for (uint64_t page = iova >> LOG_SHIFT; page <= last; page++) {
		if (mark(d, page) < 0)
			return -EFAULT;
	}
	return 0;
}

bool
dma_reaches(const struct dma *d, uint64_t iova, uint64_t len, bool write)
{
	while (len > 0) {
		uint64_t n = len;

		if (maps_find(&d->maps, iova, &n, write) == NULL)
			return false;
		iova += n;
		len -= n;
	}
	return true;
}

int
dma_read(struct dma *d, uint64_t iova, void *to, uint64_t len)
{
	uint8_t *out = to;

	while (len > 0) {
		uint64_t n = len;
		const void *host = maps_find(&d->maps, iova, &n, false);

		if (host == NULL)
			return refuse(d);
		memcpy(out, host, n);
		out += n;
		iova += n;
		len -= n;
	}
	return 0;
}

int
dma_write(struct dma *d, uint64_t iova, const void *from, uint64_t len)
{
	const uint8_t *in = from;

	while (len > 0) {
		uint64_t n = len;
		void *host = maps_find(&d->maps, iova, &n, true);

		if (host == NULL)
			return refuse(d);
		memcpy(host, in, n);
		if (mark_all(d, iova, n) < 0)
			return -EFAULT;
		in += n;
		iova += n;
		len -= n;
	}
	return 0;
}

static uint16_t *
number(struct dma *d, uint64_t iova, bool write)
{
	uint64_t len = sizeof(uint16_t);
	uint16_t *host = maps_find(&d->maps, iova, &len, write);

	return (iova & 1) != 0 || len < sizeof(uint16_t) ? NULL : host;
}

int
dma_load16(struct dma *d, uint64_t iova, uint16_t *value)
{
	const uint16_t *host = number(d, iova, false);

	if (host == NULL)
		return refuse(d);
	*value = __atomic_load_n(host, __ATOMIC_ACQUIRE);
	return 0;
}

int
dma_store16(struct dma *d, uint64_t iova, uint16_t value)
{
	uint16_t *host = number(d, iova, true);

	if (host == NULL)
		return refuse(d);
	__atomic_store_n(host, value, __ATOMIC_RELEASE);
	return mark_all(d, iova, sizeof(value));
}
