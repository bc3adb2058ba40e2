/* SPDX-License-Identifier: BSD-3-Clause */
/* The server of JSON-RPC: envelopes, checks of parameters, and clients that behave badly. */
#include "check.h"
#include "loop.h"
#include "rpc.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB (1024 * 1024)

static int n_notes;

static int
t_echo(void *arg, json_t *params, json_t **result, struct rpc_error *err)
{
	*result = json_incref(params);
	return 0;
}

static int
t_note(void *arg, json_t *params, json_t **result, struct rpc_error *err)
{
	n_notes++;
	return 0;
}

static int
t_fail(void *arg, json_t *params, json_t **result, struct rpc_error *err)
{
	return rpc_fail(err, -EBUSY, "name", "is in use");
}

static int
t_silent(void *arg, json_t *params, json_t **result, struct rpc_error *err)
{
	return -ENODEV;
}

/* A string of so many bytes. */
static int
t_big(void *arg, json_t *params, json_t **result, struct rpc_error *err)
{
	size_t n = (size_t)json_integer_value(json_object_get(params, "bytes"));
	char *s = malloc(n + 1);

	memset(s, 'x', n);
	s[n] = '\0';
	*result = json_string(s);
	free(s);
	return 0;
}

static const struct rpc_param echo_params[] = {
	{ "name", RPC_STRING, true, 1, 8 },
	{ "count", RPC_INT, .min = 1, .max = 10 },
	{ "any", RPC_INT },
	{ "flag", RPC_BOOL },
	{ "dir", RPC_STRING, .choices = "rx|tx|both", .help = "direction" },
	{ "opts", RPC_OBJECT },
	{ "list", RPC_ARRAY },
	{ 0 },
};

static const struct rpc_param big_params[] = { { "bytes", RPC_INT, true }, { 0 } };

static const struct rpc_method methods[] = {
	{ "t.echo", t_echo, echo_params, "name", "give the parameters back" },
	{ "t.note", t_note },
	{ "t.fail", t_fail },
	{ "t.silent", t_silent },
	{ "t.big", t_big, big_params },
	{ 0 },
};

/* lines */

#define OK(id, result) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"result\":" result "}"
#define FAILED(id, code, text) \
	"{\"jsonrpc\":\"2.0\",\"id\":" id ",\"error\":{\"code\":" code ",\"message\":\"" text "\"}}"
#define WRONG(id, code, text, member) \
	"{\"jsonrpc\":\"2.0\",\"id\":" id ",\"error\":{\"code\":" code ",\"message\":\"" text \
	"\",\"data\":{\"member\":\"" member "\"}}}"
#define REQ(method, params) \
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"" method "\",\"params\":" params "}"
#define BAD_PARAM(text, member) WRONG("1", "-32602", member ": " text, member)

