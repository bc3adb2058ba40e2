/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VDPADEV_FAKE_H
#define VDPADEV_FAKE_H

/**
 * @file
 * A vendor's vDPA driver that moves nothing: it notes how it is called and what librte_vhost tells
 * it, and does with the guest what the test says.
 *
 * It is a module of its own, loaded as any driver is (-d), and uses what any driver uses.  The test
 * finds `fake` in it by dlsym().  Devices: "vdpa_fakeN"; "vdpa_fakeN,pairs=M" has M queue pairs.
 *
 * Threads  the test's
 */

#include <stdbool.h>
#include <stdint.h>

#define FAKE_RINGS 8
#define FAKE_NOTES 1024

struct fake_ring {
	int rc;                  /* of rte_vhost_get_vhost_vring() */
	void *desc, *driver, *device;
	int kickfd, callfd;
	uint16_t size, avail, used;
	bool store;              /* at dev_close(), store the next two */
	uint16_t store_avail, store_used;
};

struct fake_region {
	uint64_t gpa, size, host, map;
	int fd;
};

struct fake {
	/* what was seen */
	char notes[FAKE_NOTES];  /* calls since the test emptied it: "conf ", "state 0 1 " */
	int vid;
	uint64_t features;       /* negotiated, at the last configuration or set_features() */
	uint64_t log_base, log_size;
	uint16_t n_rings;
	struct fake_ring rings[FAKE_RINGS];
	uint32_t n_regions;
	struct fake_region regions[8];
	char ifname[64];

	/* what it is to do */
	uint64_t offered;
	int conf_rc, close_rc, features_rc, state_rc, config_rc;
	bool named;              /* has the counters that ferry knows */
	uint16_t mtu;
	uint64_t stats[FAKE_RINGS][16]; /* in the order of `fake_names` */

	/* through the driver, as its own threads would */
	void (*log_write)(int vid, uint64_t gpa, uint64_t len);
	void (*log_used)(int vid, uint16_t q, uint64_t off, uint64_t len);
	int (*call)(int vid, uint16_t q);
	int (*notify)(int vid, uint16_t q, int enable);
	int (*relay)(int vid, uint16_t q, void *mediated);
	uint16_t (*vring_num)(int vid);
	int (*set_base)(int vid, uint16_t q, uint16_t avail, uint16_t used);
	void (*vanish)(const char *name);
};

/** Names of `stats`, in order. */
#define FAKE_STATS(X) \
	X(chains) X(calls) X(pages) X(rounds) X(used_index) X(first) X(mode_shadow) \
	X(bad_range) X(failed_reset) X(cap_positions) X(kicks)

enum {
#define X(name) FAKE_##name,
	FAKE_STATS(X)
#undef X
	FAKE_STATS_N
};

#endif
