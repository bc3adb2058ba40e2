/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VDEV_MODEL_MODEL_H
#define VDEV_MODEL_MODEL_H

/**
 * @file
 * The process: its devices, what the command line asks for, and who may ask questions.
 *
 * Life     one.
 * Threads  one.
 * Units    none.
 * Source   none.
 */

#include "device.h"
#include "front.h"
#include "server.h"

#define DEVICES_MAX 8
#define FRONTS_MAX  4

/** What the command line has asked for. */
struct options {
	struct device_conf devices[DEVICES_MAX];
	struct {
		int device;     /* -1: all */
		char text[64];  /* NAME or NAME=ARG */
	} faults[16];
	struct front_conf fronts[FRONTS_MAX];
	unsigned int n_devices, n_faults, n_fronts;
	uint16_t patience_ms;   /* of the wire */
	const char *control;    /* NULL: none */
};

/** The process. */
struct model {
	struct options options;
	struct device *devices;
	struct server *servers;
	struct front fronts[FRONTS_MAX];
	unsigned int n_devices, n_fronts;
};

/** Reads a command line.  @return 0; -EINVAL after a line on standard error */
int options_parse(struct options *o, int argc, char **argv);

/** Switches a fault of a device on ("NAME", "NAME=ARG") or off ("NAME=off").
 *  @return 0; -ENOENT: no such fault */
int model_fault(struct model *m, unsigned int device, const char *text);

/** Listens for questions.  @return 0; -errno */
int control_init(struct model *m, const char *path);
void control_fini(void);

#endif
