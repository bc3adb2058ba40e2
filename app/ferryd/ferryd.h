/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_FERRYD_H
#define FERRY_FERRYD_H

/* Inside of app/ferryd: what its modules share.  Everything is control's. */

#include "announce.h"
#include "capture.h"
#include "cross.h"
#include "fdb.h"
#include "handover.h"
#include "loop.h"
#include "migration.h"
#include "options.h"
#include "park.h"
#include "peer_move.h"
#include "port.h"
#include "rpc_switch.h"
#include "swdev.h"
#include "worker.h"

#include <sys/types.h>

#define EVENTS_PER_TURN 1024

struct ferryd {
	struct options opts;
	struct config *config;

	struct loop *loop;
	struct loop_watch *watches[8];
	uint32_t n_watches;

	struct cross *cross;
	struct swdev_pool *pool;
	struct fdb *fdb;
	struct capture *capture;
	struct announcer *announcer;
	struct park_set *parks;
	struct loop_watch *park_watch; /* while there are guests on their way */
	struct ports *ports;
	struct peer_moves *peers;
	struct handovers *handovers;
	struct worker_set *workers;
	struct eventlog *events;
	struct migrations *migrations;
	struct rpc_switch methods;

	_Atomic uint32_t stays[PORT_MAX]; /* by port: how often a guest has left it; any: adds */
	_Atomic bool changes_lost; /* a port has changed and the event queue was full */

	pid_t console;  /* ferryctl of -i; 0: none */
	int status;     /* of the process */
};

/* One step of the start; what has started is undone in reverse. */
struct module {
	const char *name;
	bool tells;                      /* init says itself why it failed */
	int (*init)(struct ferryd *d);
	void (*fini)(struct ferryd *d);
};

const char *ferryd_rpc_path(const struct ferryd *d);

/* Watches a descriptor, time or signal until the end. */
int ferryd_read(struct ferryd *d, int fd, loop_fn *fn);
int ferryd_timer(struct ferryd *d, uint64_t period_us, loop_fn *fn);
int ferryd_signal(struct ferryd *d, int signo, loop_fn *fn);

/* privileges.c: root's power that a switch does not need goes first of all. */
int privileges_init(struct ferryd *d);
/* As many descriptors as we may have: a guest brings two eventfds for each of its rings. */
int descriptors_init(struct ferryd *d);

/* eal.c: DPDK, with arguments that let any number of processes live side by side. */
int eal_init(struct ferryd *d);
void eal_fini(struct ferryd *d);

/* glue.c: what the parts of the switch tell each other. */
extern const struct port_ops glue_port_ops;
int glue_init(struct ferryd *d);
int migration_init(struct ferryd *d);
void migration_fini(struct ferryd *d);

/* Addresses of guests that have come, announced some more times. */
int announcer_init(struct ferryd *d);
void announcer_fini(struct ferryd *d);

/* glue_park.c: guests that leave their port, and where their frames go. */
int park_init(struct ferryd *d);
void park_fini(struct ferryd *d);
int peer_init(struct ferryd *d);
void peer_fini(struct ferryd *d);
void glue_park_init(struct ferryd *d);
void glue_park_look(struct ferryd *d);
void glue_port_logging(void *arg, struct port *p, bool on);
void glue_port_leaving(void *arg, struct port *p, uint64_t features, uint16_t n_rx);
void glue_port_arrived(void *arg, struct port *p, uint64_t features, bool restored);
/* Whether nobody is behind a port, and nobody on the way from there either. */
bool glue_port_deserted(struct ferryd *d, struct port *p);

/* glue_handover.c: rings that change their mover. */
int handover_init(struct ferryd *d);
void handover_fini(struct ferryd *d);
void glue_handover_look(struct ferryd *d);
void glue_handing_over(void *arg, struct port *p, const struct port_handover *h);
void glue_handed_over(void *arg, struct port *p, const struct port_handover *h);
void glue_provider(void *arg, struct port *p, const char *text);
bool glue_awaited(void *arg, const struct port *p);

/* service.c: what a service manager wants. */
int service_init(struct ferryd *d);
void service_fini(struct ferryd *d);

/* console.c: -i */
int console_init(struct ferryd *d);
void console_fini(struct ferryd *d);

#endif
