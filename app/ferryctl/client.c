/* SPDX-License-Identifier: BSD-3-Clause */
#include "client.h"
#include "own.h"
#include "table.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_S 30

struct client {
	const char *path;
	FILE *in;
	int fd;
	json_int_t n_calls;
	json_t *methods;
};

char client_where[64];

static enum status
no_ferryd(const char *path, const char *why)
{
	fprintf(stderr, "ferryctl: %sno ferryd answers on %s: %s\n", client_where, path, why);
	return STATUS_NO_FERRYD;
}

static int
open_fd(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const struct timeval wait = { .tv_sec = ANSWER_S };
	int fd, rc;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		rc = -errno;
		close(fd);
		return rc;
	}
	return fd;
}

enum status
client_open(const char *path, struct client **out)
{
	struct client *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return no_ferryd(path, strerror(ENOMEM));
	c->path = path;
	c->fd = open_fd(path);
	if (c->fd < 0) {
		enum status st = no_ferryd(path, strerror(-c->fd));

		free(c);
		return st;
	}
	c->in = fdopen(c->fd, "r");
	if (c->in == NULL) {
		close(c->fd);
		free(c);
		return no_ferryd(path, strerror(ENOMEM));
	}
	*out = c;
	return STATUS_OK;
}

void
client_close(struct client *c)
{
	if (c == NULL)
		return;
	json_decref(c->methods);
	fclose(c->in);
	free(c);
}

static int
send_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return -errno;
		text += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int
send_request(struct client *c, const char *method, json_t *params)
{
	json_t *req = json_pack("{s:s, s:I, s:s, s:o*}", "jsonrpc", "2.0", "id", ++c->n_calls,
				"method", method, "params", params);
	char *text = json_dumps(req, JSON_COMPACT);
	int rc = text == NULL ? -EINVAL : send_all(c->fd, text, strlen(text));

	if (rc == 0)
		rc = send_all(c->fd, "\n", 1);
	free(text);
	json_decref(req);
	return rc;
}

/* The answer to the last request; NULL: `why` says why not. */
static json_t *
read_answer(struct client *c, const char **why)
{
	char *line = NULL;
	size_t size = 0;
	json_t *answer;
	ssize_t len;

	errno = 0;
	do {
		clearerr(c->in);
		len = getline(&line, &size, c->in);
	} while (len < 0 && errno == EINTR);
	*why = errno == EAGAIN ? "it is silent" : errno != 0 ? strerror(errno) : "it hung up";
	answer = len < 0 ? NULL : json_loadb(line, (size_t)len, 0, NULL);
	free(line);
	if (answer == NULL || json_integer_value(json_object_get(answer, "id")) == c->n_calls)
		return answer;
	/* an answer without our id is the server's last word before it hangs up */
	if (json_is_null(json_object_get(answer, "id")))
		return answer;
	*why = "it does not speak JSON-RPC";
	json_decref(answer);
	return NULL;
}

static json_t *
exchange(struct client *c, const char *method, json_t *params, const char **why)
{
	int rc = send_request(c, method, params);

	/* who refuses us may have said why before it hung up */
	if (rc < 0 && rc != -EPIPE) {
		*why = strerror(-rc);
		return NULL;
	}
	return read_answer(c, why);
}

static void
tell_error(const json_t *error)
{
	const char *text = json_string_value(json_object_get(error, "message"));

	fprintf(stderr, "ferryctl: %s", client_where);
	text_print(text == NULL ? "ferryd answered neither a result nor an error" : text, stderr);
	fputc('\n', stderr);
}

enum status
client_call(struct client *c, const char *method, json_t *params, json_t **result)
{
	const char *why = "it does not speak JSON-RPC";
	json_t *answer = exchange(c, method, params, &why);

	if (answer == NULL)
		return no_ferryd(c->path, why);
	*result = json_incref(json_object_get(answer, "result"));
	if (*result == NULL)
		tell_error(json_object_get(answer, "error"));
	json_decref(answer);
	return *result == NULL ? STATUS_FAILED : STATUS_OK;
}

enum status
client_call_at(const char *path, const char *method, json_t **result)
{
	struct client *c;
	enum status st = client_open(path, &c);

	if (st != STATUS_OK)
		return st;
	st = client_call(c, method, NULL, result);
	client_close(c);
	return st;
}

json_t *
client_ask(struct client *c, const char *method, json_t *params)
{
	const char *why;
	json_t *answer = exchange(c, method, params, &why);
	json_t *result = json_incref(json_object_get(answer, "result"));

	json_decref(answer);
	return result;
}

bool
client_foreign(const struct client *c)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
	       peer.uid != geteuid();
}

json_t *
client_methods(struct client *c)
{
	if (c->methods != NULL)
		return c->methods;
	if (client_call(c, "rpc.show", NULL, &c->methods) != STATUS_OK)
		return NULL;
	own_add(c->methods);
	return c->methods;
}

json_t *
client_method(struct client *c, const char *method)
{
	json_t *row;
	size_t i;

	json_array_foreach(client_methods(c), i, row) {
		const char *name = json_string_value(json_object_get(row, "method"));

		if (name != NULL && strcmp(name, method) == 0)
			return row;
	}
	return NULL;
}
