/* SPDX-License-Identifier: BSD-3-Clause */
#include "announce.h"

#include "clock.h"

#include <errno.h>
#include <stdlib.h>

#define TICK_US 50000

/* From the announcement that it repeats. */
static const uint32_t when_ms[] = { 100, 300, 700, 1500 };

struct pending {
	uint16_t port;
	uint32_t id;
	uint32_t stay;
	struct rte_ether_addr mac;
	uint32_t n_done;
	uint64_t since_ns;
};

struct announcer {
	struct loop *loop;
	struct loop_watch *watch; /* while there is something to announce */
	announce_fn *fn;
	void *arg;
	uint32_t n;
	struct pending list[ANNOUNCE_MAX]; /* the one that waits longest first */
};

int
announcer_create(struct loop *loop, announce_fn *fn, void *arg, struct announcer **out)
{
	struct announcer *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return -ENOMEM;
	a->loop = loop;
	a->fn = fn;
	a->arg = arg;
	*out = a;
	return 0;
}

void
announcer_destroy(struct announcer *a)
{
	if (a == NULL)
		return;
	loop_watch_destroy(a->watch);
	free(a);
}

static void
drop(struct announcer *a, uint32_t i)
{
	a->n--;
	for (; i < a->n; i++)
		a->list[i] = a->list[i + 1];
}

/* @return false: that was the last time */
static bool
look(struct announcer *a, struct pending *p, uint64_t now_ns)
{
	if (now_ns - p->since_ns < when_ms[p->n_done] * 1000000ULL)
		return true;
	a->fn(a->arg, p->port, p->id, p->stay, &p->mac);
	return ++p->n_done < RTE_DIM(when_ms);
}

static void
on_tick(void *arg)
{
	struct announcer *a = arg;
	uint64_t now_ns = clock_ns();

	for (uint32_t i = 0; i < a->n; )
		if (look(a, &a->list[i], now_ns))
			i++;
		else
			drop(a, i);
	if (a->n > 0)
		return;
	loop_watch_destroy(a->watch);
	a->watch = NULL;
}

/* Returns the number of addresses where it is not among them. */
static uint32_t
find(const struct announcer *a, uint16_t port, const struct rte_ether_addr *mac)
{
	uint32_t i = 0;

	while (i < a->n && (a->list[i].port != port || !rte_is_same_ether_addr(&a->list[i].mac, mac)))
		i++;
	return i;
}

bool
announcer_has(const struct announcer *a, uint16_t port, const struct rte_ether_addr *mac)
{
	return find(a, port, mac) < a->n;
}

void
announcer_add(struct announcer *a, uint16_t port, uint32_t id, uint32_t stay,
	      const struct rte_ether_addr *mac)
{
	uint32_t i = find(a, port, mac);

	if (i < a->n)
		drop(a, i);
	if (a->n == ANNOUNCE_MAX)
		drop(a, 0);
	a->list[a->n++] = (struct pending){
		.port = port, .id = id, .stay = stay, .mac = *mac, .since_ns = clock_ns(),
	};
	if (a->watch == NULL)
		loop_timer(a->loop, TICK_US, on_tick, a, &a->watch);
}

void
announcer_forget(struct announcer *a, uint16_t port)
{
	for (uint32_t i = 0; i < a->n; )
		if (a->list[i].port == port)
			drop(a, i);
		else
			i++;
}

uint32_t
announcer_pending(const struct announcer *a)
{
	return a->n;
}