static const struct {
	const char *story, *line, *answer;
} lines[] = {
	{ "parameters by name", REQ("t.echo", "{\"name\":\"a\"}"), OK("1", "{\"name\":\"a\"}") },
	{ "all members of the row",
	  REQ("t.echo", "{\"name\":\"a\",\"count\":10,\"any\":-5,\"flag\":true,\"dir\":\"both\","
	      "\"opts\":{},\"list\":[]}"),
	  OK("1", "{\"name\":\"a\",\"count\":10,\"any\":-5,\"flag\":true,\"dir\":\"both\","
	      "\"opts\":{},\"list\":[]}") },
	{ "no parameters, no result", "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"t.note\"}",
	  OK("\"x\"", "{}") },
	{ "id null is a request", "{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"t.note\"}",
	  OK("null", "{}") },
	{ "a carriage return", "{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"t.note\"}\r",
	  OK("1.5", "{}") },
	{ "notification", "{\"jsonrpc\":\"2.0\",\"method\":\"t.note\"}", NULL },
	{ "notification that fails", "{\"jsonrpc\":\"2.0\",\"method\":\"t.fail\"}", NULL },
	{ "empty line", "", NULL },
	{ "blank line", " \t\r", NULL },

	{ "no JSON", "hello", FAILED("null", "-32700", "column 5: invalid token near 'hello'") },
	{ "half a request", "{\"jsonrpc\":",
	  FAILED("null", "-32700", "column 11: unexpected token near end of file") },
	{ "two texts", "{} {}", FAILED("null", "-32700", "column 4: end of file expected near '{'") },
	{ "the same member twice", "{\"a\":1,\"a\":2}",
	  FAILED("null", "-32700", "column 10: duplicate object key near '\\\"a\\\"'") },
	{ "number out of range", "[99999999999999999999]",
	  FAILED("null", "-32700", "column 21: too big integer near '99999999999999999999'") },
	{ "not an object", "5", FAILED("null", "-32600", "a request is an object") },
	{ "no version", "{\"id\":1,\"method\":\"t.note\"}",
	  FAILED("1", "-32600", "jsonrpc: expected \\\"2.0\\\"") },
	{ "id of a wrong type", "{\"jsonrpc\":\"2.0\",\"id\":[],\"method\":\"t.note\"}",
	  FAILED("null", "-32600", "id: expected a string, a number or null") },
	{ "method of a wrong type", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":7}",
	  FAILED("1", "-32600", "method: expected a string") },
	{ "unknown method", REQ("t.ehco", "{}"),
	  FAILED("1", "-32601", "no method \\\"t.ehco\\\"; did you mean \\\"t.echo\\\"?") },
	{ "far from any method", REQ("destroy", "{}"),
	  FAILED("1", "-32601", "no method \\\"destroy\\\"; rpc.show lists them") },

	{ "parameters by position", REQ("t.echo", "[\"a\"]"),
	  BAD_PARAM("expected an object, not [\\\"a\\\"]", "params") },
	{ "unknown member with a neighbour", REQ("t.echo", "{\"name\":\"a\",\"cuont\":1}"),
	  BAD_PARAM("unknown member; did you mean \\\"count\\\"?", "cuont") },
	{ "unknown member", REQ("t.echo", "{\"name\":\"a\",\"zzz\":1}"),
	  BAD_PARAM("unknown member; known are name, count, any, flag, dir, opts, list", "zzz") },
	{ "no member is known", REQ("t.note", "{\"zzz\":1}"),
	  BAD_PARAM("unknown member; none is expected", "zzz") },
	{ "missing", REQ("t.echo", "{}"),
	  BAD_PARAM("missing; expected a string of 1 to 8 characters", "name") },
	{ "wrong type", REQ("t.echo", "{\"name\":5}"),
	  BAD_PARAM("expected a string of 1 to 8 characters, not 5", "name") },
	{ "null is not absence", REQ("t.echo", "{\"name\":\"a\",\"any\":null}"),
	  BAD_PARAM("expected an integer, not null", "any") },
	{ "too short", REQ("t.echo", "{\"name\":\"\"}"),
	  BAD_PARAM("expected a string of 1 to 8 characters, not \\\"\\\"", "name") },
	{ "too long", REQ("t.echo", "{\"name\":\"123456789\"}"),
	  BAD_PARAM("expected a string of 1 to 8 characters, not \\\"123456789\\\"", "name") },
	{ "below the range", REQ("t.echo", "{\"name\":\"a\",\"count\":0}"),
	  BAD_PARAM("expected an integer from 1 to 10, not 0", "count") },
	{ "above the range", REQ("t.echo", "{\"name\":\"a\",\"count\":11}"),
	  BAD_PARAM("expected an integer from 1 to 10, not 11", "count") },
	{ "a fraction", REQ("t.echo", "{\"name\":\"a\",\"count\":1.5}"),
	  BAD_PARAM("expected an integer from 1 to 10, not 1.5", "count") },
	{ "wrong choice", REQ("t.echo", "{\"name\":\"a\",\"dir\":\"bot\"}"),
	  BAD_PARAM("expected \\\"rx\\\", \\\"tx\\\" or \\\"both\\\", not \\\"bot\\\"", "dir") },
	{ "two choices in one", REQ("t.echo", "{\"name\":\"a\",\"dir\":\"rx|tx\"}"),
	  BAD_PARAM("expected \\\"rx\\\", \\\"tx\\\" or \\\"both\\\", not \\\"rx|tx\\\"", "dir") },
	{ "boolean as a word", REQ("t.echo", "{\"name\":\"a\",\"flag\":\"yes\"}"),
	  BAD_PARAM("expected true or false, not \\\"yes\\\"", "flag") },
	{ "object", REQ("t.echo", "{\"name\":\"a\",\"opts\":[]}"),
	  BAD_PARAM("expected an object, not []", "opts") },
	{ "array", REQ("t.echo", "{\"name\":\"a\",\"list\":{}}"),
	  BAD_PARAM("expected an array, not {}", "list") },
	{ "long and strange values are quoted and cut",
	  REQ("t.echo", "{\"name\":\"\\u001b[2J\xc3\xbc 01234567890123456789012345678901234567890123\"}"),
	  BAD_PARAM("expected a string of 1 to 8 characters, not "
		    "\\\"\\\\u001B[2J\\\\u00FC 012345678901234567890123456789012345678...", "name") },
	{ "unknown member with a strange name", REQ("t.note", "{\"\\n\xc3\xbc\":1}"),
	  BAD_PARAM("unknown member; none is expected", "\\\\n\\\\u00FC") },

	{ "handler names the member", REQ("t.fail", "{}"),
	  WRONG("1", "-32000", "name: is in use", "name") },
	{ "handler says nothing", REQ("t.silent", "{}"),
	  FAILED("1", "-32000", "t.silent: No such device") },

	{ "empty batch", "[]", FAILED("null", "-32600", "a batch is not empty") },
	{ "batch in order, notifications silent, errors in their place",
	  "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"t.note\"},"
	  "{\"jsonrpc\":\"2.0\",\"method\":\"t.note\"},1,"
	  "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"t.echo\",\"params\":{\"name\":\"a\"}}]",
	  "[" OK("1", "{}") "," FAILED("null", "-32600", "a request is an object") ","
	  OK("2", "{\"name\":\"a\"}") "]" },
	{ "batch of notifications",
	  "[{\"jsonrpc\":\"2.0\",\"method\":\"t.note\"},{\"jsonrpc\":\"2.0\",\"method\":\"t.note\"}]",
	  NULL },
	{ "rpc.show of one method", REQ("rpc.show", "{\"method\":\"t.big\"}"),
	  OK("1", "[{\"method\":\"t.big\",\"help\":\"\",\"params\":[{\"name\":\"bytes\","
	     "\"type\":\"integer\",\"required\":true,\"help\":\"\"}]}]") },
};

