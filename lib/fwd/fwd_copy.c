/* SPDX-License-Identifier: BSD-3-Clause */
#include "fwd_impl.h"

#include <rte_branch_prediction.h>
#include <string.h>

/* A place in the receiver's pieces, written front to back. */
struct writer {
	const struct vring_seg *seg;
	uint32_t off;
};

static void
writer_put(struct writer *w, const uint8_t *from, uint32_t len)
{
	while (len > 0) {
		uint32_t some = RTE_MIN(len, w->seg->len - w->off);

		memcpy(w->seg->host + w->off, from, some);
		from += some;
		len -= some;
		w->off += some;
		if (w->off == w->seg->len) {
			w->seg++;
			w->off = 0;
		}
	}
}

void
fwd_copy(const struct fwd_frame *fr, const struct vring_seg *to, uint32_t off)
{
	struct writer w = { .seg = to };
	uint32_t left = fr->len - fr->snap_len;
	uint32_t skip = fr->seg_off;

	if (likely(to[0].len >= off + fr->len)) {
		fwd_copy_flat(fr, to[0].host + off);
		return;
	}
	while (off >= w.seg->len) {
		off -= w.seg->len;
		w.seg++;
	}
	w.off = off;
	writer_put(&w, fr->snap, fr->snap_len);
	for (const struct vring_seg *s = fr->segs; left > 0; s++) {
		uint32_t some = RTE_MIN(left, s->len - skip);

		writer_put(&w, s->host + skip, some);
		left -= some;
		skip = 0;
	}
}

void
fwd_copy_rest(const struct fwd_frame *fr, uint8_t *to)
{
	uint32_t left = fr->len - fr->snap_len;
	uint32_t skip = fr->seg_off;

	for (const struct vring_seg *s = fr->segs; left > 0; s++) {
		uint32_t some = RTE_MIN(left, s->len - skip);

		memcpy(to, s->host + skip, some);
		to += some;
		left -= some;
		skip = 0;
	}
}
