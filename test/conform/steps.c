/* SPDX-License-Identifier: BSD-3-Clause */
/* What most cases are made of. */
#include "conform.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

/* Long enough for a worker that was not waited for to write once more. */
#define STILL_US 300

#define WAIT_US 3000000
#define NAP_US  200

/* On a wire without a frame for so long there is none. */
#define QUIET_US 50000

int
conform_start(struct conform *c)
{
	int rc = side_start(&c->b);

	if (rc == 0)
		rc = side_start(&c->a);
	if (rc == 0 && c->provider->started != NULL)
		c->provider->started(c->wire, c->a.dev);
	return rc < 0 ? vmm_fault_set(&c->fault, "start: %s", strerror(-rc)) : 0;
}

int
conform_settle(struct conform *c, struct side *s)
{
	uint8_t *copy = side_copy(s);

	usleep(STILL_US);
	if (!side_same(s, copy))
		return vmm_fault_set(&c->fault, "port %u: memory changes after stop() has returned",
				     s->port);
	TRY(traffic_recv(s == &c->a ? &c->ba : &c->ab));
	return side_settle(s);
}

int
conform_stop(struct conform *c)
{
	side_stop(&c->a);
	TRY(conform_settle(c, &c->a));
	side_stop(&c->b);
	return conform_settle(c, &c->b);
}

int
conform_traffic(struct conform *c, uint32_t n)
{
	TRY(traffic_run(&c->ab, n));
	return traffic_run(&c->ba, n);
}

int
conform_unsent(struct conform *c, struct side *s)
{
	for (uint32_t us = 0; us < WAIT_US && vmm_guest_unsent(s->g) > 0; us += NAP_US) {
		int rc = vmm_guest_reclaim(s->g);

		TRY(rc);
		/* No sender is held back for a receiver: but on a wire that waits for buffers. */
		if (c->provider->holds && (s == &c->a ? c->b : c->a).running)
			TRY(traffic_recv(s == &c->a ? &c->ab : &c->ba));
		if (rc == 0)
			usleep(NAP_US);
	}
	if (vmm_guest_unsent(s->g) == 0)
		return 0;
	return vmm_fault_set(&c->fault, "port %u: %u frames are not taken", s->port,
			     vmm_guest_unsent(s->g));
}

/* Frames that are not accounted for. */
static int64_t
missing(const struct conform *c)
{
	return (int64_t)(c->ab.sent + c->ba.sent - c->ab.received - c->ba.received -
			 conform_drops(c) - c->forgotten);
}

int
conform_arrived(struct conform *c)
{
	int64_t before = INT64_MAX;

	while (c->provider->keeps && missing(c) > 0 && missing(c) < before) {
		before = missing(c);
		usleep(QUIET_US);
		TRY(traffic_recv(&c->ab));
		TRY(traffic_recv(&c->ba));
	}
	return 0;
}

int
conform_sum(struct conform *c)
{
	uint64_t sent = c->ab.sent + c->ba.sent, received = c->ab.received + c->ba.received;

	c->provider->tend(c->wire);
	if (missing(c) == 0 || (missing(c) > 0 && c->provider->keeps))
		return 0;
	return vmm_fault_set(&c->fault, "%" PRIu64 " frames sent, %" PRIu64 " received, %" PRIu64
			     " dropped by name", sent, received, conform_drops(c));
}
