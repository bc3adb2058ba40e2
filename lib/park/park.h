/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_PARK_H
#define FERRY_PARK_H

/**
 * @file
 * Frames for a guest that is on its way from one place to another are parked until it is there.
 *
 * A park belongs to the port that the guest leaves.  Each worker keeps what it would have sent
 * there in a buffer of its own and empties it to the guest's new place, in order and before
 * anything newer, at the pace at which the guest offers buffers:
 *
 *   ready       memory is set aside: the front-end has switched logging on
 *   keeping     a ring was stopped while logging was on: the guest leaves
 *   releasing   the guest runs again: on the same port, or on the heir, the port on which its
 *               address was seen
 *   dropping    it was nowhere to be seen in time
 *
 * To another host frames go by way of control, which takes them out of the buffers itself, and at
 * the guest's new port it puts them into one more, the inbox, which comes before all others:
 *
 *   streaming   the guest runs on another host: control sends what is kept, and what comes
 *   late        all that was kept has been sent; what may leave by the uplink does so by itself
 *   arriving    a guest has come: what is for it waits behind what comes from the host that it left
 *
 * While a park is there the FDB still names the port that was left, so that every frame for the
 * guest finds the park first; it follows when the park closes.
 *
 * Life     one set per process; a park from logging on until its guest is elsewhere and the
 *          buffers were empty for a moment, or logging is off, or the time-out.
 * Threads  park_open() to park_forget(): control or vhost, with or without the port's mutex;
 *          changes are seen by all workers when they return.  park_learned(), park_tick(),
 *          park_info(): control.  Views and buffers: workers.
 * Units    bytes of memory; milliseconds in options, microseconds elsewhere
 */

#include "cross.h"
#include "park_buf.h"

#include <stdbool.h>
#include <stdint.h>

#define PARK_PORTS_MAX 1024
#define PARK_MACS_MAX  64
#define PARK_NOWHERE   UINT16_MAX

#define PARK_BYTES      (16U << 20)
#define PARK_TIMEOUT_MS 5000U

/** For how long frames that come late follow those that went to another host, or came from one. */
#define PARK_GRACE_US 2000000

enum park_phase {
	PARK_READY, PARK_KEEPING, PARK_STREAMING, PARK_LATE, PARK_RELEASING, PARK_DROPPING,
	PARK_ARRIVING,
};

struct park_set;

struct park_opts {
	uint32_t bytes;       /**< memory of a park, all workers together; 0: nothing is parked */
	uint32_t timeout_ms;  /**< how long a guest may be on its way */
};

/** What a set tells who created it. */
struct park_ops {
	/** A park has come or has changed: park_tick() is wanted every now and then.  Any thread. */
	void (*wanted)(void *arg);
	/** It is gone, and its port's addresses may follow to `heir`; PARK_NOWHERE: they may not
	 *  stay where they are either.  Control, within park_tick(). */
	void (*closed)(void *arg, uint16_t port, uint16_t heir);
};

/** @return 0; -ENOMEM */
int park_set_create(struct cross *x, const struct park_opts *opts, const struct park_ops *ops,
		    void *arg, struct park_set **out);

/** After the last worker; NULL is allowed. */
void park_set_destroy(struct park_set *ps);

/** Changes what parks that open from now on have. */
void park_set_opts(struct park_set *ps, const struct park_opts *opts);

void park_set_opts_get(struct park_set *ps, struct park_opts *out);

/* control or vhost */

/**
 * Sets memory aside for a port; one that has a park keeps it.
 *
 * @return  0, also where nothing is to be parked; -ENOMEM: nothing will be parked
 */
int park_open(struct park_set *ps, uint16_t port);

/** The migration is cancelled before the guest has left: gives the memory back. */
void park_cancel(struct park_set *ps, uint16_t port);

/**
 * The guest leaves: its frames are kept from now on.
 *
 * @param features  negotiated: what its driver takes is parked as it is
 * @param n_rx      receive rings that it is reached through, and will be again
 */
void park_begin(struct park_set *ps, uint16_t port, uint64_t features, uint16_t n_rx);

/** The guest runs again on the port that it left. */
void park_return(struct park_set *ps, uint16_t port);

/** Who came back to the port that it had left has gone once more, and told nobody. */
void park_vanished(struct park_set *ps, uint16_t port);

/** The port is no more, and so is what was parked for it. */
void park_forget(struct park_set *ps, uint16_t port);

/** A guest whose rings are about to change their mover and not their port. */
struct park_guest {
	uint64_t features;     /**< negotiated */
	uint16_t n_rx;         /**< receive rings that it is reached through */
	uint16_t via;          /**< port that it is reached through besides; PARK_NOWHERE: none */
	uint32_t n_macs;       /**< what goes to `via` for these addresses is for the guest, too */
	const uint64_t *macs;  /**< as the lower 48 bits of a key of the FDB; copied */
};

