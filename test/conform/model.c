/* SPDX-License-Identifier: BSD-3-Clause */
#include "model.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEVICES_MAX 16
#define ANSWER_SIZE 32768
#define ANSWER_S    10

/* Much longer than a device is away while it starts again, much shorter than a case may wait. */
#define PATIENCE_MS "300"

struct model {
	pid_t pid;
	unsigned int n_devices;
	char dir[64];
	char control[96];
	char sockets[DEVICES_MAX][96];
};

const char *
model_socket(const struct model *m, unsigned int device)
{
	return m->sockets[device];
}

static void
run(const struct model *m, const char *program, const char *device, int out)
{
	char devices[DEVICES_MAX][256];
	char *argv[7 + 2 * DEVICES_MAX] = { (char *)(uintptr_t)program, "--control",
					    (char *)(uintptr_t)m->control, "--patience", PATIENCE_MS };

	for (unsigned int i = 0; i < m->n_devices; i++) {
		snprintf(devices[i], sizeof(devices[i]), "%s,%s", m->sockets[i], device);
		argv[5 + 2 * i] = "--device";
		argv[6 + 2 * i] = devices[i];
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(out, STDOUT_FILENO);
	execv(program, argv);
	perror(program);
	_exit(127);
}

/* It says one line when all of its sockets are there. */
static int
ready_wait(int in)
{
	char line[16] = "";
	ssize_t n = read(in, line, sizeof(line) - 1);

	return n > 0 && strncmp(line, "ready", 5) == 0 ? 0 : -ECHILD;
}

static int
child_start(struct model *m, const char *program, const char *device)
{
	int fds[2], rc;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	m->pid = fork();
	if (m->pid == 0)
		run(m, program, device, fds[1]);
	rc = m->pid < 0 ? -errno : 0;
	close(fds[1]);
	if (rc == 0)
		rc = ready_wait(fds[0]);
	close(fds[0]);
	return rc;
}

int
model_begin(const char *program, unsigned int n_devices, const char *device, struct model **out)
{
	struct model *m = n_devices > DEVICES_MAX ? NULL : calloc(1, sizeof(*m));
	int rc;

	if (m == NULL)
		return -ENOMEM;
	m->pid = -1;
	m->n_devices = n_devices;
	strcpy(m->dir, "/tmp/ferry-model-XXXXXX");
	if (mkdtemp(m->dir) == NULL) {
		rc = -errno;
		free(m);
		return rc;
	}
	snprintf(m->control, sizeof(m->control), "%s/control", m->dir);
	for (unsigned int i = 0; i < n_devices; i++)
		snprintf(m->sockets[i], sizeof(m->sockets[i]), "%s/%u", m->dir, i);
	rc = child_start(m, program, device);
	if (rc < 0) {
		model_end(m);
		return rc;
	}
	*out = m;
	return 0;
}

void
model_end(struct model *m)
{
	if (m == NULL)
		return;
	if (m->pid > 0) {
		kill(m->pid, SIGTERM);
		waitpid(m->pid, NULL, 0);
	}
	for (unsigned int i = 0; i < m->n_devices; i++)
		unlink(m->sockets[i]);
	unlink(m->control);
	rmdir(m->dir);
	free(m);
}

static int
control_connect(const struct model *m)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct timeval tv = { .tv_sec = ANSWER_S };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(sun.sun_path, m->control);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
		return fd;
	close(fd);
	return -ECONNREFUSED;
}

int
model_ask(const struct model *m, const char *line, char *out, uint32_t size)
{
	int fd = control_connect(m), rc = 0;
	uint32_t len = 0;
	ssize_t n = 0;

	if (fd < 0)
		return fd;
	if (dprintf(fd, "%s\n", line) < 0)
		rc = -errno;
	while (rc == 0 && len < size - 1 && (n = read(fd, out + len, size - 1 - len)) > 0) {
		len += (uint32_t)n;
		if (out[len - 1] == '\n')
			break;
	}
	out[len] = '\0';
	close(fd);
	return rc == 0 && n <= 0 ? -ETIMEDOUT : rc;
}

uint64_t
model_sum(const struct model *m, const char *prefix)
{
	static char text[ANSWER_SIZE];
	char begin[64];
	uint64_t sum = 0;

	if (model_ask(m, "stats", text, sizeof(text)) < 0)
		return UINT64_MAX;
	snprintf(begin, sizeof(begin), "\"%s", prefix);
	for (const char *at = text; (at = strstr(at, begin)) != NULL; at++) {
		const char *value = strstr(at, "\":");

		if (value != NULL)
			sum += strtoull(value + 2, NULL, 10);
	}
	return sum;
}
