/* SPDX-License-Identifier: BSD-3-Clause */
#include "moment.h"

#include <rte_cycles.h>

const char *const moment_names[MOMENT_N] = {
#define X(id, name, text, value) [MOMENT_##id] = name,
	MOMENTS(X)
#undef X
};

const char *const moment_texts[MOMENT_N] = {
#define X(id, name, text, value) [MOMENT_##id] = text,
	MOMENTS(X)
#undef X
};

const char *const moment_values[MOMENT_N] = {
#define X(id, name, text, value) [MOMENT_##id] = value,
	MOMENTS(X)
#undef X
};

void
moment_send_at(struct cross *x, uint16_t port, enum moment moment, uint64_t tsc, uint64_t value)
{
	const struct event ev = {
		.kind = EVENT_MOMENT, .port = port, .reason = (uint16_t)moment,
		.values = { tsc, value },
	};

	event_send(x, &ev);
}

void
moment_send(struct cross *x, uint16_t port, enum moment moment, uint64_t value)
{
	moment_send_at(x, port, moment, rte_rdtsc(), value);
}
