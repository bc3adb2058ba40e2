/* SPDX-License-Identifier: BSD-3-Clause */
#include "qmp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdbool.h>
#include <unistd.h>

#define PORT "/dev/virtio-ports/qmp"

struct qmp {
	FILE *in, *out;
	char *line;
	size_t size;
};

static json_t *
answer_read(struct qmp *q)
{
	if (getline(&q->line, &q->size, q->in) < 0)
		return NULL;
	return json_loads(q->line, 0, NULL);
}

/* Events come in between. */
static json_t *
answer_wait(struct qmp *q)
{
	json_t *answer;

	while ((answer = answer_read(q)) != NULL) {
		json_t *result = json_incref(json_object_get(answer, "return"));
		bool refused = json_object_get(answer, "error") != NULL;

		json_decref(answer);
		if (result != NULL || refused)
			return result;
	}
	return NULL;
}

json_t *
qmp_call(struct qmp *q, const char *command, json_t *arguments)
{
	json_t *request = json_pack("{s:s,s:o*}", "execute", command, "arguments", arguments);
	json_t *result = NULL;

	if (request != NULL && json_dumpf(request, q->out, JSON_COMPACT) == 0 &&
	    fputc('\n', q->out) != EOF && fflush(q->out) == 0)
		result = answer_wait(q);
	if (result == NULL)
		fprintf(stderr, "QEMU: %s: %s", command, q->line != NULL ? q->line : "no answer\n");
	json_decref(request);
	return result;
}

int
qmp_open(struct qmp **out)
{
	struct qmp *q = calloc(1, sizeof(*q));
	json_t *greeting, *ready = NULL;
	int rc;

	if (q == NULL)
		return -ENOMEM;
	q->in = fopen(PORT, "r+e");
	q->out = q->in != NULL ? fdopen(dup(fileno(q->in)), "we") : NULL;
	if (q->out == NULL) {
		rc = -errno;
		qmp_close(q);
		return rc;
	}
	greeting = answer_read(q);
	if (greeting != NULL)
		ready = qmp_call(q, "qmp_capabilities", NULL);
	rc = ready != NULL ? 0 : -EPROTO;
	json_decref(greeting);
	json_decref(ready);
	if (rc < 0) {
		qmp_close(q);
		return rc;
	}
	*out = q;
	return 0;
}

void
qmp_close(struct qmp *q)
{
	if (q == NULL)
		return;
	if (q->out != NULL)
		fclose(q->out);
	if (q->in != NULL)
		fclose(q->in);
	free(q->line);
	free(q);
}