static void
test_lines(void)
{
	struct rpc *r;

	CHECK(rpc_create(NULL, NULL, &r) == 0);
	rpc_add(r, methods, NULL);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		char *answer = rpc_handle_line(r, lines[i].line, strlen(lines[i].line));

		CHECK_STR(lines[i].story, answer, lines[i].answer);
		free(answer);
	}
	rpc_destroy(r);
}

static void
test_notes_run(struct rpc *r)
{
	static const char note[] = "{\"jsonrpc\":\"2.0\",\"method\":\"t.note\"}";

	n_notes = 0;
	CHECK(rpc_handle_line(r, note, strlen(note)) == NULL);
	CHECK(n_notes == 1);
}

static void
test_calls(struct rpc *r)
{
	json_t *params = json_pack("{s:s}", "name", "a"), *result = NULL;
	struct rpc_error err;

	CHECK(rpc_call(r, "t.echo", params, &result, &err) == 0 && result == params);
	json_decref(result);
	CHECK(rpc_call(r, "t.echo", NULL, &result, &err) == -EINVAL);
	CHECK_STR("member of a failed call", err.member, "name");
	CHECK(rpc_call(r, "t.fail", NULL, &result, &err) == -EBUSY && err.code == RPC_ERROR_FAILED);
	n_notes = 0;
	CHECK(rpc_check(r, "t.note", NULL, &err) == 0 && n_notes == 0);
	CHECK(rpc_check(r, "t.echo", params, &err) == 0);
	CHECK(rpc_check(r, "t.eko", params, &err) == -EINVAL && err.code == RPC_ERROR_METHOD);
	json_decref(params);
}

