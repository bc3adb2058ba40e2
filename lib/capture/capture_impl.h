/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_CAPTURE_IMPL_H
#define FERRY_CAPTURE_IMPL_H

/*
 * Inside of lib/capture.  A run is one capture, an iface is one port within a run, a tap is a run
 * as the view of a port names it, a lane is what one worker writes.
 *
 * A run is stopped in this order: its taps are taken out of the views, a grace period passes, the
 * writer is told to drain the rings, the writer says that it has ended.  From then on it belongs to
 * control alone.
 */

#include "capture.h"
#include "capture_ring.h"
#include "capture_sink.h"

#include <rte_common.h>

#include <pcap/pcap.h>
#include <pthread.h>
#include <sys/eventfd.h>

#define RUNS_MAX      64 /* that run at the same time, and that are kept after their end */
#define FRAME_MAX     (RTE_ALIGN_CEIL(65535 + 64, RTE_CACHE_LINE_SIZE))

struct capture_run;

/* What one worker has done for one iface.  Worker: store; any: load. */
struct capture_count {
	_Atomic uint64_t offered;
	_Atomic uint64_t filtered;
	_Atomic uint64_t dropped; /* the ring was full */
} __rte_cache_aligned;

struct capture_iface {
	char name[64];
	uint16_t port;
	int64_t id;                 /* in the file, -1: not yet; writer only */
	uint64_t written;           /* writer only */
	struct capture_iface *next; /* in the run; under the lock */
	struct capture_count counts[];
};

enum run_state { RUN_ACTIVE, RUN_DRAIN, RUN_ENDED };

struct capture_run {
	/* Immutable from publishing on. */
	char name[64];
	char *filter;
	char *file;
	uint16_t port;
	enum capture_dir dir;
	bool filtering;
	struct bpf_program program;
	uint32_t snaplen;
	uint64_t frames_max;
	uint64_t bytes_max;
	uint32_t n_workers;
	struct capture_ring *rings[CROSS_WORKERS_MAX];

	/* Under the lock: control or writer to DRAIN, writer to ENDED; all: load. */
	_Atomic uint32_t state;
	_Atomic bool hurry;     /* control waits for the end; control: set, writer: load */

	/* Writer: store; control: load. */
	_Atomic uint64_t frames;
	_Atomic uint64_t bytes;
	_Atomic uint64_t lost;  /* taken from a ring and not written after all */
	char reason[128];       /* with the state, by who changes it */

	/* Writer only, after the start. */
	struct capture_sink sink;
	uint32_t n_ifaces;      /* in the file */
	uint64_t start_ns;      /* since 1970; 0: nothing written yet */
	uint64_t deadline_ns;   /* until which a slow reader is waited for; 0: for ever */
	bool limited;           /* no more frames are taken, whatever lies in the rings */
	bool closing;           /* the closing blocks stand in the sink's buffer */

	/* Control, under the lock; writer: load under the lock. */
	struct capture_iface *ifaces;
	struct capture_iface **ifaces_end;

	/* Control only. */
	struct capture_iface *now[CAPTURE_PORTS_MAX]; /* who has the port's number at present */
	bool published;
	struct capture_run *next;
};

struct capture_tap {
	struct capture_run *run;
	struct capture_iface *iface;
};

struct capture_view {
	struct capture *capture;
	uint32_t n;
	struct capture_tap taps[];
};

struct capture {
	_Atomic(const struct capture_view *) views[CAPTURE_PORTS_MAX]; /* control; workers */
	uint8_t *scratches;           /* FRAME_MAX bytes for each worker; worker only */
	_Atomic bool asleep;          /* writer: set; who rings the bell: clear */
	int bell;                     /* eventfd that the writer sleeps on */

	struct cross *cross;
	pthread_t writer;
	bool writer_runs;

	pthread_mutex_t lock;         /* control and writer */
	pthread_cond_t ended;         /* a run has ended */
	struct capture_run *active[RUNS_MAX]; /* under the lock */
	uint32_t n_active;
	bool quit;

	/* Control only. */
	char *names[CAPTURE_PORTS_MAX];
	struct capture_run *runs;     /* in the order of their start */
};

/* Wakes the writer. */
static inline void
capture_bell(struct capture *c)
{
	eventfd_write(c->bell, 1);
}

/* capture_writer.c: the thread. */
void *capture_writer(void *arg);

/* capture_run.c */

/* Makes a run of checked options: filter compiled, file open, rings there. */
int run_create(struct capture *c, const struct capture_opts *opts, char *why, size_t why_size,
	       struct capture_run **out);
void run_destroy(struct capture_run *run);

/* Frees what an ended run needs no more; what show tells stays. */
void run_strip(struct capture_run *run);

/* Adds the port that has this number now. */
int run_iface_add(struct capture *c, struct capture_run *run, uint16_t port);

/* What all workers have counted for an iface. */
struct iface_sum {
	uint64_t offered;
	uint64_t filtered;
	uint64_t dropped;
};

struct iface_sum run_iface_sum(const struct capture_run *run, const struct capture_iface *i);

/* All that show tells. */
void run_info(const struct capture_run *run, struct capture_info *out);

static inline bool
run_wants(const struct capture_run *run, uint16_t port)
{
	return run->port == UINT16_MAX || run->port == port;
}

static inline enum run_state
run_state(const struct capture_run *run)
{
	return atomic_load_explicit(&run->state, memory_order_acquire);
}

#endif
