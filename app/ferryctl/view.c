/* SPDX-License-Identifier: BSD-3-Clause */
#include "view.h"

#include <string.h>

static const struct column port_columns[] = {
	{ "PORT", "name" },
	{ "TYPE", "type" },
	{ "STATE", "state" },
	{ "RX FRAMES", "rx.frames" },
	{ "TX FRAMES", "tx.frames" },
	{ "RINGS", "rings", FORMAT_LENGTH },
	{ "PROVIDER", "provider.now" },
	{ "DROPS", "drops", FORMAT_COUNTS },
	{ "REASON", "reason" },
	{ 0 },
};

static const struct column ring_columns[] = {
	{ "RING", "index" },
	{ "DIR", "direction" },
	{ "SIZE", "size" },
	{ "FORMAT", "format" },
	{ "STARTED", "started", FORMAT_YES },
	{ "ENABLED", "enabled", FORMAT_YES },
	{ "AVAIL", "avail" },
	{ "USED", "used" },
	{ "PROVIDER", "provider" },
	{ "WORKER", "worker" },
	{ "ARMED", "kicks_wanted", FORMAT_YES },
	{ "WANTS CALL", "calls_wanted", FORMAT_YES },
	{ "CHAINS", "chains" },
	{ "CALLS", "calls" },
	{ "BROKEN", "broken" },
	{ 0 },
};

static const struct column fdb_columns[] = {
	{ "ADDRESS", "mac" },
	{ "VLAN", "vlan" },
	{ "PORT", "port" },
	{ "TYPE", "type" },
	{ "IDLE S", "idle" },
	{ 0 },
};

static const struct column worker_columns[] = {
	{ "WORKER", "index" },
	{ "CPU", "cpu" },
	{ "LOAD %", "load", FORMAT_PERCENT },
	{ "CYCLES/FRAME", "cycles_per_frame", FORMAT_SI },
	{ "STATE", "state" },
	{ "SLEEP", "sleep" },
	{ "FRAMES", "frames" },
	{ "SLEEPS", "sleeps" },
	{ "RINGS", "rings" },
	{ "QUEUES", "queues" },
	{ 0 },
};

static const struct column stats_columns[] = {
	{ "PORT", "port" },
	{ "RX FRAME/S", "rates.rx_frames", FORMAT_SI },
	{ "RX BIT/S", "rates.rx_bits", FORMAT_SI },
	{ "TX FRAME/S", "rates.tx_frames", FORMAT_SI },
	{ "TX BIT/S", "rates.tx_bits", FORMAT_SI },
	{ "DROP/S", "rates.drops", FORMAT_SI },
	{ "RX FRAMES", "rx.frames" },
	{ "TX FRAMES", "tx.frames" },
	{ "DROPS", "drops", FORMAT_COUNTS },
	{ 0 },
};

static const struct column capture_columns[] = {
	{ "CAPTURE", "name" },
	{ "PORT", "port" },
	{ "DIRECTION", "direction" },
	{ "RUNNING", "running", FORMAT_YES },
	{ "FRAMES", "frames" },
	{ "BYTES", "bytes" },
	{ "FILTERED", "filtered" },
	{ "DROPS", "drops" },
	{ "FILE", "file" },
	{ "FILTER", "filter" },
	{ "REASON", "reason" },
	{ 0 },
};

static const struct column event_columns[] = {
	{ "TIME", "time" },
	{ "PORT", "port" },
	{ "EVENT", "text" },
	{ 0 },
};

static const struct column migration_columns[] = {
	{ "PORT", "port" },
	{ "NUMBER", "number" },
	{ "DIRECTION", "direction" },
	{ "STATE", "state" },
	{ "BEGAN", "time" },
	{ "VERDICT", "verdict" },
	{ 0 },
};

static const struct column moment_columns[] = {
	{ "MICROSECONDS", "us" },
	{ "MOMENT", "moment" },
	{ "VALUE", "value" },
	{ "UNIT", "unit" },
	{ "WHAT", "text" },
	{ 0 },
};

static const struct column round_columns[] = {
	{ "MICROSECONDS", "us" },
	{ "DURATION", "duration_us" },
	{ "PAGES", "pages" },
	{ "PAGES/S", "pages_per_s", FORMAT_SI },
	{ "HARVESTS", "harvests" },
	{ 0 },
};

static const struct column dirty_columns[] = {
	{ "MICROSECONDS", "us" },
	{ "PAGES/S", "pages_per_s", FORMAT_SI },
	{ 0 },
};

static const struct column finding_columns[] = {
	{ "SEVERITY", "severity" },
	{ "PORT", "port" },
	{ "PEER'S", "peer_port" },
	{ "WHAT", "what" },
	{ "WHY", "text" },
	{ 0 },
};

static const struct column vdpa_columns[] = {
	{ "DEVICE", "name" },
	{ "DRIVER", "driver" },
	{ "STATE", "state" },
	{ "PORT", "port" },
	{ "QUEUES", "queues" },
	{ "LOGS", "logging", FORMAT_YES },
	{ "POSITIONS", "positions", FORMAT_YES },
	{ "PACKED", "packed", FORMAT_YES },
	{ "NOTIFY MAPPED", "notify_mapping", FORMAT_YES },
	{ "MTU", "mtu" },
	{ "MAC", "mac" },
	{ "REASON", "reason" },
	{ 0 },
};

static const struct column peer_columns[] = {
	{ "PEER", "address" },
	{ "DIRECTION", "direction" },
	{ "HOST", "host" },
	{ "STATE", "state" },
	{ "FRAMES IN", "frames_in" },
	{ "FRAMES OUT", "frames_out" },
	{ "SEEN US AGO", "seen_us" },
	{ "REASON", "reason" },
	{ 0 },
};

const struct view views[] = {
	{ "port.show", NULL, port_columns },
	{ "port.show", "rings", ring_columns },
	{ "fdb.show", NULL, fdb_columns },
	{ "worker.show", NULL, worker_columns, .again = "load" },
	{ "stats.show", NULL, stats_columns, .again = "rates" },
	{ "capture.show", NULL, capture_columns },
	{ "event.show", NULL, event_columns },
	{ "migration.show", NULL, migration_columns },
	{ "migration.show", "moments", moment_columns },
	{ "migration.show", "rounds", round_columns },
	{ "migration.show", "dirty", dirty_columns },
	{ "migration.check", NULL, NULL, .fails = "fails" },
	{ "migration.check", "findings", finding_columns },
	{ "peer.show", NULL, peer_columns },
	{ "vdpa.show", NULL, vdpa_columns },
	{ "config.show", .json = true },
	{ 0 },
};

const struct stream streams[] = {
	{ "capture.start", "capture.stop", "name" },
	{ 0 },
};

const struct view *
view_find(const char *method, const char *member)
{
	for (const struct view *v = views; v->method != NULL; v++)
		if (strcmp(v->method, method) == 0 && (member == NULL) == (v->member == NULL) &&
		    (member == NULL || strcmp(v->member, member) == 0))
			return v;
	return NULL;
}

const struct stream *
stream_find(const char *method)
{
	for (const struct stream *s = streams; s->method != NULL; s++)
		if (strcmp(s->method, method) == 0)
			return s;
	return NULL;
}
