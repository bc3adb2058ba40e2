/* SPDX-License-Identifier: BSD-3-Clause */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
	"usage: ferryd [-c FILE] [--vhost NAME=PATH[,client][,queues=N]]... [--port NAME=DEVARGS]...\n"
	"              [--cpus LIST] [--rpc PATH] [-d PLUGIN]... [--eal \"ARGS\"] [-i] [--check]\n"
	"              [--version] [--help]\n"
	"\n"
	"  -c FILE        start from a JSON configuration\n"
	"  --vhost ...    add a vhost-user port; ferryd listens on PATH, or connects to it (client);\n"
	"                 queues is the most pairs that its guest may use (8)\n"
	"  --port ...     add an Ethernet device of DPDK: net_tap0,iface=ferry0, 0000:03:00.0\n"
	"  --cpus LIST    one worker pinned to each CPU: 1,3-5 (one worker, not pinned)\n"
	"  --rpc PATH     socket that ferryctl speaks to (/run/ferry/ferry.sock)\n"
	"  -d PLUGIN      load a DPDK driver\n"
	"  --eal ARGS     more arguments for DPDK\n"
	"  -i             open the console on this terminal\n"
	"  --check        check the configuration and leave\n";

enum { OPT_VHOST = 256, OPT_PORT, OPT_CPUS, OPT_RPC, OPT_EAL, OPT_CHECK, OPT_VERSION, OPT_HELP };

static const struct option longopts[] = {
	{ "vhost", required_argument, NULL, OPT_VHOST },
	{ "port", required_argument, NULL, OPT_PORT },
	{ "cpus", required_argument, NULL, OPT_CPUS },
	{ "rpc", required_argument, NULL, OPT_RPC },
	{ "eal", required_argument, NULL, OPT_EAL },
	{ "check", no_argument, NULL, OPT_CHECK },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 }
};

static int
wrong(const char *option, const char *value, const char *expected)
{
	fprintf(stderr, "ferryd: %s %s: expected %s\n", option, value, expected);
	return -EINVAL;
}

/* NAME=REST; the name is cut off in place. */
static char *
name_cut(char *arg)
{
	char *eq = strchr(arg, '=');

	if (eq == NULL || eq == arg || eq[1] == '\0')
		return NULL;
	*eq = '\0';
	return eq + 1;
}

static int
vhost_word(json_t *port, const char *word)
{
	char *end;
	long n;

	if (strcmp(word, "client") == 0 || strcmp(word, "server") == 0)
		return json_object_set_new(port, "role", json_string(word));
	if (strncmp(word, "queues=", 7) != 0)
		return -EINVAL;
	n = strtol(word + 7, &end, 10);
	if (word[7] == '\0' || *end != '\0')
		return -EINVAL;
	return json_object_set_new(port, "queues", json_integer(n));
}

static int
vhost_words(json_t *port, char *name)
{
	char *path = name_cut(name), *save = NULL, *word;
	int rc = 0;

	word = path != NULL ? strtok_r(path, ",", &save) : NULL;
	if (word == NULL)
		return -EINVAL;
	json_object_set_new(port, "name", json_string(name));
	json_object_set_new(port, "type", json_string("vhost-user"));
	json_object_set_new(port, "socket", json_string(word));
	while (rc == 0 && (word = strtok_r(NULL, ",", &save)) != NULL)
		rc = vhost_word(port, word);
	return rc;
}

static int
port_words(json_t *port, char *name)
{
	char *devargs = name_cut(name);

	if (devargs == NULL)
		return -EINVAL;
	json_object_set_new(port, "name", json_string(name));
	json_object_set_new(port, "type", json_string("ethdev"));
	json_object_set_new(port, "devargs", json_string(devargs));
	return 0;
}

