/* SPDX-License-Identifier: BSD-3-Clause */
#include "port_impl.h"

#include <rte_log.h>

#include <string.h>

/*
 * The tap driver asks the kernel for a realtime signal per frame, and does not look at its
 * descriptor before one was handled.  For a switch that is wrong three times: control would be
 * interrupted for every frame, a worker that epoll woke would find nothing until some other
 * thread had run the handler, and a queue of signals that overflows ends the process by SIGIO.
 * Where the driver finds no free realtime signal it does without and reads when it is polled,
 * which is what we want: so while it opens its queues, none is free.
 */

#define TAP_LOG_TYPE "pmd.net.tap"

static bool
is_tap(const char *driver)
{
	return strncmp(driver, "net_tap", 7) == 0 || strncmp(driver, "net_tun", 7) == 0;
}

void
port_eth_tap_hide(struct port_eth_tap *t, const char *driver)
{
	struct sigaction taken = { .sa_handler = SIG_IGN };

	t->hidden = is_tap(driver);
	if (!t->hidden)
		return;
	/* It warns of what we do on purpose. */
	t->log_type = rte_log_register(TAP_LOG_TYPE);
	t->log_level = rte_log_get_level((uint32_t)t->log_type);
	rte_log_set_level((uint32_t)t->log_type, RTE_MIN(t->log_level, (int)RTE_LOG_ERR));
	for (int s = SIGRTMIN; s <= SIGRTMAX; s++)
		sigaction(s, &taken, &t->signals[s]);
}

void
port_eth_tap_show(struct port_eth_tap *t)
{
	if (!t->hidden)
		return;
	for (int s = SIGRTMIN; s <= SIGRTMAX; s++)
		sigaction(s, &t->signals[s], NULL);
	rte_log_set_level((uint32_t)t->log_type, (uint32_t)t->log_level);
}
