/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vdev_model: virtio network devices that are not there, each behind a vfio-user socket, all on one
 * wire.  A line "ready" on standard output tells that the sockets are.
 */
#include "model.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

static bool end;
static struct watch signals;

static void
signal_ready(void *arg)
{
	end = true;
}

static int
signals_init(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	return fd < 0 ? -errno : loop_watch(&signals, fd, signal_ready, NULL);
}

int
model_fault(struct model *m, unsigned int device, const char *text)
{
	char name[64];
	const char *arg = strchr(text, '=');
	int f;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(text, "="), text);
	f = fault_find(name);
	if (f < 0)
		return f;
	fault_set(&m->devices[device], (enum fault)f, arg == NULL || strcmp(arg, "=off") != 0,
		  arg == NULL ? 0 : strtoull(arg + 1, NULL, 0));
	server_poll(&m->servers[device]);       /* who asked finds it so */
	return 0;
}

static int
faults_init(struct model *m)
{
	for (unsigned int i = 0; i < m->options.n_faults; i++) {
		for (unsigned int d = 0; d < m->n_devices; d++) {
			int only = m->options.faults[i].device;

			if (only >= 0 && only != (int)d)
				continue;
			if (model_fault(m, d, m->options.faults[i].text) < 0) {
				fprintf(stderr, "vdev_model: --fault: %s\n",
					m->options.faults[i].text);
				return -ENOENT;
			}
		}
	}
	return 0;
}

static int
model_init(struct model *m)
{
	int rc = loop_init();

	wire_patience_us = m->options.patience_ms * UINT64_C(1000);
	m->devices = calloc(m->options.n_devices, sizeof(*m->devices));
	m->servers = calloc(m->options.n_devices, sizeof(*m->servers));
	if (m->devices == NULL || m->servers == NULL)
		return -ENOMEM;
	if (rc == 0)
		rc = signals_init();
	if (rc == 0)
		rc = maps_guard();
	for (; rc == 0 && m->n_devices < m->options.n_devices; m->n_devices++) {
		struct device *d = &m->devices[m->n_devices];

		rc = device_init(d, &m->options.devices[m->n_devices]);
		if (rc == 0)
			rc = server_init(&m->servers[m->n_devices], d);
	}
	for (; rc == 0 && m->n_fronts < m->options.n_fronts; m->n_fronts++)
		rc = front_init(&m->fronts[m->n_fronts], &m->options.fronts[m->n_fronts]);
	if (rc == 0)
		rc = faults_init(m);
	return rc < 0 ? rc : control_init(m, m->options.control);
}

static void
model_fini(struct model *m)
{
	control_fini();
	for (unsigned int i = 0; i < m->n_devices; i++) {
		server_fini(&m->servers[i]);
		device_fini(&m->devices[i]);
	}
	for (unsigned int i = 0; i < m->n_fronts; i++)
		front_fini(&m->fronts[i]);
	free(m->devices);
	free(m->servers);
	loop_fini();
}

static void
model_poll(struct model *m)
{
	for (unsigned int i = 0; i < m->n_devices; i++) {
		server_poll(&m->servers[i]);
		device_poll(&m->devices[i]);
	}
	for (unsigned int i = 0; i < m->n_fronts; i++)
		front_poll(&m->fronts[i]);
}

int
main(int argc, char **argv)
{
	static struct model m;
	bool busy = false;
	int rc;

	if (options_parse(&m.options, argc, argv) < 0)
		return 2;
	rc = model_init(&m);
	if (rc == 0) {
		puts("ready");
		fflush(stdout);
	}
	while (rc == 0 && !end) {
		rc = loop_turn(busy);
		model_poll(&m);
		busy = wire_pass();
	}
	if (rc < 0)
		fprintf(stderr, "vdev_model: %s\n", strerror(-rc));
	model_fini(&m);
	return rc < 0;
}
