/* SPDX-License-Identifier: BSD-3-Clause */
#include "guestio.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static const char usage[] =
	"usage: guestio stream-send|dgram-send ADDRESS PORT [OPTION]...\n"
	"       guestio stream-recv|dgram-recv PORT [OPTION]...\n"
	"       guestio ping ADDRESS [OPTION]...        IPv4; once a second without --rate\n"
	"       guestio queues IFACE N\n"
	"  --count N       records per flow (default: until --seconds are over)\n"
	"  --seconds S     sender: how long to send, receiver: when to give up (default 10, 60)\n"
	"  --size BYTES    of a record (default: 65536 in streams, 1000 in datagrams)\n"
	"  --rate N        records a second over all flows (default: as fast as it goes)\n"
	"  --flows N       connections or source ports (default 1)\n"
	"  --idle-ms MS    datagrams: the receiver ends after such a silence (default 2000; 0: never)\n"
	"  --duplex        streams: both ends send --count records and receive\n"
	"SIGUSR1 tells a sender to end in good order, and a receiver of datagrams that its sender has.\n";

static void
fail(const char *what, const char *value)
{
	fprintf(stderr, "guestio: bad %s: %s\n%s", what, value == NULL ? "none" : value, usage);
	exit(2);
}

static uint64_t
number(const char *what, const char *text, uint64_t min, uint64_t max)
{
	char *end = NULL;
	unsigned long long n = text == NULL ? 0 : strtoull(text, &end, 10);

	if (text == NULL || end == text || *end != '\0' || n < min || n > max)
		fail(what, text);
	return n;
}

unsigned int
address_parse(const struct options *o, struct sockaddr_storage *sa)
{
	struct sockaddr_in *in = (struct sockaddr_in *)sa;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)sa;

	memset(sa, 0, sizeof(*sa));
	if (inet_pton(AF_INET, o->address, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(o->port);
		return sizeof(*in);
	}
	if (inet_pton(AF_INET6, o->address, &in6->sin6_addr) != 1)
		fail("address", o->address);
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(o->port);
	return sizeof(*in6);
}

static uint64_t
idle_parse(const char *text)
{
	uint64_t ms = number("idle-ms", text, 0, 3600000);

	return ms == 0 ? UINT64_MAX : ms * 1000000u;
}

static void
options_parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "count", required_argument, NULL, 'c' },
		{ "seconds", required_argument, NULL, 't' },
		{ "size", required_argument, NULL, 's' },
		{ "rate", required_argument, NULL, 'r' },
		{ "flows", required_argument, NULL, 'f' },
		{ "idle-ms", required_argument, NULL, 'i' },
		{ "duplex", no_argument, NULL, 'd' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'c': o->count = number("count", optarg, 1, UINT32_MAX); break;
		case 't': o->duration_ns = number("seconds", optarg, 1, 3600) * 1000000000u; break;
		case 's': o->size = (uint32_t)number("size", optarg, sizeof(struct record), RECORD_MAX); break;
		case 'r': o->rate = number("rate", optarg, 1, 1000000000); break;
		case 'f': o->flows = (uint16_t)number("flows", optarg, 1, FLOWS_MAX); break;
		case 'i': o->idle_ns = idle_parse(optarg); break;
		case 'd': o->duplex = true; break;
		default: fail("option", argv[optind - 1]);
		}
	}
}

static const struct command {
	const char *name;
	bool to_address, to_port;
	uint32_t size;
	int (*run)(const struct options *o);
} commands[] = {
	{ "stream-send", true,  true,  RECORD_MAX, stream_send },
	{ "stream-recv", false, true,  RECORD_MAX, stream_recv },
	{ "dgram-send",  true,  true,  1000,       dgram_send },
	{ "dgram-recv",  false, true,  1000,       dgram_recv },
	{ "ping",        true,  false, 64,         ping },
};

static int
command_run(const struct command *cmd, int argc, char **argv)
{
	struct options o = { .size = cmd->size, .flows = 1, .idle_ns = 2000000000u };
	int arg;

	o.duration_ns = (cmd->to_address ? 10 : 60) * 1000000000ull;
	options_parse(argc, argv, &o);
	arg = optind + 1;
	o.address = cmd->to_address && arg < argc ? argv[arg++] : NULL;
	if (cmd->to_address && o.address == NULL)
		fail("address", NULL);
	if (cmd->to_port)
		o.port = (uint16_t)number("port", arg < argc ? argv[arg] : NULL, 1, 65535);
	if (o.duplex && o.count == 0)
		fail("count", NULL);
	return cmd->run(&o);
}

int
main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "queues") == 0)
		return queues_set(argv[2], (unsigned int)number("queues", argv[3], 1, 256));
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (argc > 1 && strcmp(argv[1], commands[i].name) == 0)
			return command_run(&commands[i], argc, argv);
	}
	fail("command", argc > 1 ? argv[1] : NULL);
	return 2;
}
