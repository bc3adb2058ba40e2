/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_PORT_RPC_H
#define FERRY_PORT_RPC_H

/**
 * @file
 * A port in JSON: the same members in port.add, in the configuration file and in config.show.
 *
 * Threads  control
 */

#include "port.h"
#include "rpc.h"

extern const struct rpc_param port_rpc_params[];

/**
 * Checks a port's object as far as that goes without adding it.
 *
 * @param where  prefix of members in messages ("ports[2]"); ""
 * @param out    strings are the object's
 * @return       0; -EINVAL with `err` filled
 */
int port_rpc_opts(json_t *o, const char *where, struct port_opts *out, struct rpc_error *err);

/** The object that port_rpc_opts() reads; what has its default is left out. */
json_t *port_rpc_config(const struct port_opts *o);

/** Adds a port by its checked options; what it is refused for is told with its member. */
int port_rpc_add(struct ports *ps, const struct port_opts *o, const char *where,
		 struct rpc_error *err);

/** Has a port's queues polled as its checked options say; the port goes on meanwhile. */
int port_rpc_place(struct ports *ps, struct port *p, const struct port_opts *o, const char *where,
		   struct rpc_error *err);

#endif
