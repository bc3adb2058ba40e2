/* SPDX-License-Identifier: BSD-3-Clause */
#include "cmd.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum kind { ON, OFF, U8, U16, U32, U64, RANGE, TEXT };

struct option {
	const char *name;
	enum kind kind;
	size_t at;              /* in struct cmd, or in vmm_guest_conf when of a guest */
	bool guest;
	const char *help;
};

#define G(field) offsetof(struct vmm_guest_conf, field), true
#define C(field) offsetof(struct cmd, field), false

static const struct option options[] = {
	{ "queues", U16, G(pairs), "queue pairs of a guest" },
	{ "ring", U16, G(size), "entries of a ring" },
	{ "pos", U16, G(pos), "position at which the rings start (packed: the slot)" },
	{ "packed", ON, G(packed), "packed rings" },
	{ "in-order", ON, G(in_order), "negotiate VIRTIO_F_IN_ORDER" },
	{ "no-mergeable", OFF, G(mergeable), "no mergeable receive buffers" },
	{ "no-indirect", OFF, G(indirect), "no indirect descriptors" },
	{ "no-event-idx", OFF, G(event_idx), "no event index" },
	{ "offload", ON, G(offload), "checksum and segmentation offloads" },
	{ "legacy", ON, G(legacy), "without VIRTIO_F_VERSION_1" },
	{ "split-header", ON, G(split_header), "cut chains through the virtio header too" },
	{ "lenient", ON, G(lenient), "accept any num_buffers without mergeable buffers" },
	{ "contain", ON, G(shadow), "containment oracle over all guest memory" },
	{ "ack-all", ON, G(ack_all), "ask for an acknowledgement of every message" },
	{ "server", ON, G(server), "listen on the socket; the backend connects" },
	{ "regions", U32, G(n_regions), "memory regions, 1 to 8" },
	{ "mem", U64, G(mem_size), "bytes of guest memory" },
	{ "bufs", U16, G(n_bufs), "buffers per ring" },
	{ "rx-buf", U32, G(rx_buf), "bytes of a receive buffer" },
	{ "tx-buf", U32, G(tx_buf), "bytes of a transmit buffer" },
	{ "segs", U16, G(segs), "most pieces of a chain, 1 to 64" },
	{ "mtu", U16, G(mtu), "value of NET_SET_MTU" },
	{ "features-off", U64, G(features_off), "mask of features never to take" },
	{ "seed", U32, G(seed), "seed of everything random" },
	{ "deadline", U32, G(deadline_ms), "ms that the backend has for anything" },
	{ "mac", U8, G(mac_id), "last byte of the guest's address" },
	{ "frames", U64, C(frames), "frames in each direction" },
	{ "size", RANGE, C(size_min), "bytes of a frame, N or MIN-MAX" },
	{ "flows", U32, C(flows), "flows in each direction" },
	{ "rate", U32, C(rate), "frames per second in each direction" },
	{ "one-way", ON, C(one_way), "only from the first guest to the second" },
	{ "lossy", ON, C(lossy), "frames may be lost; they are counted" },
	{ "poll", ON, C(poll), "poll, without interrupts" },
	{ "steps", U32, C(steps), "steps of a walk" },
	{ "ms", U32, C(ms), "length of a slice (150), or of a silence (1000)" },
	{ "slices", U32, C(slices), "number of slices, for each pair of sockets" },
	{ "count", U32, C(count), "how many times" },
	{ "first", U32, C(first), "number of the first shape of a matrix" },
	{ "both", ON, C(both), "both directions at once" },
	{ "stdin", ON, C(from_stdin), "take commands from standard input" },
	{ "pids", TEXT, C(pids), "PID,PID: stop the switches that are not measured" },
	{ "witness", TEXT, C(witness), "A.sock:B.sock: traffic that must not suffer" },
	{ "list", ON, C(list), "list the cases" },
	{ "verbose", ON, C(verbose), "say what is being done" },
};

#define N_OPTIONS (sizeof(options) / sizeof(options[0]))

int64_t
cmd_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000LL + ts.tv_nsec / 1000;
}

int
cmd_number(const char *text, uint64_t max, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 0);
	if (errno != 0 || end == text || *end != '\0' || *text == '-' || *out > max)
		return -EINVAL;
	return 0;
}

static int
range_set(struct cmd *cmd, const char *value)
{
	char low[24];
	const char *dash = strchr(value, '-');
	uint64_t min, max;

	snprintf(low, sizeof(low), "%.*s", dash == NULL ? 20 : (int)(dash - value), value);
	if (cmd_number(low, VMM_FRAME_MAX, &min) < 0 ||
	    cmd_number(dash == NULL ? low : dash + 1, VMM_FRAME_MAX, &max) < 0 ||
	    min < VMM_FRAME_MIN || min > max)
		return -EINVAL;
	cmd->size_min = (uint32_t)min;
	cmd->size_max = (uint32_t)max;
	return 0;
}

static int
number_set(const struct option *o, char *at, const char *value)
{
	static const uint64_t most[] = { [U8] = UINT8_MAX, [U16] = UINT16_MAX, [U32] = UINT32_MAX,
					 [U64] = UINT64_MAX };
	uint64_t n;

	if (value == NULL || cmd_number(value, most[o->kind], &n) < 0)
		return -EINVAL;
	memcpy(at, &n, o->kind == U8 ? 1 : o->kind == U16 ? 2 : o->kind == U32 ? 4 : 8);
	return 0;
}

