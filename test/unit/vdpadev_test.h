/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VDPADEV_TEST_H
#define VDPADEV_TEST_H

/**
 * @file
 * A guest whose rings a provider over the fake driver has.
 *
 * Threads  the test's
 */

#include "../conform/side.h"

#include "check.h"
#include "vdpadev.h"
#include "vdpadev_fake.h"

#define WHY_SIZE 512

struct rig_opts {
	uint16_t pairs, pos;
	bool packed, event_idx;
};

struct rig {
	struct vdev *dev;
	struct side s;
};

extern struct fake *fake;
extern struct cross *cross;

/** Nothing noted, nothing to be done by the driver but what a good one does. */
void rig_reset(void);

/** vdpadev_create() for port 3. */
int rig_create(const char *device, uint16_t pairs, struct vdev **out, char *why);

/** Over vdpa_fake0, which is there. */
void rig_open(struct rig *r, const struct rig_opts *opts);
void rig_close(struct rig *r);

/** Compares what the driver has noted, and forgets it. */
void notes_check(const char *story, const char *expected);

/** What drivers do with a dirty log. */
void vdpadev_log_test(void);

#endif