/* A batch is bounded in requests and in the bytes of its answers. */
static void
test_batch_bounds(struct rpc *r)
{
	json_t *batch = json_array(), *answers;
	char *line, *answer;
	size_t n;

	for (int i = 0; i < 1025; i++)
		json_array_append_new(batch, json_pack("{s:s,s:i,s:s,s:{s:i}}", "jsonrpc", "2.0",
			"id", i, "method", "t.big", "params", "bytes", 4 * MIB));
	line = json_dumps(batch, 0);
	answer = rpc_handle_line(r, line, strlen(line));
	CHECK_STR("1025 requests", answer, FAILED("null", "-32600",
						  "a batch of 1025 requests: at most 1024 are taken"));
	free(answer);
	free(line);

	json_array_remove(batch, 1024);
	line = json_dumps(batch, 0);
	answer = rpc_handle_line(r, line, strlen(line));
	n = strlen(answer);
	CHECK(n > 32 * MIB && n < 40 * MIB);
	answers = json_loads(answer, 0, NULL);
	CHECK(json_array_size(answers) == 1024);
	CHECK(json_object_get(json_array_get(answers, 0), "result") != NULL);
	CHECK(json_object_get(json_array_get(answers, 1023), "error") != NULL);
	json_decref(answers);
	json_decref(batch);
	free(answer);
	free(line);
}

/* sockets */

static char folder[] = "/tmp/ferry-rpc-test-XXXXXX";
static char path[100];

struct server {
	struct loop *loop;
	struct rpc *rpc;
};

static int
server_start(struct server *s, const struct rpc_opts *opts)
{
	int rc;

	CHECK(loop_create(&s->loop) == 0);
	rc = rpc_create(s->loop, opts, &s->rpc);
	if (rc < 0) {
		loop_destroy(s->loop);
		return rc;
	}
	rpc_add(s->rpc, methods, NULL);
	return 0;
}

static void
server_stop(struct server *s)
{
	rpc_destroy(s->rpc);
	loop_destroy(s->loop);
}

static void
pump(struct server *s)
{
	for (int i = 0; i < 4; i++)
		event_base_loop(loop_base(s->loop), EVLOOP_NONBLOCK);
}

static int
client_connect(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	CHECK(connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0);
	return fd;
}

static void
say(struct server *s, int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN)
			return;
		pump(s);
		text += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
}

/* What the server has sent by now; `ended` tells whether it has hung up. */
static size_t
hear(struct server *s, int fd, char *out, size_t size, bool *ended)
{
	size_t len = 0;
	ssize_t n = 0;

	*ended = false;
	for (int idle = 0; idle < 3 && len < size - 1 && !*ended;) {
		pump(s);
		n = recv(fd, out + len, size - 1 - len, 0);
		*ended = n == 0 || (n < 0 && errno == ECONNRESET);
		idle += n < 0;
		len += n > 0 ? (size_t)n : 0;
	}
	out[len] = '\0';
	return len;
}

static void
check_hear(struct server *s, int fd, const char *story, const char *expected, bool expect_end)
{
	static char text[65536];
	bool ended;

	hear(s, fd, text, sizeof(text), &ended);
	CHECK_STR(story, text, expected);
	CHECK(ended == expect_end);
}

#define NOTE(id) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"t.note\"}\n"

static void
test_pipeline(struct server *s)
{
	static const char three[] = NOTE("1") NOTE("2") "\n" NOTE("3");
	int fd = client_connect(), other = client_connect();

	say(s, fd, three, strlen(three));
	check_hear(s, fd, "pipelined", OK("1", "{}") "\n" OK("2", "{}") "\n" OK("3", "{}") "\n",
		   false);
	for (size_t i = 0; i < strlen(three); i++)
		say(s, fd, three + i, 1);
	check_hear(s, fd, "byte by byte", OK("1", "{}") "\n" OK("2", "{}") "\n" OK("3", "{}") "\n",
		   false);
	say(s, other, NOTE("\"o\""), strlen(NOTE("\"o\"")));
	check_hear(s, other, "a second client", OK("\"o\"", "{}") "\n", false);
	check_hear(s, fd, "the first hears nothing of it", "", false);
	close(fd);
	close(other);
	pump(s);
}

