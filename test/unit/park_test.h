/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_PARK_TEST_H
#define FERRY_PARK_TEST_H

/* Stories of parks, by file. */

#include "park.h"

#include "check.h"

void park_buf_stories(void);
void park_host_stories(void);
void park_race_stories(void);

#endif
