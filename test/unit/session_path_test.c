/* SPDX-License-Identifier: BSD-3-Clause */
#include "session_rig.h"

#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static void
path_of(char *path, size_t size, const char *name)
{
	snprintf(path, size, "%s/%s", rig_dir(), name);
}

/* A bound socket; `backlog` < 0: not listening, which nobody can tell from a dead one. */
static int
socket_at(const char *name, int backlog)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	path_of(un.sun_path, sizeof(un.sun_path), name);
	CHECK(bind(fd, (struct sockaddr *)&un, sizeof(un)) == 0);
	if (backlog >= 0)
		CHECK(listen(fd, backlog) == 0);
	return fd;
}

static bool
exists(const char *name)
{
	char path[108];

	path_of(path, sizeof(path), name);
	return access(path, F_OK) == 0;
}

static void
forget(const char *name)
{
	char path[108];

	path_of(path, sizeof(path), name);
	unlink(path);
}

static void
stale_replaced(void)
{
	struct vmm_guest *g;
	struct rig r;

	close(socket_at("stale", 1));
	CHECK(exists("stale"));
	CHECK(rig_create(&r, "stale", false, 1) == 0);
	g = rig_guest(&r, false, 1);
	CHECK(vmm_guest_open(g) == 0);
	rig_close(&r, g);
	CHECK(!exists("stale"));
}

static void
live_kept(void)
{
	int fd = socket_at("live", 0);
	struct rig r, other;

	CHECK(rig_create(&r, "live", false, 1) == -EADDRINUSE);
	CHECK(exists("live") && r.session == NULL);
	CHECK(rig_create(&r, "live", false, 1) == -EADDRINUSE); /* its backlog is full now */
	CHECK(exists("live"));
	close(fd);
	CHECK(rig_create(&r, "live", false, 1) == 0);
	CHECK(rig_create(&other, "live", false, 1) == -EADDRINUSE);
	CHECK(rig_create(&other, "live", true, 1) == -EADDRINUSE);
	CHECK(exists("live"));
	rig_destroy(&r);
}

static void
not_a_socket(void)
{
	char path[108];
	struct rig r;
	int fd;

	path_of(path, sizeof(path), "file");
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	CHECK(fd >= 0);
	close(fd);
	CHECK(rig_create(&r, "file", false, 1) == -EEXIST);
	CHECK(exists("file"));
	forget("file");
}

static void
impossible(void)
{
	static const struct { const char *story; const char *name; uint16_t pairs; int rc; } rows[] = {
		{ "no such folder", "none/x", 1, -ENOENT },
		{ "no pairs", "pairs", 0, -EINVAL },
		{ "too many pairs", "pairs", 129, -EINVAL },
	};
	char name[200];
	struct rig r;

	for (size_t i = 0; i < RTE_DIM(rows); i++)
		if (rig_create(&r, rows[i].name, false, rows[i].pairs) != rows[i].rc)
			CHECK_STR(rows[i].story, "another result", NULL);
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	CHECK(rig_create(&r, name, false, 1) == -ENAMETOOLONG);
}

static void
mode_set(void)
{
	struct stat st;
	struct rig r;

	rig_mode = 0640;
	CHECK(rig_create(&r, "mode", false, 1) == 0);
	rig_mode = 0;
	CHECK(stat(r.path, &st) == 0 && (st.st_mode & 07777) == 0640);
	rig_destroy(&r);
	CHECK(!exists("mode"));
}

void
session_path_stories(void)
{
	rig_story("a stale socket is replaced", stale_replaced);
	rig_story("a live socket is kept", live_kept);
	rig_story("not a socket", not_a_socket);
	rig_story("impossible paths", impossible);
	rig_story("mode", mode_set);
}
