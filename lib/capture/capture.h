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
 * Threads  capture_view() and capture_frame(): workers; the rest: control.
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
	uint64_t bytes_max;      /**< stop before the file is larger; 0: never */
	const char *file;        /**< path; NULL when fd is given */
	int fd;                  /**< write here (a pipe from `capture start file=-`); -1: use file.
				      Owned by the capture from success on. */
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
 * @return     0; -EINVAL: filter or option; -EEXIST: name or file in use; -errno of open(); -ENOMEM
 */
int capture_start(struct capture *c, const struct capture_opts *opts, char *why, size_t why_size);

/** Stops one by name: after return its file is complete. @return 0; -ENOENT */
int capture_stop(struct capture *c, const char *name);

/** Tells the names that files carry: call for each port that comes (name) or goes (NULL). */
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
 * @param iov  the frame from its destination address on, in pieces
 * @param len  sum of the pieces
 * @role       worker, between two quiescent points
 */
void capture_frame(const struct capture_view *v, uint32_t worker, enum capture_dir dir,
		   const struct iovec *iov, uint32_t n_iov, uint32_t len);

#endif
