/* SPDX-License-Identifier: BSD-3-Clause */
/* Positions and what the wire makes of them. */
#include "vring_pos.h"

#include "check.h"

/* All that SET_VRING_BASE can carry in the half that front-ends fill. */
static void
round_trips(void)
{
	for (uint32_t n = 0; n <= UINT16_MAX; n++) {
		struct vring_pos s = vring_pos_decode(false, n), p = vring_pos_decode(true, n);

		CHECK(s.avail == n && s.used == n && vring_pos_encode(false, &s) == n);
		CHECK(p.avail == (n & 0x7fff) && p.avail_wrap == n >> 15);
		CHECK(p.used == p.avail && p.used_wrap == p.avail_wrap);
		CHECK(vring_pos_encode(true, &p) == (n | n << 16));
	}
}

static const struct {
	const char *story;
	bool packed;
	struct vring_pos pos;
	uint32_t num;
} rows[] = {
	{ "split carries the avail index alone", false, { .avail = 9, .used = 5 }, 9 },
	{ "split has no wrap counters", false, { 65535, 1, true, true, NULL }, 65535 },
	{ "packed, used wrap alone", true, { 3, 2, false, true, NULL }, 0x80020003 },
	{ "packed, avail wrap alone", true, { 3, 2, true, false, NULL }, 0x00028003 },
	{ "packed, last slots", true, { 32767, 32766, true, true, NULL }, 0xfffeffff },
};

int
main(void)
{
	round_trips();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK_STR(rows[i].story, vring_pos_encode(rows[i].packed, &rows[i].pos) ==
			  rows[i].num ? "so" : "other", "so");
	return check_done("vring_pos");
}
