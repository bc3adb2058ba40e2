/* SPDX-License-Identifier: BSD-3-Clause */
/* How a device is put before a guest's rings. */
#include "mode.h"

#include "check.h"

#include <stddef.h>

/* A device that virtio 1.x describes, and one that tells positions and logs. */
#define PLAIN  .ring_features = true, .sizes = true
#define VENDOR PLAIN, .positions = true, .log = true

static const struct {
	const char *story;
	struct mode_facts facts;
	enum mode mode;
} rows[] = {
	{ "fresh split rings", { PLAIN, .fresh = true }, MODE_DIRECT },
	{ "fresh packed rings: nobody would know where they are at the stop",
	  { PLAIN, .fresh = true, .packed = true }, MODE_SHADOW },
	{ "rings under way", { PLAIN }, MODE_SHADOW },
	{ "a guest that is logged", { PLAIN, .fresh = true, .logging = true }, MODE_SHADOW },
	{ "vendor: rings under way", { VENDOR }, MODE_DIRECT },
	{ "vendor: packed rings under way", { VENDOR, .packed = true }, MODE_DIRECT },
	{ "vendor: a guest that is logged", { VENDOR, .logging = true }, MODE_DIRECT },
	{ "positions, but no log", { PLAIN, .positions = true, .logging = true }, MODE_SHADOW },
	{ "a log, but no positions", { PLAIN, .log = true, .logging = true }, MODE_SHADOW },
	{ "a ring feature that the device has not",
	  { .sizes = true, .positions = true, .fresh = true }, MODE_SHADOW },
	{ "a ring that is larger than the device's",
	  { .ring_features = true, .positions = true, .fresh = true }, MODE_SHADOW },
	{ "direct mode has failed", { VENDOR, .fresh = true, .kept = true }, MODE_SHADOW },
	{ "shadow is asked for", { VENDOR, .fresh = true, .wanted = MODE_SHADOW }, MODE_SHADOW },
	{ "direct is asked for", { PLAIN, .fresh = true, .wanted = MODE_DIRECT }, MODE_DIRECT },
	{ "direct is asked for and cannot be", { PLAIN, .wanted = MODE_DIRECT }, MODE_AUTO },
};

int
main(void)
{
	static const char *const names[] = {
		[MODE_AUTO] = "none", [MODE_DIRECT] = "direct", [MODE_SHADOW] = "shadow",
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *why = NULL;
		enum mode mode = mode_choose(&rows[i].facts, &why);

		CHECK_STR(rows[i].story, names[mode], names[rows[i].mode]);
		CHECK(why != NULL);
	}
	return check_done("vdpa_mode");
}
