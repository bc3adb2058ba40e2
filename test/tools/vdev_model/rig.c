/* SPDX-License-Identifier: BSD-3-Clause */
#include "selftest.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WAIT_US   30000000
#define FLOWS_MAX 4

extern const char *rig_program;

static uint64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* The model */

static int
control_connect(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct timeval wait = { .tv_sec = CLIENT_WAIT_S };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	return fd;
}

static int
ready_wait(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char line[8] = "";

	if (poll(&p, 1, WAIT_US / 1000) <= 0 || read(fd, line, sizeof(line) - 1) < 5)
		return -ETIMEDOUT;
	return strncmp(line, "ready", 5) == 0 ? 0 : -EPROTO;
}

int
rig_start(struct rig *r, unsigned int n, const char *options, const char *const *more)
{
	char args[3][256], control[108];
	const char *argv[24] = { rig_program, "--control", control };
	unsigned int argc = 3;
	int out[2], rc;

	snprintf(control, sizeof(control), "vdev-selftest-%d.ctl", (int)getpid());
	for (unsigned int i = 0; i < n; i++) {
		snprintf(r->sockets[i], sizeof(r->sockets[i]), "vdev-selftest-%d-%u",
			 (int)getpid(), i);
		snprintf(args[i], sizeof(args[i]), "%s%s", r->sockets[i], options);
		argv[argc++] = "--device";
		argv[argc++] = args[i];
	}
	while (more != NULL && *more != NULL && argc < 23)
		argv[argc++] = *more++;
	if (pipe(out) < 0)
		return -errno;
	r->pid = fork();
	if (r->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(out[1], STDOUT_FILENO);
		close(out[0]);
		execv(rig_program, (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(out[1]);
	rc = ready_wait(out[0]);
	close(out[0]);
	r->control = rc < 0 ? rc : control_connect(control);
	return r->control < 0 ? r->control : 0;
}

int
rig_end(struct rig *r)
{
	int status = -1;

	if (r->control >= 0)
		close(r->control);
	if (r->pid <= 0)
		return -1;
	kill(r->pid, SIGTERM);
	waitpid(r->pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

const char *
rig_ask(struct rig *r, const char *line)
{
	static char answer[32768];
	size_t len = 0;

	if (dprintf(r->control, "%s\n", line) < 0)
		return NULL;
	while (len == 0 || answer[len - 1] != '\n') {
		ssize_t n = recv(r->control, answer + len, sizeof(answer) - 1 - len, 0);

		if (n <= 0)
			return NULL;
		len += (size_t)n;
	}
	answer[len - 1] = '\0';
	return answer;
}

uint64_t
rig_count(struct rig *r, unsigned int device, const char *name)
{
	const char *at = rig_ask(r, "stats");
	char key[64];

	snprintf(key, sizeof(key), "\"%s\":", name);
	for (unsigned int i = 0; at != NULL && i <= device; i++) {
		at = strstr(at, "\"socket\":");
		at = at == NULL ? NULL : at + 1;
	}
	at = at == NULL ? NULL : strstr(at, key);
	return at == NULL ? UINT64_MAX : strtoull(at + strlen(key), NULL, 10);
}

/* Two drivers */

int
pair_open(struct driver d[2], struct rig *r, const struct vmm_guest_conf *conf)
{
	int rc = 0;

	for (unsigned int i = 0; i < 2 && rc == 0; i++) {
		struct vmm_guest_conf own = *conf;

		own.mac_id = (uint8_t)(i + 1);
		rc = driver_open(&d[i], r->sockets[i], &own);
		if (rc == 0)
			rc = driver_start(&d[i]);
		if (rc == 0 && own.pairs > 1)
			rc = driver_command(&d[i], VIRTIO_NET_CTRL_MQ,
					    VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &own.pairs,
					    sizeof(own.pairs));
	}
	return rc;
}

void
pair_close(struct driver d[2])
{
	driver_close(&d[0]);
	driver_close(&d[1]);
}

struct way {
	struct vmm_flow flows[FLOWS_MAX];
	uint64_t received;
};

static int
send_some(struct driver d[2], unsigned int from, struct way *w, unsigned int frames,
	  uint32_t len_most, unsigned int n_flows)
{
	static uint8_t bytes[VMM_FRAME_MAX];
	struct vmm_guest *g = d[from].g;
	int rc = vmm_guest_reclaim(g);

	for (unsigned int i = 0; rc >= 0 && i < 32; i++) {
		struct vmm_flow *flow = &w->flows[i % n_flows];
		struct vmm_frame f = { .flow = 10 * from + i % n_flows, .seq = flow->sent };

		if (flow->sent == frames / n_flows)
			continue;
		if (d[from].window > 0 && flow->sent * n_flows >= w->received + d[from].window)
			break;
		memcpy(f.dst, d[1 - from].g->mac, 6);
		memcpy(f.src, g->mac, 6);
		f.len = VMM_FRAME_UDP_MIN +
			(uint32_t)(flow->sent * 37 % (len_most - VMM_FRAME_UDP_MIN + 1));
		vmm_frame_build(bytes, &f);
		rc = vmm_guest_send(g, i % n_flows % g->conf.pairs, bytes, f.len, NULL);
		if (rc == 0)
			flow->sent++;
	}
	if (rc == -EAGAIN)
		rc = 0;
	return rc < 0 ? rc : vmm_guest_flush(g);
}

static int
receive_some(struct driver *d, struct way *w, unsigned int base)
{
	static uint8_t bytes[VMM_FRAME_MAX];
	struct vmm_frame f;
	int len = 0;

	for (unsigned int pair = 0; pair < d->g->conf.pairs; pair++) {
		while ((len = vmm_guest_recv(d->g, pair, bytes, sizeof(bytes), NULL)) > 0) {
			if (memcmp(bytes, d->g->mac, 6) != 0)
				continue;       /* flooded */
			if (vmm_frame_parse(&f, bytes, (uint32_t)len, &d->fault) < 0 ||
			    f.flow - base >= FLOWS_MAX ||
			    vmm_flow_received(&w->flows[f.flow - base], &f, &d->fault) < 0)
				return -EPROTO;
			w->received++;
		}
		if (len < 0)
			return len;
	}
	return vmm_guest_flush(d->g);
}

int
pair_stream(struct driver d[2], unsigned int frames, uint32_t len_most, unsigned int flows)
{
	struct vmm_guest *guests[2] = { d[0].g, d[1].g };
	uint64_t end = now_us() + WAIT_US;
	struct way ways[2];
	int rc = 0;

	frames -= frames % flows;
	memset(ways, 0, sizeof(ways));
	for (unsigned int i = 0; i < 2 * FLOWS_MAX; i++)
		ways[i / FLOWS_MAX].flows[i % FLOWS_MAX].id = 10 * (i / FLOWS_MAX) + i % FLOWS_MAX;
	while (rc >= 0 && (ways[0].received < frames || ways[1].received < frames)) {
		for (unsigned int i = 0; i < 2 && rc >= 0; i++) {
			rc = send_some(d, i, &ways[i], frames, len_most, flows);
			if (rc >= 0)
				rc = receive_some(&d[1 - i], &ways[i], 10 * i);
		}
		if (rc >= 0)
			rc = vmm_guest_wait(guests, 2, 100);
		if (now_us() > end)
			return -ETIMEDOUT;
	}
	for (unsigned int i = 0; i < 2 * FLOWS_MAX && rc >= 0; i++)
		rc = vmm_flow_check(&ways[i / FLOWS_MAX].flows[i % FLOWS_MAX], 0, &d[0].fault);
	return rc < 0 ? rc : 0;
}

/* One driver */

void
conf_plain(struct vmm_guest_conf *conf)
{
	vmm_guest_conf_init(conf);
	conf->indirect = false;
	conf->shadow = true;
}

int
driver_send(struct driver *d, const uint8_t *dst, const uint8_t *src, struct vmm_flow *flow,
	    unsigned int n)
{
	uint8_t bytes[200];
	unsigned int done;
	int rc = vmm_guest_reclaim(d->g);

	for (done = 0; rc >= 0 && done < n; done++) {
		struct vmm_frame f = { .flow = flow->id, .seq = flow->sent, .len = sizeof(bytes) };

		memcpy(f.dst, dst, 6);
		memcpy(f.src, src == NULL ? d->g->mac : src, 6);
		vmm_frame_build(bytes, &f);
		rc = vmm_guest_send(d->g, 0, bytes, f.len, NULL);
		if (rc == -EAGAIN)
			break;
		flow->sent++;
	}
	if (rc >= 0 || rc == -EAGAIN)
		rc = vmm_guest_flush(d->g);
	return rc < 0 ? rc : (int)done;
}

int
driver_receive(struct driver *d, struct vmm_flow *flow, unsigned int n)
{
	uint8_t bytes[2048];
	uint64_t end = now_us() + WAIT_US;
	unsigned int got = 0;
	struct vmm_frame f;
	int len = 0, rc = 1;

	while (got < n && rc > 0) {
		while (got < n && (len = vmm_guest_recv(d->g, 0, bytes, sizeof(bytes), NULL)) > 0) {
			if (vmm_frame_parse(&f, bytes, (uint32_t)len, &d->fault) < 0)
				return -EPROTO;
			if (f.flow != flow->id)
				continue;
			if (vmm_flow_received(flow, &f, &d->fault) < 0)
				return -EPROTO;
			got++;
		}
		if (len < 0 || vmm_guest_reclaim(d->g) < 0 || vmm_guest_flush(d->g) < 0)
			return -EPROTO;
		if (now_us() > end)
			break;
		rc = got < n ? vmm_guest_wait(&d->g, 1, 1000) : 0;
	}
	return rc < 0 ? rc : (int)got;
}
