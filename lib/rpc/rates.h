/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_RATES_H
#define FERRY_RATES_H

/**
 * @file
 * Live rates of ports and load of workers: the difference of two looks a second apart.  Control
 * looks whether somebody asks or not, so that the first question is answered: a look adds up a
 * port's counters and no more, a thousand ports take it well under a millisecond.
 *
 * Life     one per process.
 * Threads  control
 * Units    per second; cycles
 */

#include "loop.h"
#include "port.h"
#include "worker.h"

struct rates;

struct rates_port {
	double rx_frames;
	double rx_bits;
	double tx_frames;
	double tx_bits;
	double drops;
};

struct rates_worker {
	double load_percent;     /**< time in turns that moved frames */
	double cycles_per_frame; /**< of these turns; negative: there was no frame */
};

/** @return 0; -ENOMEM; as loop_timer() */
int rates_create(struct loop *l, struct ports *ps, struct worker_set *ws, struct rates **out);
void rates_destroy(struct rates *r);

/** Rates over the last full second, or since the first look where that was just now.
 *  @return false: not known yet */
bool rates_port(struct rates *r, struct port *p, struct rates_port *out);
bool rates_worker(struct rates *r, uint32_t worker, struct rates_worker *out);

#endif
