/* SPDX-License-Identifier: BSD-3-Clause */
/* ferryctl: words or lines in, JSON-RPC to ferryd, tables or JSON out. */
#include "command.h"
#include "console.h"

#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SOCKET_DEFAULT "/run/ferry/ferry.sock"

static const char help_text[] =
	"usage: ferryctl [-s PATH] [--json] [WORDS...]\n"
	"\n"
	"  show NOUN [NAME] [key=value...]      what there is\n"
	"  NOUN VERB [NAME] [key=value...]      what to do\n"
	"  watch [SECONDS] COMMAND              repeat a command, live\n"
	"  watch [SECONDS] migration [PORT]     follow migrations, live\n"
	"  help [NOUN [VERB]]                   what ferryd knows, with parameters\n"
	"\n"
	"Without words: a console on a terminal, else commands line by line from stdin\n"
	"up to the first error.\n"
	"\n"
	"  -s, --rpc PATH     ferryd's socket (default: $FERRY_SOCKET, else " SOCKET_DEFAULT ")\n"
	"      --json         print the result as JSON and nothing else\n"
	"  -h, --help         print this\n"
	"      --version      print the version\n"
	"\n"
	"Exit status: 0, 1 ferryd answered an error, 2 usage, 3 no ferryd answered.\n";

enum { OPT_JSON = 256, OPT_VERSION };

static const struct option options[] = {
	{ "rpc", required_argument, NULL, 's' },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ 0 },
};

/* Returns -1 where there is more to do. */
static int
parse(struct shell *s, int argc, char **argv)
{
	int opt;

	while ((opt = getopt_long(argc, argv, "s:h", options, NULL)) != -1) {
		switch (opt) {
		case 's':
			s->path = optarg;
			break;
		case OPT_JSON:
			s->json = true;
			break;
		case 'h':
			fputs(help_text, stdout);
			return STATUS_OK;
		case OPT_VERSION:
			puts("ferryctl " FERRY_VERSION);
			return STATUS_OK;
		default:
			fputs("ferryctl: try --help\n", stderr);
			return STATUS_USAGE;
		}
	}
	return -1;
}

/* Commands from a file or a pipe. */
static enum status
script_run(struct shell *s)
{
	enum status st = STATUS_OK;
	char *line = NULL;
	size_t size = 0;

	for (unsigned int n = 1; st == STATUS_OK && !s->quit && getline(&line, &size, stdin) >= 0;
	     n++) {
		snprintf(client_where, sizeof(client_where), "line %u: ", n);
		st = command_line(s, line);
	}
	free(line);
	return st == STATUS_USAGE ? STATUS_FAILED : st;
}

static enum status
run(struct shell *s, int n, const char *const *words)
{
	if (n > 0)
		return command_run(s, n, words);
	return isatty(STDIN_FILENO) ? console_run(s) : script_run(s);
}

int
main(int argc, char **argv)
{
	const char *socket_path = getenv("FERRY_SOCKET");
	struct shell s = { .path = SOCKET_DEFAULT };
	enum status st;
	int done;

	setlocale(LC_CTYPE, "");
	if (socket_path != NULL && socket_path[0] != '\0')
		s.path = socket_path;
	done = parse(&s, argc, argv);
	if (done >= 0)
		return done;
	st = client_open(s.path, &s.client);
	if (st == STATUS_OK)
		st = run(&s, argc - optind, (const char *const *)argv + optind);
	client_close(s.client);
	return fflush(stdout) == EOF && st == STATUS_OK ? STATUS_FAILED : st;
}