/* Works on a copy: what ps shows of us stays what was typed. */
static int
port_take(struct options *o, int (*words)(json_t *port, char *name), const char *arg)
{
	char *copy = strdup(arg);
	json_t *port = json_object();
	int rc = copy != NULL && port != NULL ? words(port, copy) : -ENOMEM;

	if (rc == 0)
		json_array_append(o->ports, port);
	json_decref(port);
	free(copy);
	return rc;
}

static int
word_add(const char **words, uint32_t *n, uint32_t max, const char *option, const char *word)
{
	if (*n == max)
		return wrong(option, word, "fewer of these");
	words[(*n)++] = word;
	return 0;
}

static int
option_take(struct options *o, int opt, char *arg)
{
	switch (opt) {
	case 'c':
		o->file = arg;
		return 0;
	case 'd':
		return word_add(o->plugins, &o->n_plugins, OPTIONS_PLUGINS_MAX, "-d", arg);
	case 'i':
		o->interactive = true;
		return 0;
	case OPT_VHOST:
		return port_take(o, vhost_words, arg) < 0 ?
		       wrong("--vhost", arg, "NAME=PATH[,client][,queues=N]") : 0;
	case OPT_PORT:
		return port_take(o, port_words, arg) < 0 ? wrong("--port", arg, "NAME=DEVARGS") : 0;
	case OPT_CPUS:
		o->cpu_list = arg;
		return 0;
	case OPT_RPC:
		o->rpc = arg;
		return 0;
	case OPT_EAL:
		return word_add(o->eal, &o->n_eal, OPTIONS_EAL_MAX, "--eal", arg);
	case OPT_CHECK:
		o->check = true;
		return 0;
	}
	return -EINVAL;
}

enum options_verdict
options_parse(int argc, char **argv, struct options *o)
{
	int opt;

	memset(o, 0, sizeof(*o));
	o->ports = json_array();
	while ((opt = getopt_long(argc, argv, "c:d:i", longopts, NULL)) != -1) {
		if (opt == OPT_VERSION || opt == OPT_HELP) {
			fputs(opt == OPT_HELP ? usage : "ferryd " FERRY_VERSION "\n", stdout);
			return OPTIONS_DONE;
		}
		if (option_take(o, opt, optarg) < 0) {
			if (opt == '?')
				fputs(usage, stderr);
			return OPTIONS_WRONG;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "ferryd: %s: not expected\n%s", argv[optind], usage);
		return OPTIONS_WRONG;
	}
	return OPTIONS_RUN;
}

/* The member `name` of a section, made where it is not there. */
static void
section_set(json_t *root, const char *section, const char *name, const char *value)
{
	json_t *o = json_object_get(root, section);

	if (value == NULL)
		return;
	/* A section of a wrong type stays: the check of the whole names it. */
	if (o == NULL) {
		o = json_object();
		json_object_set_new(root, section, o);
	}
	json_object_set_new(o, name, json_string(value));
}

static void
ports_append(const struct options *o, json_t *root)
{
	if (json_array_size(o->ports) == 0)
		return;
	if (json_object_get(root, "ports") == NULL)
		json_object_set_new(root, "ports", json_array());
	json_array_extend(json_object_get(root, "ports"), o->ports);
}

int
options_config(const struct options *o, struct config **out)
{
	struct rpc_error err = { .code = 0 };
	json_t *root = NULL;
	int rc = 0;

	if (o->file != NULL)
		rc = config_read(o->file, &root, &err);
	else
		root = json_object();
	/* By itself first: what the command line replaces is wrong all the same. */
	if (rc == 0 && o->file != NULL)
		rc = config_parse(root, out, &err);
	if (rc == 0) {
		config_destroy(*out);
		*out = NULL;
		section_set(root, "rpc", "socket", o->rpc);
		section_set(root, "workers", "cpus", o->cpu_list);
		ports_append(o, root);
		rc = config_parse(root, out, &err);
	}
	json_decref(root);
	if (rc < 0)
		fprintf(stderr, "ferryd: %s\n", err.message);
	return rc;
}

void
options_fini(struct options *o)
{
	json_decref(o->ports);
}
