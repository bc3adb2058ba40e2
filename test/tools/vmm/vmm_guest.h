/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VMM_GUEST_H
#define VMM_GUEST_H

/**
 * @file
 * One virtual guest: memory, connection and the virtqueues of a network device, as one object.
 *
 * Rings are numbered as on the wire: 2 * pair is what the guest receives on, 2 * pair + 1 what it
 * transmits on.  Every call that can show a violation returns -EPROTO and leaves its text in the
 * fault that the guest was created with.
 *
 * Life     create, connect, start, (stop, start)*, destroy; connect again after a disconnect.
 * Threads  one at a time per guest.
 * Units    lengths in bytes, times in milliseconds.
 * Source   virtio 1.2 clause 5.1 (network device), vhost-user "Ring states" and "Multiple queue".
 */

#include <linux/virtio_net.h>

#include "vmm_frame.h"
#include "vmm_front.h"
#include "vmm_log.h"
#include "vmm_ring.h"

#define VMM_PAIRS_MAX 64
#define VMM_SEGS_MAX 64

/** What a guest is to be.  vmm_guest_conf_init() fills in what most callers want. */
struct vmm_guest_conf {
	const char *path;
	bool server;            /* we listen */
	uint16_t pairs;         /* queue pairs to start */
	uint16_t size;          /* of every ring */
	uint16_t pos;           /* where the rings start; packed: add 1 << 15 */
	bool packed, mergeable, indirect, event_idx, in_order;
	bool offload;           /* checksum and segmentation, both ways */
	bool legacy;            /* no VIRTIO_F_VERSION_1 */
	bool split_header;      /* cut chains anywhere, through the header too */
	bool lenient;           /* do not insist on num_buffers without MRG_RXBUF (librte_vhost) */
	bool shadow;            /* containment oracle */
	bool adjacent;          /* memory regions without holes between them */
	bool twin;              /* keep a migrated image, see vmm_mem */
	bool pattern;           /* fill buffers anew before they are posted to be written */
	bool ack_all;           /* see vmm_front */
	unsigned int n_regions;
	uint64_t mem_size;      /* 0: as much as the rings and buffers need */
	uint16_t n_bufs;        /* per ring; 0: as many as fit, at most 512 */
	uint32_t rx_buf, tx_buf;/* bytes of a buffer, its header included */
	uint32_t edge;          /* byte of receive buffers, from 1, that starts a page; rings alike */
	uint16_t segs;          /* most pieces of a chain, 1..VMM_SEGS_MAX */
	uint16_t mtu;           /* NET_SET_MTU when negotiated; 0: none */
	uint64_t features_off;  /* features never to take */
	uint32_t seed;          /* of cuts and of the order of ids */
	uint32_t deadline_ms;   /* of every wait for the backend */
	uint8_t mac_id;         /* last byte of the address */
};

/** One buffer and the pieces that it is posted in. */
struct vmm_buf {
	uint64_t gpa;
	uint32_t len;           /* of all pieces */
	uint16_t n_segs;
	struct vmm_seg segs[VMM_SEGS_MAX];
};

/** One virtqueue of the device with its buffers. */
struct vmm_queue {
	struct vmm_ring *ring;
	struct vmm_buf *bufs;
	uint16_t *free;         /* buffers that are not in the ring, a stack */
	uint16_t n_bufs, n_free;
	uint32_t buf_len;
	bool enabled;
	uint32_t base;          /* as the last GET_VRING_BASE answered */
};

/** One guest. */
struct vmm_guest {
	struct vmm_guest_conf conf;
	struct vmm_fault *fault;
	struct vmm_mem *mem;
	struct vmm_front *front;
	struct vmm_queue queues[VMM_PAIRS_MAX * 2];
	unsigned int n_queues;
	uint8_t mac[6];
	uint32_t hdr_len;
	uint32_t rng;
	bool started;
	bool logging;           /* VHOST_F_LOG_ALL is in its features */
	struct vmm_log *log;    /* of its owner; NULL: the backend has none yet */
	uint64_t interrupts;
};

/** A frame's virtio header in the order of virtio_net_hdr_v1. */
typedef struct virtio_net_hdr_v1 vmm_net_hdr;

/* Life */

/** Defaults: one pair, split, 256 entries, mergeable, indirect, event index, one region. */
void vmm_guest_conf_init(struct vmm_guest_conf *conf);

/** Creates memory and socket; rings come with the first start.  @return 0; -errno */
int vmm_guest_create(struct vmm_guest **out, const struct vmm_guest_conf *conf,
		     struct vmm_fault *fault);
void vmm_guest_destroy(struct vmm_guest *g);

/** Connects and negotiates.  @return 0; as vmm_front_connect(), vmm_front_negotiate(); -ENOTSUP:
 *  the backend does not offer what the configuration asks for, fault names it */
int vmm_guest_connect(struct vmm_guest *g);

/** Connects and starts.  @return as those */
int vmm_guest_open(struct vmm_guest *g);

