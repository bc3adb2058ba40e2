/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_QMP_H
#define FERRY_QMP_H

/**
 * @file
 * QEMU's control protocol, from inside the guest that it runs: test/tools/l1.
 *
 * Life     qmp_open() to qmp_close()
 * Threads  one at a time
 */

#include <jansson.h>

struct qmp;

/** Connects.  @return 0; -errno of open(): not in such a guest; -EPROTO */
int qmp_open(struct qmp **out);

/** NULL is allowed. */
void qmp_close(struct qmp *q);

/**
 * Calls a command.
 *
 * @param arguments  taken over; NULL: none
 * @return           its answer, the caller's; NULL: an error, which was printed
 */
json_t *qmp_call(struct qmp *q, const char *command, json_t *arguments);

#endif