static int
option_set(struct cmd *cmd, struct vmm_guest_conf *conf, const struct option *o, const char *value)
{
	char *at = (o->guest ? (char *)conf : (char *)cmd) + o->at;

	switch (o->kind) {
	case ON:
	case OFF:
		if (value != NULL)
			return -EINVAL;
		*(bool *)at = o->kind == ON;
		return 0;
	case TEXT:
		*(const char **)at = value;
		return value == NULL ? -EINVAL : 0;
	case RANGE:
		return value == NULL ? -EINVAL : range_set(cmd, value);
	default:
		return number_set(o, at, value);
	}
}

/* `text` is NAME, NAME=VALUE, or NAME with its value in `next`.  Returns how many it used. */
static int
option_parse(struct cmd *cmd, struct vmm_guest_conf *conf, const char *text, const char *next,
	     bool guest_only)
{
	size_t len = strcspn(text, "=");
	const char *value = text[len] == '=' ? text + len + 1 : NULL;

	for (size_t i = 0; i < N_OPTIONS; i++) {
		const struct option *o = &options[i];
		bool takes = o->kind != ON && o->kind != OFF;

		if (strlen(o->name) != len || strncmp(o->name, text, len) != 0 ||
		    (guest_only && !o->guest))
			continue;
		if (option_set(cmd, conf, o, takes && value == NULL ? next : value) == 0)
			return takes && value == NULL ? 2 : 1;
		fprintf(stderr, "vmm: bad value for %s\n", o->name);
		return -EINVAL;
	}
	fprintf(stderr, "vmm: unknown option: %s\n", text);
	return -EINVAL;
}

int
cmd_parse(struct cmd *cmd, int argc, char **argv)
{
	*cmd = (struct cmd){ .frames = 10000, .size_min = 64, .size_max = 1514, .steps = 200,
			     .slices = 1, .count = 21 };
	vmm_guest_conf_init(&cmd->conf);
	cmd->conf.mac_id = 0;
	for (int i = 0; i < argc;) {
		int used = 1;

		if (strncmp(argv[i], "--", 2) == 0)
			used = option_parse(cmd, &cmd->conf, argv[i] + 2, argv[i + 1], false);
		else if (cmd->n_args < CMD_GUESTS_MAX)
			cmd->args[cmd->n_args++] = argv[i];
		else
			used = -E2BIG;
		if (used < 0)
			return used;
		i += used;
	}
	return 0;
}

void
cmd_options_print(void)
{
	for (size_t i = 0; i < N_OPTIONS; i++)
		printf("  --%-14s %s%s\n", options[i].name, options[i].help,
		       options[i].guest ? " *" : "");
	printf("Options with * may follow a socket too: A.sock,packed,ring=512\n");
}

/* Buffers must hold the frames; what was asked for explicitly is left as it is when it can. */
static void
conf_fit(const struct cmd *cmd, struct vmm_guest_conf *conf, unsigned int index)
{
	uint32_t need = cmd->size_max + sizeof(struct virtio_net_hdr_v1);

	if (conf->tx_buf < need)
		conf->tx_buf = need;
	if (!conf->mergeable && conf->rx_buf < need)
		conf->rx_buf = need;
	if (conf->packed)
		conf->pos |= 1 << 15;
	if (conf->mac_id == 0)
		conf->mac_id = (uint8_t)(index + 1);
}

int
cmd_guest_conf(struct cmd *cmd, const char *spec, unsigned int index, struct vmm_guest_conf *out)
{
	char text[512], *save, *token;

	*out = cmd->conf;
	snprintf(text, sizeof(text), "%s", spec);
	token = strtok_r(text, ",", &save);
	if (token == NULL || strlen(token) >= sizeof(cmd->paths[0]))
		return -EINVAL;
	out->path = strcpy(cmd->paths[index % CMD_GUESTS_MAX], token);
	while ((token = strtok_r(NULL, ",", &save)) != NULL)
		if (option_parse(cmd, out, token, NULL, true) < 0)
			return -EINVAL;
	conf_fit(cmd, out, index);
	return 0;
}

int
cmd_guest(struct cmd *cmd, const char *spec, unsigned int index, struct vmm_guest **out)
{
	struct vmm_guest_conf conf;
	int rc = cmd_guest_conf(cmd, spec, index, &conf);

	if (rc == 0)
		rc = vmm_guest_create(out, &conf, &cmd->fault);
	if (rc < 0)
		fprintf(stderr, "vmm: %s: %s\n", spec, strerror(-rc));
	return rc;
}

int
cmd_fail(const struct cmd *cmd, const char *what, int rc)
{
	fprintf(stderr, "vmm: %s: %s%s%s\n", what, strerror(-rc),
		vmm_fault_found(&cmd->fault) ? ": " : "", cmd->fault.text);
	return CMD_FAILED;
}

void
cmd_json_text(const char *text)
{
	putchar('"');
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		if ((unsigned char)*text >= ' ')
			putchar(*text);
	}
	putchar('"');
}
