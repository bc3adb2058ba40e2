/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VDPA_VIRTIO_SHADOW_IMPL_H
#define VDPA_VIRTIO_SHADOW_IMPL_H

/* Inside of shadow*.c: the bits of virtio 1.2, 2.7 and 2.8, and what a shadow ring knows. */

#include "shadow.h"

#include <rte_atomic.h>
#include <rte_branch_prediction.h>
#include <rte_common.h>

#include <stdatomic.h>
#include <string.h>

#define SIZE_MAX_DESCS 32768

#define F_INDIRECT_DESC 28
#define F_EVENT_IDX     29
#define F_RING_PACKED   34

#define DESC_NEXT     (1u << 0)
#define DESC_WRITE    (1u << 1)
#define DESC_INDIRECT (1u << 2)
#define DESC_AVAIL    (1u << 7)
#define DESC_USED     (1u << 15)

#define AVAIL_NO_INTERRUPT 1u
#define USED_NO_NOTIFY     1u

#define EVENT_ENABLE  0u
#define EVENT_DISABLE 1u
#define EVENT_DESC    2u

/* The virtio-net header of a device with VERSION_1, which every chain begins with. */
#define HDR_LEN 12

/* Entries of a table in the device's memory; a longer chain takes descriptors. */
#define TABLE_LEN 32

/* Pieces of a chain that anybody walks; a direct chain that ends in a table can have more. */
#define PIECES_MAX (SIZE_MAX_DESCS + 4096)

struct split_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

struct split_avail {
	uint16_t flags;
	uint16_t idx;
	uint16_t ring[];
};

struct split_used {
	uint16_t flags;
	uint16_t idx;
	uint64_t ring[];       /* id in the lower half, length in the upper; aligned to 4 only */
} __attribute__((packed, aligned(4)));

struct packed_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t id;
	uint16_t flags;
};

struct packed_event {
	uint16_t off_wrap;
	uint16_t flags;
};

enum rec_state {
	REC_FREE,
	REC_OUT,           /* the device holds it */
	REC_DONE,          /* the device has completed it */
	REC_SKIPPED,       /* is done, and the device never had it */
};

/*
 * A chain that was taken from the guest and not given back: it stands where its first descriptor
 * stands in the device's queue, so that a used element names it.  One that the device never gets
 * takes a descriptor all the same.
 */
struct rec {
	union {
		struct {
			uint32_t len;     /* room for the device; when done: bytes that it wrote */
			uint16_t id;      /* the guest's: head (split) or buffer id (packed) */
			uint16_t n_slots; /* of the guest's ring */
		};
		uint64_t taken;           /* all three; a word of a packed descriptor has two */
	};
	union {
		struct {
			uint16_t n_descs; /* of the device's queue */
			uint16_t state;
			bool in_table;    /* its pieces are in the table of its descriptor */
		};
		uint64_t posted;          /* all three */
	};
};

#define REC_TAKEN(len_id, slots) ((len_id) | (uint64_t)(slots) << 48)
#define REC_POSTED(descs)        ((descs) | (uint64_t)REC_OUT << 16)

/* A chain as it was read; as many of its pieces as the device can take. */
struct walk {
	uint32_t n;
	uint32_t len;      /* saturates */
	uint32_t n_slots;
	uint16_t id;
	uint16_t max;
	struct split_desc *pieces;
};

struct shadow {
	/* The guest's ring: constant. */
	const struct mem *mem;
	union {
		struct {
			struct split_desc *desc;
			struct split_avail *avail;
			struct split_used *used;
		} split;
		struct {
			struct packed_desc *desc;
			struct packed_event *driver;
			struct packed_event *device;
		} packed;
	};
	uint16_t size;
	bool is_packed, event_idx, indirect, tx;
	uint64_t desc_gpa, driver_gpa, device_gpa;

	/* The guest's ring: where it stands.  `used` <= `avail` <= what the guest has written. */
	uint16_t avail;           /* next to take; packed: a slot */
	uint16_t used;            /* next to give back */
	bool avail_wrap, used_wrap;
	bool blocked;             /* the next chain found no room */
	uint16_t avail_seen;      /* split: the guest's index as last read */
	uint16_t slots_out;       /* entries between both */
	uint16_t head_slot, head_flags; /* packed: flags that hold a burst back */

	/* The device's ring. */
	struct {
		struct split_desc *desc;
		struct split_avail *avail;
		struct split_used *used;
		struct split_desc *tables; /* TABLE_LEN for each descriptor; NULL: none */
		uint64_t iova, tables_iova;
		uint16_t size, mask;
		bool event_idx;
		uint16_t first, next;      /* descriptors in use; both count freely */
		uint16_t avail_idx;        /* as published, or about to be */
		uint16_t used_seen;
	} dev;

	struct rec *recs;                  /* by the device's descriptor */
	uint16_t n_out;                    /* of them, in flight */
	struct walk walk;