static void
test_half_line(struct server *s)
{
	int fd = client_connect();

	say(s, fd, "{\"jsonrpc\":\"2.0\",", 17);
	check_hear(s, fd, "half a line", "", false);
	say(s, fd, "\"id\":7,\"method\":\"t.note\"}", 25);
	shutdown(fd, SHUT_WR);
	check_hear(s, fd, "its rest, ended by hanging up", OK("7", "{}") "\n", true);
	close(fd);

	fd = client_connect();
	say(s, fd, "{\"jsonrpc\":", 11);
	close(fd);
	pump(s);
}

static void
test_long_line(struct server *s)
{
	char *text = malloc(MIB + 2);
	int fd = client_connect();

	memset(text, ' ', MIB + 2);
	memcpy(text, NOTE("1"), strlen(NOTE("1")) - 1);
	text[MIB - 1] = '\n';
	say(s, fd, text, MIB);
	check_hear(s, fd, "1 MiB", OK("1", "{}") "\n", false);
	text[MIB - 1] = ' ';
	say(s, fd, text, MIB + 2);
	check_hear(s, fd, "more than 1 MiB",
		   FAILED("null", "-32600", "line longer than 1 MiB") "\n", true);
	close(fd);
	free(text);
}

static void
test_many_clients(struct server *s)
{
	int fds[65];

	for (int i = 0; i < 65; i++) {
		fds[i] = client_connect();
		pump(s);
	}
	check_hear(s, fds[64], "client 65", FAILED("null", "-32000",
		   "64 clients are connected, no more are taken") "\n", true);
	say(s, fds[63], NOTE("1"), strlen(NOTE("1")));
	check_hear(s, fds[63], "client 64", OK("1", "{}") "\n", false);
	close(fds[0]);
	pump(s);
	close(fds[64]);
	fds[64] = client_connect();
	pump(s);
	say(s, fds[64], NOTE("1"), strlen(NOTE("1")));
	check_hear(s, fds[64], "a place became free", OK("1", "{}") "\n", false);
	for (int i = 1; i < 65; i++)
		close(fds[i]);
	pump(s);
}

static long
resident_kib(void)
{
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	CHECK(f != NULL && fscanf(f, "%*d %ld", &pages) == 1);
	fclose(f);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* Asks for 256 KiB again and again without reading: the server answers a few and then waits. */
static void
test_slow_reader(struct server *s)
{
	static const char req[] = REQ("t.big", "{\"bytes\":262144}") "\n";
	char *text = malloc(MIB);
	size_t total = 0, n_sent = 0;
	int fd = client_connect();
	long before;
	bool ended;

	pump(s);
	before = resident_kib();
	for (int i = 0; i < 300; i++) {
		n_sent += send(fd, req, strlen(req), MSG_NOSIGNAL) == (ssize_t)strlen(req);
		pump(s);
	}
	CHECK(n_sent > 100);
	CHECK(resident_kib() - before < 16 * 1024);
	do
		total += hear(s, fd, text, MIB, &ended);
	while (!ended && total < n_sent * MIB / 4);
	CHECK(!ended && total > n_sent * MIB / 4);
	free(text);
	close(fd);
	pump(s);
}

static void
test_dead_reader(struct server *s)
{
	static const char req[] = REQ("t.big", "{\"bytes\":4194304}") "\n";
	const struct timespec pause = { .tv_nsec = 10000000 };
	static char text[MIB];
	int fd = client_connect();
	bool ended = false;

	say(s, fd, req, strlen(req));
	for (int i = 0; i < 100; i++) {
		pump(s);
		nanosleep(&pause, NULL);
	}
	for (size_t n = 1; n > 0 && !ended;)
		n = hear(s, fd, text, sizeof(text), &ended);
	CHECK(ended);
	close(fd);
}

/* Without descriptors nobody is taken; whoever waits is, as soon as there are some. */
static void
test_no_descriptors(struct server *s)
{
	const struct timespec pause = { .tv_nsec = 10000000 };
	struct rlimit before, low;
	int fd = client_connect(), used = dup(fd);

	CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
	low = before;
	low.rlim_cur = (rlim_t)used;
	close(used);
	used = dup(fd); /* the last one below the limit */
	CHECK(setrlimit(RLIMIT_NOFILE, &low) == 0);
	pump(s);
	CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
	for (int i = 0; i < 30; i++) {
		pump(s);
		nanosleep(&pause, NULL);
	}
	say(s, fd, NOTE("1"), strlen(NOTE("1")));
	check_hear(s, fd, "taken later", OK("1", "{}") "\n", false);
	close(used);
	close(fd);
	pump(s);
}

/* Clients get what was answered before the server went. */
static void
test_leave(void)
{
	const struct rpc_opts opts = { .path = path, .group = (gid_t)-1 };
	char text[256];
	struct server s;
	ssize_t n;
	int fd;

	CHECK(server_start(&s, &opts) == 0);
	fd = client_connect();
	pump(&s);
	CHECK(send(fd, NOTE("1"), strlen(NOTE("1")), 0) > 0);
	event_base_loop(loop_base(s.loop), EVLOOP_ONCE);
	server_stop(&s);
	n = recv(fd, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	CHECK_STR("the last answer", text, OK("1", "{}") "\n");
	CHECK(access(path, F_OK) < 0);
	close(fd);
}

static mode_t
mode_of(const char *file)
{
	struct stat st = { 0 };

	CHECK(stat(file, &st) == 0);
	return st.st_mode & 07777;
}

static void
stale_make(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		struct sockaddr_un addr = { .sun_family = AF_UNIX };
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);

		snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
		_exit(bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 1) < 0);
	}
	CHECK(waitpid(pid, NULL, 0) == pid);
	CHECK(access(path, F_OK) == 0);
}

