/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_MAIL_H
#define FERRY_MAIL_H

/**
 * @file
 * Mail: a small action that one worker carries out between two turns.
 *
 * Life     what `arg` points to lives until the action has run; the action frees it or says so.
 * Threads  mail_send(): any but a worker; mail_run(): the worker.
 */

#include "cross.h"

typedef void mail_fn(uint32_t worker, void *arg);

/**
 * Hands an action to a worker and wakes it.  Waits, yielding, while the box is full.
 */
void mail_send(struct cross *x, uint32_t worker, mail_fn *fn, void *arg);

/**
 * Runs what has arrived.
 *
 * @return  actions run
 */
uint32_t mail_run(struct cross *x, uint32_t worker);

#endif
