/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Questions and faults, a line each:
 *
 *   fault DEVICE NAME [ARG|off]   switches a fault on or off: "ok"
 *   link DEVICE up|down           "ok"
 *   stats                         one line of JSON
 *
 * What is not understood is answered with a line that starts with "error".
 */
#include "model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CLIENTS_MAX 8
#define LINE_SIZE   256
#define ANSWER_SIZE 32768

struct asker {
	struct watch watch;
	char line[LINE_SIZE];
	size_t len;
};

static struct model *model;
static struct watch door;
static char door_path[PATH_MAX_LEN];
static struct asker askers[CLIENTS_MAX];

/* Answers */

static size_t
counters_print(char *out, size_t size, const struct device_stats *stats)
{
	size_t n = 0;

#define X(name) n += (size_t)snprintf(out + n, size - n, ",\"" #name "\":%llu", \
				      (unsigned long long)stats->name);
	DEVICE_COUNTERS(X)
#undef X
	return n;
}

static size_t
front_print(char *out, size_t size, const struct front *f)
{
	size_t n = (size_t)snprintf(out, size, "{\"socket\":\"%s\",\"connected\":%s,\"kept\":%llu",
				    f->conf.path, f->connected ? "true" : "false",
				    (unsigned long long)f->n_kept);

	n += counters_print(out + n, size - n, &f->stats);
	out[n++] = '}';
	return n;
}

static size_t
device_print(char *out, size_t size, const struct device *d, bool present)
{
	size_t n = (size_t)snprintf(out, size,
		"{\"socket\":\"%s\",\"client\":%s,\"status\":%u,\"features\":%llu,\"running\":%s,"
		"\"pairs\":%u,\"logging\":%s,\"maps\":%u,\"refused_dma\":%llu,\"marks\":%llu",
		d->conf.path, present ? "true" : "false", d->status,
		(unsigned long long)d->features, device_running(d) ? "true" : "false", d->pairs,
		d->dma.logging ? "true" : "false", d->dma.maps.n,
		(unsigned long long)d->dma.refused, (unsigned long long)d->dma.marks);

	n += counters_print(out + n, size - n, &d->stats);
	n += (size_t)snprintf(out + n, size - n, ",\"violation\":\"%s\",\"failed\":\"%s\"}",
			      d->violation, d->failed);
	return n;
}

static void
stats_print(char *out, size_t size)
{
	size_t n = (size_t)snprintf(out, size, "{\"devices\":[");

	for (unsigned int i = 0; i < model->n_devices; i++) {
		if (i > 0)
			out[n++] = ',';
		n += device_print(out + n, size - n, &model->devices[i],
				  model->servers[i].client.fd >= 0);
	}
	n += (size_t)snprintf(out + n, size - n, "],\"wires\":[");
	for (unsigned int i = 0; i < model->n_fronts; i++) {
		if (i > 0)
			out[n++] = ',';
		n += front_print(out + n, size - n, &model->fronts[i]);
	}
	snprintf(out + n, size - n, "]}\n");
}

static bool
device_of(const char *text, unsigned int *out)
{
	char *end;
	unsigned long n = text == NULL ? 0 : strtoul(text, &end, 10);

	if (text == NULL || *text == '\0' || *end != '\0' || n >= model->n_devices)
		return false;
	*out = (unsigned int)n;
	return true;
}

static const char *
fault_command(char **save)
{
	const char *device = strtok_r(NULL, " ", save), *name = strtok_r(NULL, " ", save);
	const char *arg = strtok_r(NULL, " ", save);
	char text[LINE_SIZE * 2];
	unsigned int i;

	if (!device_of(device, &i) || name == NULL)
		return "error: fault DEVICE NAME [ARG|off]\n";
	snprintf(text, sizeof(text), "%s%s%s", name, arg == NULL ? "" : "=",
		 arg == NULL ? "" : arg);
	return model_fault(model, i, text) < 0 ? "error: no such fault\n" : "ok\n";
}

static const char *
link_command(char **save)
{
	const char *device = strtok_r(NULL, " ", save), *how = strtok_r(NULL, " ", save);
	unsigned int i;

	if (!device_of(device, &i) || how == NULL ||
	    (strcmp(how, "up") != 0 && strcmp(how, "down") != 0))
		return "error: link DEVICE up|down\n";
	model->devices[i].link_up = strcmp(how, "up") == 0;
	device_config_changed(&model->devices[i]);
	return "ok\n";
}

static const char *
answer(char *line)
{
	static char text[ANSWER_SIZE];
	char *save, *word = strtok_r(line, " ", &save);

	if (word != NULL && strcmp(word, "fault") == 0)
		return fault_command(&save);
	if (word != NULL && strcmp(word, "link") == 0)
		return link_command(&save);
	if (word == NULL || strcmp(word, "stats") != 0)
		return "error: fault, link or stats\n";
	stats_print(text, sizeof(text));
	return text;
}

/* Connections */

static void
asker_drop(struct asker *a)
{
	int fd = a->watch.fd;

	loop_forget(&a->watch);
	close(fd);
	a->watch.fd = -1;
}

/* Answers all whole lines.  Returns false when the asker is of no use any more. */
static bool
lines_answer(struct asker *a)
{
	char *end;

	while ((end = memchr(a->line, '\n', a->len)) != NULL) {
		const char *text;
		ssize_t len;

		*end = '\0';
		text = answer(a->line);
		len = (ssize_t)strlen(text);
		if (send(a->watch.fd, text, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT) != len)
			return false;
		a->len -= (size_t)(end + 1 - a->line);
		memmove(a->line, end + 1, a->len);
	}
	return a->len < sizeof(a->line);
}

static void
asker_ready(void *arg)
{
	struct asker *a = arg;
	ssize_t n = recv(a->watch.fd, a->line + a->len, sizeof(a->line) - a->len, MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n > 0)
		a->len += (size_t)n;
	if (n <= 0 || !lines_answer(a))
		asker_drop(a);
}

static void
door_ready(void *arg)
{
	int fd = accept4(door.fd, NULL, NULL, SOCK_CLOEXEC);

	for (unsigned int i = 0; fd >= 0 && i < CLIENTS_MAX; i++) {
		if (askers[i].watch.fd >= 0)
			continue;
		askers[i].len = 0;
		if (loop_watch(&askers[i].watch, fd, asker_ready, &askers[i]) == 0)
			return;
	}
	if (fd >= 0)
		close(fd);
}

int
control_init(struct model *m, const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd;

	model = m;
	door.fd = -1;
	for (unsigned int i = 0; i < CLIENTS_MAX; i++)
		askers[i].watch.fd = -1;
	if (path == NULL)
		return 0;
	if (strlen(path) >= sizeof(sun.sun_path))
		return -ENAMETOOLONG;
	strcpy(sun.sun_path, path);
	strcpy(door_path, path);
	unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0 || listen(fd, 4) < 0)
		return -errno;
	return loop_watch(&door, fd, door_ready, NULL);
}

void
control_fini(void)
{
	for (unsigned int i = 0; i < CLIENTS_MAX; i++) {
		if (askers[i].watch.fd >= 0)
			asker_drop(&askers[i]);
	}
	if (door.fd >= 0) {
		close(door.fd);
		unlink(door_path);
	}
}
