/* SPDX-License-Identifier: BSD-3-Clause */
#include "rpc_param.h"
#include "rpc_switch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const dir_names[] = {
	[CAPTURE_RX] = "rx", [CAPTURE_TX] = "tx", [CAPTURE_BOTH] = "both",
};

static enum capture_dir
dir_of(json_t *params)
{
	const char *name = rpc_text_of(params, "direction");

	for (int d = CAPTURE_RX; name != NULL && d < CAPTURE_BOTH; d++)
		if (strcmp(dir_names[d], name) == 0)
			return (enum capture_dir)d;
	return CAPTURE_BOTH;
}

static bool
name_taken(const struct rpc_switch *sw, const char *name)
{
	struct capture_info info;
	uint32_t iter = 0;

	while (capture_next(sw->capture, &iter, &info) == 0)
		if (strcmp(info.name, name) == 0)
			return true;
	return false;
}

/* The client has to know the name to stop it by: it is made here. */
static void
name_make(struct rpc_switch *sw, const struct port *p, char *out, size_t size)
{
	do
		snprintf(out, size, "%s-%" PRIu64, p == NULL ? "all" : port_name(p),
			 ++sw->n_captures);
	while (name_taken(sw, out));
}

/*
 * A pipe of the client's, on which ferryctl copies to its stdout: it must have a reader already,
 * for control does not wait for one.  Any other path is left to the capture.
 *
 * Returns a descriptor; -1: no pipe; -errno with `err` filled.
 */
static int
pipe_open(const char *path, struct rpc_error *err)
{
	struct stat st;
	int fd;

	if (stat(path, &st) < 0 || !S_ISFIFO(st.st_mode))
		return -1;
	fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return rpc_fail(err, -errno, "file", "%s: %s", path,
				errno == ENXIO ? "nobody reads this pipe" : strerror(errno));
	return fd;
}

static int
start(struct rpc_switch *sw, json_t *params, const char *name, const struct port *p,
      struct rpc_error *err)
{
	struct capture_opts opts = {
		.name = name,
		.port = p == NULL ? UINT16_MAX : port_number(p),
		.dir = dir_of(params),
		.filter = rpc_text_of(params, "filter"),
		.snaplen = (uint32_t)rpc_int_of(params, "snaplen", 0),
		.frames_max = (uint64_t)rpc_int_of(params, "frames", 0),
		.bytes_max = (uint64_t)rpc_int_of(params, "bytes", 0),
		.file = rpc_text_of(params, "file"),
	};
	char why[sizeof(err->message)] = "";
	int rc;

	opts.fd = pipe_open(opts.file, err);
	if (opts.fd < -1)
		return opts.fd;
	if (opts.fd >= 0)
		opts.file = NULL;
	rc = capture_start(sw->capture, &opts, why, sizeof(why));
	if (rc < 0) {
		if (opts.fd >= 0)
			close(opts.fd);
		return rpc_fail(err, rc, NULL, "%s", why[0] != '\0' ? why : strerror(-rc));
	}
	return 0;
}

static int
capture_start_method(void *arg, json_t *params, json_t **result, struct rpc_error *err)
{
	const char *given = rpc_text_of(params, "name");
	struct rpc_switch *sw = arg;
	const struct port *p = NULL;
	char name[64];
	int rc;

	if (json_object_get(params, "port") != NULL) {
		p = rpc_switch_port(sw, params, "port", err);
		if (p == NULL)
			return -EINVAL;
	}
	if (given != NULL)
		snprintf(name, sizeof(name), "%s", given);
	else
		name_make(sw, p, name, sizeof(name));
	rc = start(sw, params, name, p, err);
	if (rc == 0)
		*result = json_pack("{s:o}", "name", rpc_text(name));
	return rc;
}

static int
capture_stop_method(void *arg, json_t *params, json_t **result, struct rpc_error *err)
{
	const char *name = rpc_text_of(params, "name");
	struct rpc_switch *sw = arg;

	if (capture_stop(sw->capture, name) < 0)
		return rpc_fail(err, -ENOENT, "name", "no capture \"%.60s\"", name);
	return 0;
}

static json_t *
capture_json(const struct rpc_switch *sw, const struct capture_info *c)
{
	const struct port *p = port_by_number(sw->ports, c->port);
	json_t *port = json_null();

	if (c->port != UINT16_MAX)
		port = json_string(p == NULL ? "" : port_name(p));
	return json_pack("{s:o, s:o, s:s, s:o, s:o, s:i, s:b, s:o, s:I, s:I, s:I, s:I}",
		"name", rpc_text(c->name), "port", port,
		"direction", dir_names[c->dir], "filter", rpc_text(c->filter),
		"file", rpc_text(c->file), "snaplen", (int)c->snaplen, "running", c->running,
		"reason", rpc_text(c->reason), "frames", (json_int_t)c->frames,
		"bytes", (json_int_t)c->bytes, "filtered", (json_int_t)c->filtered,
		"drops", (json_int_t)c->drops);
}

static int
capture_show(void *arg, json_t *params, json_t **result, struct rpc_error *err)
{
	const char *only = rpc_text_of(params, "name");
	const struct rpc_switch *sw = arg;
	struct capture_info info;
	uint32_t iter = 0;

	*result = only == NULL ? json_array() : NULL;
	while (capture_next(sw->capture, &iter, &info) == 0) {
		if (only == NULL) {
			json_array_append_new(*result, capture_json(sw, &info));
		} else if (strcmp(only, info.name) == 0) {
			*result = capture_json(sw, &info);
			return 0;
		}
	}
	return only == NULL ? 0 : rpc_fail(err, -EINVAL, "name", "no capture \"%.60s\"", only);
}

static const struct rpc_param start_params[] = {
	{ "port", RPC_STRING, .completes = "port", .help = "port (all ports, those to come too)" },
	{ "file", RPC_STRING, true, 1, 4095, .completes = "file",
	  .help = "pcapng file to write, or a pipe that is read already" },
	{ "direction", RPC_STRING, .choices = "rx|tx|both",
	  .help = "rx: received from the port, tx: given to the port (both)" },
	{ "filter", RPC_STRING, .min = 0, .max = 255,
	  .help = "pcap-filter(7) expression (everything)" },
	{ "snaplen", RPC_INT, .min = 1, .max = CAPTURE_SNAPLEN_MAX,
	  .help = "bytes kept of a frame (65535)" },
	{ "frames", RPC_INT, .min = 1, .max = INT64_MAX, .help = "stop after so many frames" },
	{ "bytes", RPC_INT, .min = 1024, .max = INT64_MAX,
	  .help = "stop before the file is larger than that" },
	{ "name", RPC_STRING, .min = 1, .max = 63, .help = "name of the capture (PORT-N)" },
	{ 0 },
};

static const struct rpc_param stop_params[] = {
	{ "name", RPC_STRING, true, .completes = "capture", .help = "capture" },
	{ 0 },
};

static const struct rpc_param show_params[] = {
	{ "name", RPC_STRING, .completes = "capture", .help = "only this capture" },
	{ 0 },
};

const struct rpc_method capture_rpc[] = {
	{ "capture.start", capture_start_method, start_params, "port",
	  "write a port's frames to a pcapng file" },
	{ "capture.stop", capture_stop_method, stop_params, "name", "end a capture" },
	{ "capture.show", capture_show, show_params, "name", "captures, running and ended" },
	{ 0 },
};