	shadow_mark_t mark;
	void *mark_arg;

	_Atomic uint8_t bad, fault;
	/* For shadow_stats(). */
	_Atomic uint64_t n_chains, n_dropped, n_skipped;
	_Atomic uint16_t shown_avail, shown_used, shown_out;
};

/* Split: the driver's event index stands behind its ring, the device's behind the used ring. */
static inline uint16_t *
used_event_of(struct split_avail *avail, uint16_t size)
{
	return &avail->ring[size];
}

static inline uint16_t *
avail_event_of(struct split_used *used, uint16_t size)
{
	return (uint16_t *)&used->ring[size];
}

/* Both used rings: elements are aligned to four bytes only. */
static inline uint64_t
elem_load(const struct split_used *used, uint32_t at)
{
	uint64_t elem;

	memcpy(&elem, (const uint8_t *)used->ring + at * sizeof(elem), sizeof(elem));
	return elem;
}

static inline void
elem_store(struct split_used *used, uint32_t at, uint64_t elem)
{
	memcpy((uint8_t *)used->ring + at * sizeof(elem), &elem, sizeof(elem));
}

/* Packed: moves a slot and its wrap counter on by n, n <= size. */
static inline void
packed_advance(const struct shadow *s, uint16_t *slot, bool *wrap, uint32_t n)
{
	uint32_t next = *slot + n;

	if (next >= s->size) {
		next -= s->size;
		*wrap = !*wrap;
	}
	*slot = (uint16_t)next;
}

static inline bool
packed_available(uint16_t flags, bool wrap)
{
	return ((flags & DESC_AVAIL) != 0) == wrap && ((flags & DESC_USED) != 0) != wrap;
}

static inline bool
has(uint64_t features, unsigned int bit)
{
	return (features >> bit & 1) != 0;
}

/* Descriptors of the device that are not in use. */
static inline uint16_t
descs_free(const struct shadow *s)
{
	return s->dev.size - (uint16_t)(s->dev.next - s->dev.first);
}

static inline struct rec *
rec_at(const struct shadow *s, uint16_t desc)
{
	return &s->recs[desc & s->dev.mask];
}

/* Between what the guest is shown and what it is asked: neither may pass the other. */
static inline void
guest_fence(void)
{
	atomic_thread_fence(memory_order_seq_cst);
}

/* The same towards the device, which may be behind a bus that a CPU's fence does not reach. */
static inline void
device_fence(void)
{
#ifdef RTE_ARCH_X86
	atomic_thread_fence(memory_order_seq_cst);
#else
	rte_io_mb();
#endif
}

static inline bool
running(const struct shadow *s)
{
	return atomic_load_explicit(&s->bad, memory_order_relaxed) == SHADOW_BAD_NONE &&
	       atomic_load_explicit(&s->fault, memory_order_relaxed) == SHADOW_FAULT_NONE;
}

/* One thread adds; any may read. */
static inline void
count_add(_Atomic uint64_t *count, uint64_t n)
{
	atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

void shadow_break(struct shadow *s, enum shadow_bad why);

/* shadow_walk.c: reads the chain at `avail` into s->walk.  @return what is wrong with it */
enum shadow_bad shadow_walk_split(struct shadow *s, uint16_t head);
enum shadow_bad shadow_walk_packed(struct shadow *s);

/* shadow_device.c: the device's side */

/* Gives the device the chain in s->walk.  @return false: no room now, s->blocked */
bool shadow_post(struct shadow *s);
/* Notes the chain in s->walk as done, without the device. */
void shadow_skip(struct shadow *s);
/* Shows the device what was posted since `before`.  @return it wants to hear of it */
bool shadow_dev_publish(struct shadow *s, uint16_t before);
/* Elements that the device has added, `max` of them at most. */
uint32_t shadow_dev_ready(struct shadow *s, uint32_t max);
/* Notes what the next `n` elements say is completed, in any order. */
void shadow_reap(struct shadow *s, uint32_t n);
/* Marks bytes, from the first one on, of what the device may write of the chain at `desc`. */
void shadow_payload_mark(const struct shadow *s, uint16_t desc, uint32_t len);

/* shadow_give.c: gives back what the next `n` elements say, and what is done already, as far as it
 * is in order.  @return chains */
uint32_t shadow_give(struct shadow *s, uint32_t n, bool *call);

static inline void
shadow_show(struct shadow *s)
{
	atomic_store_explicit(&s->shown_avail, (uint16_t)(s->avail | s->avail_wrap << 15),
			      memory_order_relaxed);
	atomic_store_explicit(&s->shown_used, (uint16_t)(s->used | s->used_wrap << 15),
			      memory_order_relaxed);
	atomic_store_explicit(&s->shown_out, s->n_out, memory_order_relaxed);
}

#endif
