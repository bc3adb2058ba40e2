/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VDEV_MODEL_FAULT_H
#define VDEV_MODEL_FAULT_H

/**
 * @file
 * What a broken device does, on demand.
 *
 * Life     a fault is on until it has happened, or until it is taken back: see each.
 * Threads  one.
 * Units    milliseconds where the argument is a time.
 * Source   none.
 */

#include <stdbool.h>
#include <stdint.h>

struct device;

#define FAULTS(X) \
	/* A stop takes ARG ms (20), and until it is acknowledged buffers are written. */ \
	X(late_dma) \
	/* The next ARG interrupts are not sent; 0: none is. */ \
	X(lost_interrupt) \
	/* A stop is never acknowledged; a reset of the function ends it, unless ARG is not 0. */ \
	X(stuck_stop) \
	/* The next used index is one that cannot be; packed: its element is a slot too far. */ \
	X(wrong_index) \
	/* The next used element names a chain that cannot be; ARG not 0: one that is not out. */ \
	X(wrong_id) \
	/* The device is gone until this is taken back. */ \
	X(surprise_removal) \
	/* After a stop was acknowledged, buffers are written for ARG ms (200). */ \
	X(dma_after_stop) \
	/* What is written is not marked in the log. */ \
	X(bad_bitmap) \
	/* DEVICE_NEEDS_RESET, once. */ \
	X(needs_reset) \
	/* All registers read as all ones, and nothing works, until this is taken back. */ \
	X(ones) \
	/* Every access to a register takes ARG ms (5). */ \
	X(slow_registers) \
	/* Commands of the control queue are taken and not answered. */ \
	X(ctrl_no_answer)

enum fault {
#define X(name) FAULT_##name,
	FAULTS(X)
#undef X
	FAULTS_N,
};

/** Buffers that a late write goes to. */
#define LATE_MAX 8

struct faults {
	struct {
		bool on;
		uint64_t arg;
	} of[FAULTS_N];
	uint64_t stop_at;       /* the stop is acknowledged then; 0: none under way */
	uint64_t late_until;    /* buffers are written until then; 0: no */
	struct {
		uint64_t iova;
		uint32_t len;
	} late[LATE_MAX];
	unsigned int n_late;
};

/** @return the fault of this name; -ENOENT */
int fault_find(const char *name);

/** Switches a fault on or off; some happen at once. */
void fault_set(struct device *d, enum fault f, bool on, uint64_t arg);

/** True while a fault is on. */
bool fault_on(const struct device *d, enum fault f);

/** True when a fault is on that happens once: it is off from now on. */
bool fault_once(struct device *d, enum fault f);

/**
 * The driver has asked for a stop.
 *
 * @return true: it is acknowledged at once; false: later, or never
 */
bool fault_stop(struct device *d);

/** The stop is acknowledged. */
void fault_stopped(struct device *d);

/** What is due by time. */
void fault_poll(struct device *d);

#endif