static void
test_paths(void)
{
	struct rpc_opts opts = { .path = path, .group = (gid_t)-1 };
	char deep[300], name[300];
	struct server a, b;
	int fd;

	stale_make();
	CHECK(server_start(&a, &opts) == 0);
	CHECK(mode_of(path) == 0600);
	CHECK(server_start(&b, &opts) == -EADDRINUSE);
	fd = client_connect();
	say(&a, fd, NOTE("1"), strlen(NOTE("1")));
	check_hear(&a, fd, "the first server is untouched", OK("1", "{}") "\n", false);
	close(fd);
	/* one that was moved away is not removed with the old server */
	snprintf(name, sizeof(name), "%s.moved", path);
	CHECK(rename(path, name) == 0);
	CHECK(server_start(&b, &opts) == 0);
	server_stop(&a);
	CHECK(access(path, F_OK) == 0);
	server_stop(&b);
	unlink(name);

	fd = open(path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	CHECK(server_start(&a, &opts) == -EEXIST);
	CHECK(access(path, F_OK) == 0);
	unlink(path);

	snprintf(deep, sizeof(deep), "%s/a/b/rpc.sock", folder);
	opts = (struct rpc_opts){ .path = deep, .mode = 0660, .group = getgid() };
	CHECK(server_start(&a, &opts) == 0);
	CHECK(mode_of(deep) == 0660);
	server_stop(&a);
	snprintf(deep, sizeof(deep), "%s/a/b", folder);
	rmdir(deep);
	snprintf(deep, sizeof(deep), "%s/a", folder);
	rmdir(deep);

	memset(deep, 'x', sizeof(deep));
	deep[sizeof(deep) - 1] = '\0';
	opts.path = deep;
	CHECK(server_start(&a, &opts) == -ENAMETOOLONG);
}

int
main(void)
{
	struct rpc_opts opts = { .path = path, .group = (gid_t)-1 };
	struct server s;

	CHECK(mkdtemp(folder) != NULL);
	snprintf(path, sizeof(path), "%s/rpc.sock", folder);
	test_lines();
	CHECK(server_start(&s, &opts) == 0);
	test_notes_run(s.rpc);
	test_calls(s.rpc);
	test_batch_bounds(s.rpc);
	test_pipeline(&s);
	test_half_line(&s);
	test_long_line(&s);
	test_many_clients(&s);
	test_slow_reader(&s);
	test_no_descriptors(&s);
	server_stop(&s);
	opts.unread_ms = 300;
	CHECK(server_start(&s, &opts) == 0);
	test_dead_reader(&s);
	server_stop(&s);
	test_leave();
	test_paths();
	CHECK(rmdir(folder) == 0);
	return check_done("rpc");
}
