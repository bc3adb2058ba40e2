/* SPDX-License-Identifier: BSD-3-Clause */
#include "rpc_switch.h"
#include "nearest.h"
#include "rates.h"
#include "telemetry.h"

#include <errno.h>
#include <stdlib.h>

static const struct rpc_method *const tables[] = {
	port_rpc, fdb_rpc, worker_rpc, queue_rpc, stats_rpc, capture_rpc, park_rpc,
	peer_rpc,
	migration_rpc,
	vdpa_rpc, config_rpc, log_rpc, event_rpc, ferryd_rpc,
};

static void
on_events(void *arg)
{
	struct rpc_switch *sw = arg;

	eventlog_look(sw->events, sw->ports, sw->info);
}

int
rpc_switch_init(struct rpc_switch *sw)
{
	int rc;

	sw->info = calloc(1, sizeof(*sw->info));
	if (sw->info == NULL)
		return -ENOMEM;
	rc = rates_create(sw->loop, sw->ports, sw->workers, &sw->rates);
	if (rc == 0)
		rc = config_log_copy(&sw->config->log, &sw->log);
	if (rc == 0)
		rc = loop_read(sw->loop, eventlog_fd(sw->events), on_events, sw,
			       &sw->event_watch);
	for (size_t i = 0; rc == 0 && i < sizeof(tables) / sizeof(tables[0]); i++)
		rpc_add(sw->rpc, tables[i], sw);
	return rc < 0 ? rc : telemetry_init(sw->loop, sw->rpc);
}

void
rpc_switch_fini(struct rpc_switch *sw)
{
	telemetry_fini();
	loop_watch_destroy(sw->event_watch);
	sw->event_watch = NULL;
	rates_destroy(sw->rates);
	sw->rates = NULL;
	config_log_fini(&sw->log);
	json_decref(sw->migration);
	sw->migration = NULL;
	free(sw->info);
	sw->info = NULL;
}

struct port *
rpc_switch_port(const struct rpc_switch *sw, json_t *params, const char *member,
		struct rpc_error *err)
{
	const char *name = rpc_text_of(params, member);
	struct nearest near = { .word = name };
	struct port *p = port_find(sw->ports, name);
	uint32_t iter = 0;

	if (p != NULL)
		return p;
	while ((p = port_next(sw->ports, &iter)) != NULL)
		nearest_offer(&near, port_name(p));
	if (near.best != NULL)
		rpc_fail(err, -EINVAL, member, "no port \"%.40s\"; did you mean \"%s\"?", name,
			 near.best);
	else
		rpc_fail(err, -EINVAL, member, "no port \"%.40s\"", name);
	return NULL;
}

int
rpc_switch_show(struct rpc_switch *sw, json_t *params, const char *member, rpc_switch_json json,
		json_t **result, struct rpc_error *err)
{
	uint32_t iter = 0;
	struct port *p;

	if (rpc_text_of(params, member) != NULL) {
		p = rpc_switch_port(sw, params, member, err);
		if (p == NULL)
			return -EINVAL;
		*result = json(sw, p);
		return 0;
	}
	*result = json_array();
	while ((p = port_next(sw->ports, &iter)) != NULL)
		json_array_append_new(*result, json(sw, p));
	return 0;
}

const struct port_info *
rpc_switch_info(struct rpc_switch *sw, struct port *p)
{
	port_info(p, sw->info);
	return sw->info;
}
