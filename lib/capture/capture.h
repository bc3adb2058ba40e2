/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_CAPTURE_H
#define FERRY_CAPTURE_H

/**
 * @file
 * Capture of frames to pcapng: a filter compiled by libpcap runs in the datapath, what passes goes
 * through a ring to the writer thread, which alone touches the disk.
 *
 * rx is what the switch received from the port, tx what it gave to the port; in the file they are
 * Wireshark's inbound and outbound, and each port is an interface by its name.
 *
 * Life     one per process; each capture runs from capture_start() to capture_stop(), or until
 *          its file ends it (size or frame limit, write error: kept for show with the reason).
 * Threads  capture_view() and capture_frame(): workers; the rest: control.  The writer sleeps
 *          without a timer while no capture runs, and tells control by EVENT_CAPTURE_ENDED when one
 *          has ended by itself.
 * Units    bytes, nanoseconds since 1970
 * Source   draft-ietf-opsawg-pcapng; pcap-filter(7)
 */

#include "cross.h"

#include <sys/uio.h>

#include <stdbool.h>
#include <stdint.h>

#define CAPTURE_PORTS_MAX   1024
#define CAPTURE_SNAPLEN_MAX 65535

enum capture_dir { CAPTURE_RX = 1, CAPTURE_TX = 2, CAPTURE_BOTH = 3 };

struct capture;

/** What a worker sees of a port's captures: immutable. */
struct capture_view;

struct capture_opts {
	const char *name;        /**< unique; NULL: made from the port's name and a number */
	uint16_t port;           /**< port number; UINT16_MAX: all ports, those to come too */
	enum capture_dir dir;
	const char *filter;      /**< pcap-filter expression; NULL or "": everything */
	uint32_t snaplen;        /**< 0: CAPTURE_SNAPLEN_MAX */
	uint64_t frames_max;     /**< stop after so many; 0: never */
	uint64_t bytes_max;      /**< stop before the file is larger, at least 1024; 0: never */
	const char *file;        /**< path; NULL when fd is given */
	int fd;                  /**< write here (a pipe from `capture start file=-`); -1: use file.
				      On success the capture closes it: it writes through one of
				      its own, so that nobody else's becomes non-blocking. */
};

struct capture_info {
	char name[64];
	uint16_t port;
	enum capture_dir dir;
	char filter[256];
	char file[256];
	uint32_t snaplen;
	bool running;
	char reason[128];        /**< why it ended */
	uint64_t frames;         /**< written */
	uint64_t bytes;          /**< of the file */
	uint64_t filtered;       /**< frames that the filter did not want */
	uint64_t drops;          /**< frames that the writer was too slow for */
};

/* life */

/** Starts the writer thread. @return 0; -ENOMEM; -errno */
int capture_create(struct cross *x, struct capture **out);

/** Stops all captures, writes what is queued, joins the thread; NULL is allowed. */
void capture_destroy(struct capture *c);

/* control */

/**
 * Starts a capture.
 *
 * @param why  filled with one line on error: the filter's error with libpcap's words, the path
 * @return     0; -EINVAL: filter or option; -EEXIST: name or file in use; -ENOSPC: too many run;
 *             -EBADF: fd is not for writing; -errno of open(); -ENOMEM
 */
int capture_start(struct capture *c, const struct capture_opts *opts, char *why, size_t why_size);

/**
 * Stops one by name and forgets it: after return its file is complete, each frame offered before
 * the call is in it or in the drops of its closing block.  Waits for the disk, and for a slow
 * reader of a pipe a tenth of a second; what the reader has not taken then is lost.
 *
 * @return  0; -ENOENT
 */
int capture_stop(struct capture *c, const char *name);

/** Tells the names that files carry: call for each port that comes (name) or goes (NULL).  A
 *  capture of a port ends with it. */
void capture_port_set(struct capture *c, uint16_t port, const char *name);

/** Walks captures, running and ended. @param iter starts at 0  @return 0; -ENOENT: no more */
int capture_next(const struct capture *c, uint32_t *iter, struct capture_info *out);

/* worker */

/** The captures of a port; NULL: none, which is one load and a branch. */
const struct capture_view *capture_view(const struct capture *c, uint16_t port);

/**
 * Offers a frame to a port's captures.
 *
 * @param dir  CAPTURE_RX or CAPTURE_TX
 * @param v    NULL is allowed: a capture may have ended since the caller looked
 * @param iov  the frame from its destination address on, in pieces; a single one is not gathered
 *             first, so in memory that a stranger writes, filter and file may see different bytes
 * @param len  sum of the pieces
 * @role       worker, between two quiescent points
 */
void capture_frame(const struct capture_view *v, uint32_t worker, enum capture_dir dir,
		   const struct iovec *iov, uint32_t n_iov, uint32_t len);

#endif
