/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VDPA_VIRTIO_FAILURE_H
#define VDPA_VIRTIO_FAILURE_H

/**
 * @file
 * Why a device is of no use any more: name in statistics ("failed_NAME"), text for people.
 *
 * Threads  constants
 */

#define FAILURES(X) \
	X(NONE,        "none",        "") \
	X(REMOVED,     "removed",     "device has left the bus, or its registers read all ones") \
	X(TIMEOUT,     "timeout",     "device does not answer in time") \
	X(RESET,       "reset",       "device does not stop, not even when its function is reset") \
	X(NEEDS_RESET, "needs_reset", "device asks for a reset again and again") \
	X(FEATURES,    "features",    "device refuses features that it offers") \
	X(CONTROL,     "control",     "device does not answer on its control queue, or refuses") \
	X(INDEX,       "index",       "device gives back more than it was given") \
	X(ID,          "id",          "device gives back what it does not hold") \
	X(LENGTH,      "length",      "device says that it wrote more than there was room for") \
	X(POSITION,    "position",    "device tells a position that cannot be") \
	X(LOG,         "log",         "device does not log") \
	X(MEMORY,      "memory",      "guest's memory cannot be mapped for the device") \
	X(DRIVER,      "driver",      "driver is out of memory or file descriptors")

enum failure {
#define X(id, name, text) FAILURE_##id,
	FAILURES(X)
#undef X
	FAILURE_N
};

extern const char *const failure_names[FAILURE_N];
extern const char *const failure_texts[FAILURE_N];

#endif
