/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The wire that leads to a switch: usage: vdev_model_front MODEL FERRYD.  A driver of a device of
 * the model and a guest on another port of the switch stream to each other; the switch is ended and
 * started again.
 */
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "selftest.h"

extern const char *rig_program;
const char *rig_program;

struct scene {
	struct rig r;
	struct driver d[2];     /* the device's, and a guest without a device */
	pid_t ferryd;
	char rpc[64], guest[64], wire[64];
};

static void
ferryd_start(struct scene *s, const char *program)
{
	char guest[80], wire[80];
	const char *const argv[] = { program, "--rpc", s->rpc, "--vhost", guest, "--vhost", wire,
				     NULL };

	snprintf(guest, sizeof(guest), "guest=%s", s->guest);
	snprintf(wire, sizeof(wire), "wire=%s,queues=2", s->wire);
	s->ferryd = fork();
	if (s->ferryd != 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execv(program, (char *const *)(uintptr_t)argv);
	_exit(127);
}

static void
ferryd_end(struct scene *s)
{
	int status = -1;

	kill(s->ferryd, SIGTERM);
	CHECK(waitpid(s->ferryd, &status, 0) == s->ferryd);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static bool
connected(struct scene *s, bool wanted)
{
	const char *text = wanted ? "\"connected\":true" : "\"connected\":false";

	for (unsigned int i = 0; i < 1000; i++) {
		if (strstr(rig_ask(&s->r, "stats"), text) != NULL)
			return true;
		usleep(10000);
	}
	return false;
}

static void
stream(struct scene *s)
{
	static const unsigned int lens[] = { 100, 1500 };

	CHECK(connected(s, true));
	CHECK(vmm_guest_open(s->d[1].g) == 0);
	for (unsigned int i = 0; i < 2; i++) {
		int rc = pair_stream(s->d, 2000, lens[i], 1);

		CHECK(rc == 0);
		if (rc < 0)
			fprintf(stderr, "%d %s%s\n%s\n", rc, s->d[0].fault.text, s->d[1].fault.text,
				rig_ask(&s->r, "stats"));
	}
}

int
main(int argc, char **argv)
{
	struct scene s = { .r.control = -1 };
	struct vmm_guest_conf conf;
	char wire[80];
	const char *const more[] = { "--wire", wire, NULL };

	if (argc != 3)
		return 2;
	rig_program = argv[1];
	snprintf(s.rpc, sizeof(s.rpc), "vdev-front-%d.rpc", (int)getpid());
	snprintf(s.guest, sizeof(s.guest), "vdev-front-%d.guest", (int)getpid());
	snprintf(s.wire, sizeof(s.wire), "vdev-front-%d.wire", (int)getpid());
	snprintf(wire, sizeof(wire), "%s,queues=2", s.wire);
	conf_plain(&conf);
	CHECK(rig_start(&s.r, 1, ",event_idx", more) == 0);
	CHECK(driver_open(&s.d[0], s.r.sockets[0], &conf) == 0);
	CHECK(driver_start(&s.d[0]) == 0);
	conf.path = s.guest;
	conf.mac_id = 2;
	CHECK(vmm_guest_create(&s.d[1].g, &conf, &s.d[1].fault) == 0);
	/* A switch holds nobody: a guest that is sent more than it has buffers for loses it. */
	s.d[0].window = s.d[1].window = 128;
	ferryd_start(&s, argv[2]);
	stream(&s);
	ferryd_end(&s);
	CHECK(connected(&s, false));
	vmm_guest_disconnect(s.d[1].g);
	ferryd_start(&s, argv[2]);
	stream(&s);
	CHECK(rig_count(&s.r, 0, "violations") == 0);
	vmm_guest_destroy(s.d[1].g);
	driver_close(&s.d[0]);
	CHECK(rig_end(&s.r) == 0);
	ferryd_end(&s);
	return check_done("vdev_model_front");
}