/**
 * Frames for the guest are kept from the return on, whatever the port that they would have gone to;
 * those before have been given to it.
 *
 * @return  false: they are not: nothing is ever parked, no memory, or another journey of the guest
 *          has the park
 * @role    control or vhost, with the port's mutex held
 */
bool park_handover(struct park_set *ps, uint16_t port, const struct park_guest *g);

/** Ends it: what was kept goes to the guest first, or nowhere when it is not reached from here.
 *  Nothing happens where park_handover() said false. */
void park_handed(struct park_set *ps, uint16_t port, bool reached);

/** Whether frames for a port are kept, or not yet all released. */
bool park_active(struct park_set *ps, uint16_t port);

/** Whether a port's guest has left it, and has not come back.  */
bool park_left(struct park_set *ps, uint16_t port);

/** Whether any port's are: queues must not move between workers then. */
bool park_any(struct park_set *ps);

/* control */

/**
 * An address that stands on one port was seen on another.
 *
 * @return  true: the guest is on its way there and the FDB follows when the park closes
 */
bool park_learned(struct park_set *ps, uint16_t from, uint16_t to);

/** Ends what has timed out and closes what is done.  @return parks that there still are */
uint32_t park_tick(struct park_set *ps);

/* control: to another host */

/** Has control take the frames of a park from now on.  @return 0; -ENOENT: none that keeps any */
int park_stream(struct park_set *ps, uint16_t port);

/** Takes a frame; false: not this one, and none after it. */
typedef bool park_take_fn(void *arg, const struct park_frame *pf);

/** Hands frames out of a park's buffers, which is streamed.  @return 0; -ENOENT: it is not */
int park_stream_take(struct park_set *ps, uint16_t port, park_take_fn *fn, void *arg);

/** Whether nothing waits in a park's buffers. */
bool park_stream_empty(struct park_set *ps, uint16_t port);

/**
 * What a stream was opened for has been sent: frames that `heir` may have leave there now.
 *
 * @param heir  PARK_NOWHERE: it is not known, and all go on to be taken by control
 * @return      0; -ENOENT: it is not streamed
 */
int park_late(struct park_set *ps, uint16_t port, uint16_t heir);

/** Ends it: the park closes soon. */
void park_stream_end(struct park_set *ps, uint16_t port);

/** There is nobody to send to: the workers have it again, and send to `heir` if there is one. */
void park_stream_fail(struct park_set *ps, uint16_t port, uint16_t heir);

/* from another host */

/**
 * A guest has come: what is for it is kept until park_admitted(), behind what park_admit() puts in.
 *
 * @return  0; -EALREADY: the port has a park in use; -ENOTSUP: nothing is ever parked; -ENOMEM
 * @role    control or vhost
 */
int park_expect(struct park_set *ps, uint16_t port, uint64_t features);

/**
 * Puts a frame into a port's inbox.
 *
 * @return  0; -EAGAIN: full; -ENOENT: no guest was expected, or it is too late
 */
int park_admit(struct park_set *ps, uint16_t port, const struct virtio_net_hdr *vnet,
	       const uint8_t *bytes, uint32_t len);

/** Nothing older will come: what was kept may follow. */
void park_admitted(struct park_set *ps, uint16_t port);

/** Whether a port's guest has come and was not yet admitted.  */
bool park_arriving(struct park_set *ps, uint16_t port);

struct park_info {
	enum park_phase phase;
	uint16_t heir;
	uint64_t bytes;       /**< memory of all buffers */
	uint64_t kept;        /**< bytes that wait in them */
	uint64_t since_us;    /**< in this phase */
};

extern const char *const park_phase_names[];

/** @return 0; -ENOENT: the port has none */
int park_info(struct park_set *ps, uint16_t port, struct park_info *out);

/* worker */

/** A park as workers see it: immutable, but for the buffers. */
struct park_live {
	uint16_t port;
	uint16_t heir;            /**< releasing: where to; may be the port itself */
	uint16_t n_rx;
	uint8_t phase;            /**< enum park_phase */
	bool closing;             /**< a buffer that is empty stays so */
	uint64_t features;
	struct park_buf **bufs;   /**< by worker */
	struct park_buf *inbox;   /**< of the first worker, before all others: from another host;
				       NULL: none */
	uint16_t via;             /**< port that the guest is reached through besides; PARK_NOWHERE */
	uint16_t n_macs;
	const uint64_t *macs;     /**< its addresses there */
};

struct park_view {
	uint32_t n;
	uint32_t n_active;        /**< of them, those that are not only ready */
	struct park_live lives[PARK_PORTS_MAX];
	const struct park_live *ports[PARK_PORTS_MAX]; /**< by number; NULL: none */
};

/** @role worker, between two quiescent points */
const struct park_view *park_view(const struct park_set *ps);

#endif
