/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_CAPTURE_SINK_H
#define FERRY_CAPTURE_SINK_H

/*
 * Where a capture's bytes go: a file, a pipe or a socket, behind a buffer of whole pcapng blocks.
 * A reader that is slow or gone never holds the writer.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Frames are taken from the rings while the buffer holds less than this. */
#define SINK_FULL (256u << 10)

enum sink_kind { SINK_FILE, SINK_STREAM, SINK_SOCKET };

struct capture_sink {
	int fd;
	enum sink_kind kind;
	dev_t dev;
	ino_t ino;
	uint64_t taken;  /* bytes that the file has taken */
	uint8_t *buf;    /* from the start of a block on */
	size_t size;
	size_t len;      /* bytes in buf */
	size_t sent;     /* of them taken by the file */
	bool gone;       /* poll() says that nobody will read */
	bool short_of_memory;
};

/* Opens or creates the file; what is in it stays until sink_empty().  0; -errno of open() */
int sink_open(struct capture_sink *s, const char *path);

/* Opens what the caller has opened, who keeps his descriptor.  0; -EBADF: not for writing;
 * -errno
 */
int sink_share(struct capture_sink *s, int fd);

/* Empties a regular file.  0; -errno */
int sink_empty(struct capture_sink *s);

void sink_close(struct capture_sink *s);

/* Room for `len` bytes at the end of the buffer, which grows; NULL: no memory. */
uint8_t *sink_extend(struct capture_sink *s, size_t len);

/* Writes what the file takes now.  0: all; -EAGAIN: not all; -ENOMEM: a block is
 * missing; -errno of write()
 */
int sink_flush(struct capture_sink *s);

/* Gives up what is in the buffer; a file keeps no half block. */
void sink_discard(struct capture_sink *s);

static inline size_t
sink_pending(const struct capture_sink *s)
{
	return s->len - s->sent;
}

#endif