/**
 * Starts all rings where their ledgers stand, in QEMU's order of messages; at the first time it
 * creates them and posts all receive buffers.
 *
 * @return 0; -errno as for vmm_front_send()
 */
int vmm_guest_start(struct vmm_guest *g);

/**
 * Creates the rings and posts all receive buffers for a backend in this process, without a socket:
 * the caller hands over memory, addresses and positions by itself.
 *
 * @param offered  features of the backend
 * @return         0; -ENOMEM; -EPROTO
 */
int vmm_guest_attach(struct vmm_guest *g, uint64_t offered);

/**
 * Stops all rings (GET_VRING_BASE each).  Receive what is left, then call vmm_guest_settle().
 *
 * @return 0; -errno as for vmm_front_send()
 */
int vmm_guest_stop(struct vmm_guest *g);

/** Position oracle for all rings, once vmm_guest_recv() finds nothing more.  @return 0; -EPROTO */
int vmm_guest_settle(struct vmm_guest *g);

/**
 * Closes the connection, as a front-end that is killed, and waits until the backend has let go.
 * What it still delivered before can be received; vmm_guest_open() goes on from there.
 */
void vmm_guest_disconnect(struct vmm_guest *g);

/** Forgets all that is in the stopped rings and moves them, as a guest that boots again does. */
int vmm_guest_reboot(struct vmm_guest *g);

/* Changes while it runs */

/** Switches a pair on or off.  @return as vmm_front_send() */
int vmm_guest_enable(struct vmm_guest *g, unsigned int pair, bool enabled);

/** Gives ring `index` a new kick or call descriptor.  @return as vmm_front_send(); -errno */
int vmm_guest_kick_change(struct vmm_guest *g, unsigned int index);
int vmm_guest_call_change(struct vmm_guest *g, unsigned int index);

/** Sends the addresses of ring `index` again.  @return as vmm_front_send() */
int vmm_guest_addr_send(struct vmm_guest *g, unsigned int index);

/** Adds an empty region, or takes the last away.  @return as vmm_front_send(), vmm_mem_plug() */
int vmm_guest_mem_plug(struct vmm_guest *g, uint64_t size);
int vmm_guest_mem_unplug(struct vmm_guest *g);

/* Dirty log */

/**
 * Switches logging on, in QEMU's order pair by pair: SET_LOG_BASE, SET_FEATURES, SET_VRING_ADDR.
 * Every write after its return is logged.
 *
 * @param once  not as QEMU: one SET_LOG_BASE, the addresses of all rings, and the feature last
 * @return      0; -ENOTSUP: the backend cannot log; as vmm_front_send()
 */
int vmm_guest_log_on(struct vmm_guest *g, struct vmm_log *log, bool once);

/** Switches logging off; the log stays the backend's until it gets another.
 *  @return as vmm_front_send() */
int vmm_guest_log_off(struct vmm_guest *g);

/** Gives the backend another log, or the one that it has waited for.
 *  @return as vmm_front_send() */
int vmm_guest_log_change(struct vmm_guest *g, struct vmm_log *log, bool once);

/** What lies at an address, for people: a ring's part, a buffer's byte. */
void vmm_guest_where(const struct vmm_guest *g, uint64_t gpa, char *text, size_t size);

/* Frames */

/**
 * Puts a frame into the transmit ring of a pair.  Not visible before vmm_guest_flush().
 *
 * @param hdr  virtio header, NULL: zeros
 * @return     0; -EAGAIN: ring or buffers are full; -EMSGSIZE: longer than tx_buf; -EPROTO
 */
int vmm_guest_send(struct vmm_guest *g, unsigned int pair, const void *frame, uint32_t len,
		   const vmm_net_hdr *hdr);

/**
 * Takes the next frame from the receive ring of a pair and posts its buffers again.
 *
 * @param hdr  out, may be NULL
 * @return     length; 0: none; -EPROTO
 */
int vmm_guest_recv(struct vmm_guest *g, unsigned int pair, void *frame, uint32_t size,
		   vmm_net_hdr *hdr);

/**
 * Broadcasts one frame, as a guest does that comes up, and waits until it is taken: whoever had
 * this guest's address on another port has it no more.
 *
 * @return 0; -ETIMEDOUT; -EPROTO
 */
int vmm_guest_announce(struct vmm_guest *g);

/** Takes back transmitted buffers of all pairs.  @return how many; -EPROTO */
int vmm_guest_reclaim(struct vmm_guest *g);

/** Frames that were sent and whose buffers are not back yet. */
unsigned int vmm_guest_unsent(const struct vmm_guest *g);

/** Makes all that was posted visible, with the kicks that the device wants.  @return 0; -EPROTO */
int vmm_guest_flush(struct vmm_guest *g);

/**
 * Sleeps until one of the guests is interrupted, notifications armed; at once when there is
 * something to collect.
 *
 * @return 1: something came; 0: nothing within `timeout_ms`; -EPROTO: used chains were there at the
 *         end, but no interrupt
 */
int vmm_guest_wait(struct vmm_guest *const *guests, unsigned int n, uint32_t timeout_ms);

#endif
