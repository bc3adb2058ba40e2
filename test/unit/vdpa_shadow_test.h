/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_VDPA_SHADOW_TEST_H
#define FERRY_VDPA_SHADOW_TEST_H

/**
 * @file
 * The parts of the test.
 *
 * Threads  the test's
 */

/** Rings and chains that are bad, by the same names as in lib/vring. */
void test_bad(void);

/** Who is notified, and when. */
void test_events(void);

/** Devices that do what they may not; chains that find no room. */
void test_device(void);

#endif
