/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_PORT_PROVIDER_RPC_H
#define FERRY_PORT_PROVIDER_RPC_H

/**
 * @file
 * Who moves a port's rings, in JSON: the members of a port, and port.provider.
 *
 * Threads  control
 */

#include "rpc_switch.h"

/** Reads vdpa, provider, uplink and drain of a port.  @return 0; -EINVAL: what needs a device is
 *  there without one */
int port_provider_rpc_read(json_t *o, const char *where, struct port_opts *out,
			   struct rpc_error *err);

/** Adds to a port's configuration what is not the default. */
void port_provider_rpc_config(const struct port_opts *o, json_t *c);

/** What port.show tells of a port that has a device. */
json_t *port_provider_rpc_json(struct port *p);

/** The device's own counters by name, all rings added up.  @role as port.show: `sw->info` is of it */
json_t *port_provider_rpc_counters(struct rpc_switch *sw, struct port *p);

/** Makes who moves a running port's rings what a configuration says. */
void port_provider_rpc_place(struct ports *ps, struct port *p, const struct port_opts *o);

/** @return 0; -EBUSY: the port stands for the wire of another's device */
int port_provider_rpc_del(struct ports *ps, const struct port *p, struct rpc_error *err);

extern const struct rpc_param port_provider_params[];

int port_provider_method(void *arg, json_t *params, json_t **result, struct rpc_error *err);

#endif
