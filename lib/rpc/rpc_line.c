/* SPDX-License-Identifier: BSD-3-Clause */
/* One line in, one line out: the envelope of JSON-RPC 2.0, without a socket. */
#include "rpc_impl.h"
#include "rpc_param.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *
answer_error(json_t *id, const struct rpc_error *err)
{
	json_t *error = json_pack("{s:i, s:o}", "code", err->code, "message",
				  rpc_text(err->message));

	if (err->member[0] != '\0')
		json_object_set_new(error, "data",
				    json_pack("{s:o}", "member", rpc_text(err->member)));
	return json_pack("{s:s, s:O, s:o}", "jsonrpc", "2.0", "id", id, "error", error);
}

static json_t *
answer_plain(json_t *id, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static json_t *
answer_plain(json_t *id, int code, const char *fmt, ...)
{
	struct rpc_error err = { .code = code };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err.message, sizeof(err.message), fmt, ap);
	va_end(ap);
	return answer_error(id == NULL ? json_null() : id, &err);
}

static bool
id_valid(const json_t *id)
{
	return id == NULL || json_is_string(id) || json_is_number(id) || json_is_null(id);
}

/* What is wrong with a request's envelope; NULL: nothing. */
static const char *
envelope_wrong(json_t *req)
{
	const char *version = json_string_value(json_object_get(req, "jsonrpc"));

	if (!json_is_object(req))
		return "a request is an object";
	if (!id_valid(json_object_get(req, "id")))
		return "id: expected a string, a number or null";
	if (version == NULL || strcmp(version, "2.0") != 0)
		return "jsonrpc: expected \"2.0\"";
	if (!json_is_string(json_object_get(req, "method")))
		return "method: expected a string";
	return NULL;
}

/* NULL: a notification, which gets no answer. */
static json_t *
answer_one(struct rpc *r, json_t *req)
{
	const char *wrong = envelope_wrong(req);
	json_t *id = json_object_get(req, "id"), *result = NULL;
	struct rpc_error err;
	int rc;

	if (wrong != NULL)
		return answer_plain(id_valid(id) ? id : NULL, RPC_ERROR_REQUEST, "%s", wrong);
	rc = rpc_call(r, json_string_value(json_object_get(req, "method")),
		      json_object_get(req, "params"), &result, &err);
	if (id == NULL) {
		json_decref(result);
		return NULL;
	}
	if (rc < 0)
		return answer_error(id, &err);
	return json_pack("{s:s, s:O, s:o}", "jsonrpc", "2.0", "id", id, "result", result);
}

/* Takes the reference of `answer`; NULL where there is nothing to say. */
static char *
answer_text(json_t *answer)
{
	char *text = answer == NULL ? NULL : json_dumps(answer, JSON_COMPACT);

	json_decref(answer);
	return text;
}

struct batch {
	FILE *f;
	uint32_t n;
	size_t size;
};

static void
batch_add(struct batch *b, json_t *answer)
{
	char *text = answer_text(answer);

	if (text == NULL)
		return;
	fputs(b->n++ == 0 ? "[" : ",", b->f);
	fputs(text, b->f);
	b->size += strlen(text);
	free(text);
}

static json_t *
batch_refuse(json_t *req)
{
	json_t *id = json_object_get(req, "id");

	if (json_is_object(req) && id == NULL)
		return NULL;
	return answer_plain(id_valid(id) ? id : NULL, RPC_ERROR_FAILED,
			    "not done: the answers of this batch exceed %d MiB",
			    RPC_ANSWER_MAX / (1024 * 1024));
}

static char *
answer_batch(struct rpc *r, json_t *reqs)
{
	struct batch b = { 0 };
	char *text = NULL;
	size_t i, size;
	json_t *req;

	if (json_array_size(reqs) == 0)
		return answer_text(answer_plain(NULL, RPC_ERROR_REQUEST, "a batch is not empty"));
	if (json_array_size(reqs) > RPC_BATCH_MAX)
		return answer_text(answer_plain(NULL, RPC_ERROR_REQUEST,
						"a batch of %zu requests: at most %d are taken",
						json_array_size(reqs), RPC_BATCH_MAX));
	b.f = open_memstream(&text, &size);
	if (b.f == NULL)
		return NULL;
	json_array_foreach(reqs, i, req)
		batch_add(&b, b.size > RPC_ANSWER_MAX ? batch_refuse(req) : answer_one(r, req));
	if (b.n > 0)
		fputc(']', b.f);
	fclose(b.f);
	if (b.n > 0)
		return text;
	free(text);
	return NULL;
}

static bool
blank(const char *line, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (strchr(" \t\r", line[i]) == NULL || line[i] == '\0')
			return false;
	return true;
}

char *
rpc_handle_line(struct rpc *r, const char *line, size_t len)
{
	json_error_t at;
	json_t *req;
	char *text;

	if (blank(line, len))
		return NULL;
	req = json_loadb(line, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &at);
	if (req == NULL)
		return answer_text(answer_plain(NULL, RPC_ERROR_PARSE, "column %d: %s", at.column,
						at.text));
	text = json_is_array(req) ? answer_batch(r, req) : answer_text(answer_one(r, req));
	json_decref(req);
	return text;
}
