/* SPDX-License-Identifier: BSD-3-Clause */
#include "model.h"

#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
refuse(const char *what, const char *text)
{
	fprintf(stderr, "vdev_model: %s: %s\n", what, text);
	return -EINVAL;
}

static int
number(const char *text, unsigned long least, unsigned long most, uint16_t *out)
{
	char *end;
	unsigned long n = text == NULL ? 0 : strtoul(text, &end, 0);

	if (text == NULL || *text == '\0' || *end != '\0' || n < least || n > most)
		return -EINVAL;
	*out = (uint16_t)n;
	return 0;
}

static int
mac_parse(const char *text, uint8_t *mac)
{
	unsigned int b[6];
	char rest;

	if (text == NULL || sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &b[0], &b[1], &b[2], &b[3],
				   &b[4], &b[5], &rest) != 6 || (b[0] & 1) != 0)
		return -EINVAL;
	for (unsigned int i = 0; i < 6; i++)
		mac[i] = (uint8_t)b[i];
	return 0;
}

/* Options of a device that are on when they are named. */
static const struct {
	const char *name;
	size_t offset;
} flags[] = {
	{ "positions", offsetof(struct device_conf, positions) },
	{ "logging", offsetof(struct device_conf, logging) },
	{ "packed", offsetof(struct device_conf, packed) },
	{ "event_idx", offsetof(struct device_conf, event_idx) },
	{ "indirect", offsetof(struct device_conf, indirect) },
	{ "page_per_vq", offsetof(struct device_conf, page_per_vq) },
};

static int
device_option(struct device_conf *c, char *option)
{
	char *value = strchr(option, '=');

	if (value != NULL)
		*value++ = '\0';
	for (unsigned int i = 0; value == NULL && i < sizeof(flags) / sizeof(flags[0]); i++) {
		if (strcmp(flags[i].name, option) != 0)
			continue;
		*((bool *)c + flags[i].offset) = true;
		return 0;
	}
	if (strcmp(option, "mac") == 0)
		return mac_parse(value, c->mac);
	if (strcmp(option, "queues") == 0)
		return number(value, 1, PAIRS_MAX, &c->pairs);
	if (strcmp(option, "mtu") == 0)
		return number(value, 68, UINT16_MAX, &c->mtu);
	if (strcmp(option, "size") == 0 && number(value, 2, QUEUE_SIZE_MAX, &c->size) == 0)
		return (c->size & (c->size - 1)) == 0 ? 0 : -EINVAL;
	return -EINVAL;
}

static int
device_parse(struct options *o, char *text)
{
	struct device_conf *c = &o->devices[o->n_devices];
	char *save, *word = strtok_r(text, ",", &save);

	if (o->n_devices == DEVICES_MAX || word == NULL || strlen(word) >= sizeof(c->path))
		return refuse("--device", text);
	*c = (struct device_conf){ .pairs = 1, .size = 256,
				   .mac = { 0x52, 0x54, 0, 0xfe, 0x11, (uint8_t)o->n_devices } };
	strcpy(c->path, word);
	while ((word = strtok_r(NULL, ",", &save)) != NULL) {
		if (device_option(c, word) < 0)
			return refuse("--device: not understood", word);
	}
	o->n_devices++;
	return 0;
}

static int
wire_parse(struct options *o, char *text)
{
	struct front_conf *c = &o->fronts[o->n_fronts];
	char *save, *word = strtok_r(text, ",", &save);

	if (o->n_fronts == FRONTS_MAX || word == NULL || strlen(word) >= sizeof(c->path))
		return refuse("--wire", text);
	strcpy(c->path, word);
	c->pairs = 1;
	word = strtok_r(NULL, ",", &save);
	if (word != NULL && (strncmp(word, "queues=", 7) != 0 ||
			     number(word + 7, 1, FRONT_PAIRS_MAX, &c->pairs) < 0))
		return refuse("--wire: not understood", word);
	o->n_fronts++;
	return 0;
}

/* A fault is one of the device that was named last; before any, of all. */
static int
fault_parse(struct options *o, const char *text)
{
	if (o->n_faults == sizeof(o->faults) / sizeof(o->faults[0]) ||
	    strlen(text) >= sizeof(o->faults[0].text))
		return refuse("--fault", text);
	strcpy(o->faults[o->n_faults].text, text);
	o->faults[o->n_faults++].device = (int)o->n_devices - 1;
	return 0;
}

static int
usage(void)
{
	fprintf(stderr,
		"usage: vdev_model --device SOCKET[,OPTION]... [--device ...]\n"
		"       [--wire SOCKET[,queues=PAIRS]]... [--patience MS] [--control PATH]\n"
		"       [--fault NAME[=ARG]]...\n"
		"options of a device: mac=M queues=PAIRS mtu=N size=N positions logging packed\n"
		"       event_idx indirect page_per_vq\n");
	return -EINVAL;
}

int
options_parse(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "device", required_argument, NULL, 'd' },
		{ "wire", required_argument, NULL, 'w' },
		{ "patience", required_argument, NULL, 'p' },
		{ "control", required_argument, NULL, 'c' },
		{ "fault", required_argument, NULL, 'f' },
		{ NULL, 0, NULL, 0 },
	};
	int c, rc = 0;

	memset(o, 0, sizeof(*o));
	o->patience_ms = 2000;
	while (rc == 0 && (c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'd')
			rc = device_parse(o, optarg);
		else if (c == 'w')
			rc = wire_parse(o, optarg);
		else if (c == 'p')
			rc = number(optarg, 1, UINT16_MAX, &o->patience_ms);
		else if (c == 'c')
			o->control = optarg;
		else if (c == 'f')
			rc = fault_parse(o, optarg);
		else
			return usage();
	}
	if (rc == 0 && (optind < argc || o->n_devices == 0))
		return usage();
	return rc;
}
