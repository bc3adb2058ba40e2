/* SPDX-License-Identifier: BSD-3-Clause */
/* The server's socket and its clients, in one thread: the loop turns when a client waits. */
#include "rpc_test.h"
#include "loop.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

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
	rpc_add(s->rpc, rpc_test_methods, NULL);
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

void
rpc_server_test(void)
{
	struct rpc_opts opts = { .path = path, .group = (gid_t)-1 };
	struct server s;

	CHECK(mkdtemp(folder) != NULL);
	snprintf(path, sizeof(path), "%s/rpc.sock", folder);
	CHECK(server_start(&s, &opts) == 0);
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
}
