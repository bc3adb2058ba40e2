/* SPDX-License-Identifier: BSD-3-Clause */
#include "peer_move_impl.h"
#include "clock.h"
#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

LOG_USE(peer);

/*
 * For how long nothing may come of the peers that were told of a guest, and of the guest itself: on
 * a busy host its rings start long before its processors do, and whom nobody hears nobody is told
 * of, so that what the host that it left has for it goes nowhere.
 */
#define PATIENCE_US 500000
#define SILENCE_US  1500000

bool
peer_moves_expect(struct peer_moves *pm, uint16_t port, uint64_t features)
{
	return peer_set_active(pm->set) && park_expect(pm->opts.parks, port, features) == 0;
}

static struct peer_in *
find_port(const struct peer_moves *pm, uint16_t port)
{
	for (struct peer_in *in = pm->ins; in != NULL; in = in->next)
		if (in->port == port && !in->admitted)
			return in;
	return NULL;
}

static struct peer_in *
find_generation(const struct peer_moves *pm, uint32_t generation)
{
	for (struct peer_in *in = pm->ins; in != NULL; in = in->next)
		if (in->generation == generation)
			return in;
	return NULL;
}

static struct peer_in *
begin(struct peer_moves *pm, uint16_t port)
{
	struct peer_in *in;

	peer_in_forget(pm, port); /* an earlier visit's late frames are nobody's any more */
	in = calloc(1, sizeof(*in));
	if (in == NULL) {
		park_admitted(pm->opts.parks, port);
		return NULL;
	}
	in->port = port;
	in->generation = ++pm->generation;
	in->began_us = in->progress_us = peer_now_us();
	in->next = pm->ins;
	pm->ins = in;
	peer_moves_watch(pm);
	return in;
}

void
peer_moves_look(struct peer_moves *pm)
{
	for (uint16_t i = 0; i < PORT_MAX; i++)
		if (park_arriving(pm->opts.parks, i) && find_port(pm, i) == NULL)
			begin(pm, i);
}

/* What peers had for the guest is in its inbox; what came meanwhile may follow. */
static void
admit(struct peer_moves *pm, struct peer_in *in)
{
	in->admitted = true;
	in->progress_us = peer_now_us();
	park_admitted(pm->opts.parks, in->port);
}

static bool
complete(const struct peer_in *in)
{
	for (uint16_t i = 0; i < in->n_asked; i++)
		if (in->asked[i].owes > 0)
			return false;
	return in->n_keys > 0;
}

static void
ask(struct peer_in *in, struct peer *p)
{
	uint16_t i = 0;

	while (i < in->n_asked && in->asked[i].peer != p)
		i++;
	if (i == PEER_ASKED_MAX)
		return;
	if (i == in->n_asked) {
		in->asked[i].peer = p;
		in->asked[i].owes = 0;
		in->n_asked++;
	}
	in->asked[i].owes++;
}

static void
ask_all(struct peer_moves *pm, struct peer_in *in)
{
	struct peer_message m = { .kind = PEER_ARRIVED };
	struct park_info info;

	park_info(pm->opts.parks, in->port, &info);
	m.arrived.generation = in->generation;
	m.arrived.age_us = info.since_us;
	m.arrived.n = in->n_keys;
	for (uint16_t i = 0; i < in->n_keys; i++)
		m.arrived.keys[i] = in->keys[i];
	for (struct peer *p = peer_up_next(pm->set, NULL); p != NULL; p = peer_up_next(pm->set, p))
		if (peer_send(p, &m) == 0)
			ask(in, p);
	in->progress_us = peer_now_us();
}

static bool
told(const struct peer_in *in, fdb_key_t key)
{
	for (uint16_t i = 0; i < in->n_keys; i++)
		if (in->keys[i] == key)
			return true;
	return in->n_keys == PEER_ADDRESSES_MAX;
}

/* One that stands on another port of this host has come from there: its frames are here. */
static bool
came_from_here(const struct peer_moves *pm, uint16_t port, fdb_key_t key)
{
	uint16_t stands;

	return fdb_get(pm->opts.fdb, key, &stands) == 0 && stands != port &&
	       park_active(pm->opts.parks, stands);
}

void
peer_moves_heard(struct peer_moves *pm, uint16_t port, fdb_key_t key)
{
	struct peer_in *in = find_port(pm, port);

	if (in == NULL && park_arriving(pm->opts.parks, port))
		in = begin(pm, port);
	if (in == NULL || told(in, key))
		return;
	in->keys[in->n_keys++] = key;
	if (!came_from_here(pm, port, key))
		ask_all(pm, in);
	if (complete(in))
		admit(pm, in);
}

/* What is too late for its guest has no port to be counted on. */
bool
peer_in_frame(void *arg, struct peer *p, const struct peer_frame *f)
{
	struct peer_moves *pm = arg;
	struct peer_in *in = find_generation(pm, f->generation);
	int rc = in == NULL ? -ENOENT :
		 park_admit(pm->opts.parks, in->port, &f->vnet, f->bytes, f->len);

	if (rc == -EAGAIN)
		return false;
	if (rc < 0) {
		LOG_RL(NOTICE, "%s: frames for a guest that was not waiting for them", p->text);
		return true;
	}
	in->frames++;
	in->progress_us = peer_now_us();
	return true;
}

void
peer_in_done(void *arg, struct peer *p, const struct peer_done *d)
{
	struct peer_moves *pm = arg;
	struct peer_in *in = find_generation(pm, d->generation);

	for (uint16_t i = 0; in != NULL && i < in->n_asked; i++)
		if (in->asked[i].peer == p && in->asked[i].owes > 0)
			in->asked[i].owes--;
	if (in != NULL && !in->admitted && complete(in))
		admit(pm, in);
}

void
peer_in_gone(struct peer_moves *pm, const struct peer *p)
{
	for (struct peer_in *in = pm->ins; in != NULL; in = in->next) {
		for (uint16_t i = 0; i < in->n_asked; i++)
			if (in->asked[i].peer == p)
				in->asked[i].peer = NULL, in->asked[i].owes = 0;
		if (!in->admitted && complete(in))
			admit(pm, in);
	}
}

static bool
waited(const struct peer_in *in, uint64_t now)
{
	return now - in->progress_us > (in->n_keys > 0 ? PATIENCE_US : SILENCE_US);
}

static void
impatient(struct peer_moves *pm, struct peer_in *in)
{
	const struct port *port = port_by_number(pm->opts.ports, in->port);

	if (in->n_keys > 0)
		LOG_RL(NOTICE, "%s: its guest does not wait any longer for what peers may have for it, "
		       "%" PRIu64 " frames have come", port == NULL ? "?" : port_name(port),
		       in->frames);
	admit(pm, in);
}

void
peer_in_tick(struct peer_moves *pm, uint64_t now)
{
	struct peer_in *next;

	for (struct peer_in *in = pm->ins; in != NULL; in = next) {
		next = in->next;
		if (!in->admitted && !park_arriving(pm->opts.parks, in->port))
			peer_in_forget(pm, in->port); /* it has left again */
		else if (!in->admitted && waited(in, now))
			impatient(pm, in);
		else if (in->admitted && now - in->progress_us > 2 * PARK_GRACE_US)
			peer_in_forget(pm, in->port);
	}
}

void
peer_in_forget(struct peer_moves *pm, uint16_t port)
{
	struct peer_in **at = &pm->ins;

	while (*at != NULL) {
		struct peer_in *in = *at;

		if (in->port != port) {
			at = &in->next;
			continue;
		}
		*at = in->next;
		free(in);
	}
}
