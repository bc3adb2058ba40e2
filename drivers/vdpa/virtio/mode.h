/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VDPA_VIRTIO_MODE_H
#define VDPA_VIRTIO_MODE_H

/**
 * @file
 * How a device is put before a guest's rings: on them, or behind shadow rings.  A pure function of
 * what both need.
 *
 * Threads  any
 * Source   virtio 1.2: a ring begins at its first entry, and no register tells where it stands
 */

#include <stdbool.h>

enum mode {
	MODE_AUTO,
	MODE_DIRECT,
	MODE_SHADOW,
};

struct mode_facts {
	enum mode wanted;       /**< by the user */
	bool kept;              /**< direct mode has failed for this guest */
	bool logging;           /**< the guest's memory is logged */
	bool fresh;             /**< all rings are at their first entry */
	bool packed;            /**< format of the guest's rings */
	bool ring_features;     /**< the device does what was negotiated of rings */
	bool sizes;             /**< the device takes the rings' sizes */
	bool positions;         /**< the device takes and tells positions */
	bool log;               /**< the device logs */
};

/**
 * Chooses.
 *
 * @param why  out: one line for people
 * @return     MODE_DIRECT or MODE_SHADOW; MODE_AUTO: direct was asked for and cannot be
 */
enum mode mode_choose(const struct mode_facts *f, const char **why);

#endif
