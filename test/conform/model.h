/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_CONFORM_MODEL_H
#define FERRY_CONFORM_MODEL_H

/**
 * @file
 * The device model as a child process: some devices that are equal but for their addresses.
 *
 * Life     from model_begin() to model_end(); it ends with this process, too.
 * Threads  one
 */

#include <stdint.h>

struct model;

/**
 * Starts it and waits until its devices can be reached.
 *
 * @param device  what all devices are: "queues=4,packed"
 * @return        0; -ECHILD: it has ended; -ENOMEM; -errno
 */
int model_begin(const char *program, unsigned int n_devices, const char *device,
		struct model **out);

/** NULL is allowed. */
void model_end(struct model *m);

const char *model_socket(const struct model *m, unsigned int device);

/** Sum over all devices of the counters whose name begins so; UINT64_MAX: no answer. */
uint64_t model_sum(const struct model *m, const char *prefix);

/** One line to the control socket, its answer in `out`.  @return 0; -errno */
int model_ask(const struct model *m, const char *line, char *out, uint32_t size);

#endif
