/* SPDX-License-Identifier: BSD-3-Clause */
#include "chain_guest.h"

static gpa_t
behind(gpa_t gpa, uint64_t off)
{
	return (gpa_t){ gpa.v + off };
}

static void
op_poke(const struct ref_ring *r, struct fuzz_in *in, uint8_t arg)
{
	gpa_t at = arena_ref(in);
	uint8_t data[256], len = fuzz_u8(in);

	fuzz_take(in, data, len);
	arena_write(at, data, len);
}

/* A descriptor with an address of the memory.  Of a packed one `next` is the id, and with `arg`
 * it is available (1) or used (2) for the driver's side of the ring as it stands. */
static void
desc_write(const struct ref_ring *r, struct fuzz_in *in, gpa_t table, uint8_t arg)
{
	uint16_t slot = fuzz_u16(in);
	struct vring_split_desc d = { .addr = arena_ref(in).v };
	uint16_t flags, next;

	d.len = fuzz_u32(in);
	flags = fuzz_u16(in);
	next = fuzz_u16(in);
	if (r->packed && (arg & 3) != 0)
		flags = (flags & 7) | ((arg & 1) == r->wrap ? DESC_F_AVAIL :
							       DESC_F_USED);
	d.flags = r->packed ? next : flags;
	d.next = r->packed ? flags : next;
	arena_write(behind(table, 16ull * slot), &d, sizeof(d));
}

static void
op_desc(const struct ref_ring *r, struct fuzz_in *in, uint8_t arg)
{
	desc_write(r, in, r->opts.desc, arg);
}

static void
op_table(const struct ref_ring *r, struct fuzz_in *in, uint8_t arg)
{
	desc_write(r, in, arena_ref(in), arg);
}

static void
op_raw(const struct ref_ring *r, struct fuzz_in *in, uint8_t arg)
{
	uint16_t slot = fuzz_u16(in);
	uint8_t data[16];

	fuzz_take(in, data, sizeof(data));
	arena_write(behind(r->opts.desc, 16ull * slot), data, sizeof(data));
}

static void
avail_set(const struct ref_ring *r, uint16_t idx)
{
	arena_write(behind(r->opts.driver, 2), &idx, sizeof(idx));
}

/* Makes heads available, `arg` + 1 of them, from one on. */
static void
op_push(const struct ref_ring *r, struct fuzz_in *in, uint8_t arg)
{
	uint16_t head = fuzz_u16(in), idx = 0;

	arena_read(behind(r->opts.driver, 2), &idx, sizeof(idx));
	for (uint32_t i = 0; i <= arg; i++, head++, idx++)
		arena_write(behind(r->opts.driver, 4 + 2ull * (idx & (r->opts.size - 1))),
			    &head, sizeof(head));
	avail_set(r, idx);
}

static void
op_avail(const struct ref_ring *r, struct fuzz_in *in, uint8_t arg)
{
	avail_set(r, fuzz_u16(in));
}

static void
op_event(const struct ref_ring *r, struct fuzz_in *in, uint8_t arg)
{
	uint16_t value = fuzz_u16(in), flags = fuzz_u16(in);

	if (r->packed) {
		arena_write(r->opts.driver, &value, sizeof(value));
		arena_write(behind(r->opts.driver, 2), &flags, sizeof(flags));
	} else {
		arena_write(r->opts.driver, &flags, sizeof(flags));
		if (r->event_idx)
			arena_write(behind(r->opts.driver, 4 + 2ull * r->opts.size), &value,
				    sizeof(value));
	}
}

static void (*const ops[GUEST_OPS])(const struct ref_ring *r, struct fuzz_in *in, uint8_t arg) = {
	op_poke, op_desc, op_table, op_raw, op_push, op_avail, op_event,
};

void
guest_op(const struct ref_ring *r, struct fuzz_in *in, uint8_t op, uint8_t arg)
{
	ops[op](r, in, arg);
}
