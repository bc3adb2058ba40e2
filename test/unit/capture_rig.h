/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_CAPTURE_RIG_H
#define FERRY_CAPTURE_RIG_H

/**
 * @file
 * What the stories of captures share: two ports, four workers that the test plays itself, frames
 * that a number decides, and files that are read twice, by libpcap and by us.
 */

#include "capture.h"
#include "pcapng_read.h"

#include "clock.h"

#define N_WORKERS 4

extern struct cross *cross;
extern struct capture *capture;
extern char folder[];
extern char path[64], path2[64]; /* in `folder`, removed after each story */
extern char why[256];

/* Ports 1 ("vm1") and 2 ("vm2"). */
void rig_create(void);
void rig_destroy(void);

/* A UDP frame whose source port is the low half of `n`, filled with what `n` decides. */
uint32_t frame_make(uint8_t *frame, uint32_t n, uint32_t len);

/* A worker sees the frame of this number. */
void offer(uint16_t port, uint32_t worker, enum capture_dir dir, uint32_t n, uint32_t len);

/* Starts a capture that must not be refused. */
void start(const struct capture_opts *opts);

/* What show tells of a capture; NULL: there is none. */
const struct capture_info *info_of(const char *name);

/* Waits until the writer has ended a capture by itself; control then takes it out of the view. */
const struct capture_info *ended(const char *name);

/* Is this the frame of number `n`, of which `cap_len` bytes were kept? */
void frame_check(const struct pcapng_read_frame *r, uint32_t n, uint32_t cap_len, uint32_t len);

/* Reads a file with our reader and expects that libpcap sees the same. */
void load(const char *file, struct pcapng_read *f);

/* capture_sink_test.c */
void test_pipe(void);
void test_pipe_late(void);
void test_pipe_stuck(void);
void test_pipe_closes(void);
void test_pipe_closes_full(void);
void test_disk_full(void);
void test_idle(void);

#endif
