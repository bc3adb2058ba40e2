/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_PORT_CHOICE_H
#define FERRY_PORT_CHOICE_H

/**
 * @file
 * Who should move a port's rings, the device or software, and why: a pure function of what is known.
 *
 * Threads  any
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** What the operator says. */
enum port_want {
	PORT_AUTO, /**< the device while it can do what is asked */
	PORT_HW,   /**< the same, and `port provider` says no when it cannot */
	PORT_SW,   /**< software */
};

extern const char *const port_want_names[];

/** What the choice is made of. */
struct port_facts {
	enum port_want want;
	const char *device;       /**< its name; NULL: the port has none */
	const char *failed;       /**< why the device is of no use; NULL: it is fine */
	const char *refused;      /**< why it did not take these rings; NULL: it was not asked yet */
	uint64_t device_features; /**< virtio features that it can serve */
	uint16_t device_pairs;
	bool can_log;             /**< it logs what it writes */
	bool any_position;        /**< it starts rings that are not at their beginning */
	uint64_t features;        /**< that the guest has negotiated; 0: there is no guest yet */
	uint16_t n_pairs;         /**< that the guest has started */
	bool begun;               /**< a ring is not at its beginning */
	bool half;                /**< of a queue pair only one ring runs: the guest is stopping */
	bool logged;              /**< what is written to the guest has to be logged */
	bool kept;                /**< frames for a guest that moves are parked, and an uplink brings
				       them to the switch */
	bool arriving;            /**< the guest has just come, and frames wait for it */
};

/**
 * Chooses.
 *
 * @param why  one line
 * @return     true: the device
 */
bool port_choose(const struct port_facts *f, char *why, size_t size);

/** Features of a guest that a device does not have to know: they concern others. */
uint64_t port_features_moved(uint64_t features);

#endif
