/* SPDX-License-Identifier: BSD-3-Clause */
/* Announcements again: how often, in which order, and nothing for who is gone. */
#include "announce.h"

#include "check.h"

static struct loop *loop;
static struct announcer *a;
static char told[256];

static void
on_announce(void *arg, uint16_t port, uint32_t id, uint32_t stay, const struct rte_ether_addr *mac)
{
	size_t len = strlen(told);

	CHECK(arg == &loop && id == port + 100u && stay == port + 7u);
	snprintf(told + len, sizeof(told) - len, "%u:%x ", port, mac->addr_bytes[5]);
}

static void
add(uint16_t port, uint8_t last)
{
	const struct rte_ether_addr mac = { { 0x52, 0x54, 0, 0, 0, last } };

	announcer_add(a, port, port + 100u, port + 7u, &mac);
	CHECK(announcer_has(a, port, &mac) && !announcer_has(a, port + 1, &mac));
}

static void
on_end(void *arg)
{
	if (announcer_pending(a) == 0)
		loop_stop(loop);
}

/* Until nobody is left. */
static void
run(void)
{
	struct loop_watch *end;

	told[0] = '\0';
	CHECK(loop_timer(loop, 20000, on_end, NULL, &end) == 0);
	loop_run(loop);
	loop_watch_destroy(end);
}

int
main(void)
{
	CHECK(loop_create(&loop) == 0);
	CHECK(announcer_create(loop, on_announce, &loop, &a) == 0);
	add(1, 0xa);
	run();
	CHECK_STR("one", told, "1:a 1:a 1:a 1:a ");
	add(1, 0xa);
	add(1, 0xb);
	add(1, 0xa);
	CHECK(announcer_pending(a) == 2);
	run();
	CHECK_STR("who was told again is last", told, "1:b 1:a 1:b 1:a 1:b 1:a 1:b 1:a ");
	add(1, 0xa);
	add(2, 0xb);
	announcer_forget(a, 2);
	add(3, 0xc);
	run();
	CHECK_STR("a port that is gone", told, "1:a 3:c 1:a 3:c 1:a 3:c 1:a 3:c ");
	for (uint32_t i = 0; i < ANNOUNCE_MAX + 10; i++)
		add((uint16_t)(i / 200), (uint8_t)(i % 200));
	CHECK(announcer_pending(a) == ANNOUNCE_MAX);
	announcer_forget(a, 0);
	announcer_forget(a, 1);
	CHECK(announcer_pending(a) == 0);
	announcer_destroy(a);
	announcer_destroy(NULL);
	loop_destroy(loop);
	return check_done("announce");
}
