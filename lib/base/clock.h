/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_CLOCK_H
#define FERRY_CLOCK_H

/**
 * @file
 * Time.  Control uses nanoseconds of CLOCK_MONOTONIC; workers use the cycle counter, which
 * costs no call, and convert when they must.
 *
 * Threads  any
 * Units    nanoseconds, cycles of the time stamp counter
 */

#include <rte_cycles.h>

#include <stdint.h>
#include <time.h>

#define NS_PER_US 1000ULL

/** Nanoseconds of CLOCK_MONOTONIC. */
static inline uint64_t
clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/** Nanoseconds since 1970, for what people and captures read. */
static inline uint64_t
clock_wall_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/** Microseconds in so many cycles. */
static inline uint64_t
clock_cycles_to_us(uint64_t cycles)
{
	return cycles / (rte_get_tsc_hz() / 1000000);
}

/** Cycles in so many microseconds. */
static inline uint64_t
clock_us_to_cycles(uint64_t us)
{
	return us * (rte_get_tsc_hz() / 1000000);
}

#endif
