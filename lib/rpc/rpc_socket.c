/* SPDX-License-Identifier: BSD-3-Clause */
#include "rpc_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LOCK_TRIES    100
#define LOCK_PAUSE_US 10000

/* Makes what is missing of the folders above `path`. */
static int
parents_make(const char *path)
{
	char part[sizeof(((struct rpc_socket *)0)->path)];

	for (const char *at = strchr(path + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", (int)(at - path), path);
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return -errno;
	}
	return 0;
}

/*
 * Two processes that start at once must not take each other's fresh file for a stale one: between
 * bind() and listen() nobody answers on it.  A folder that somebody else keeps locked is no reason
 * not to start.
 */
static int
folder_lock(const char *path)
{
	const char *slash = strrchr(path, '/');
	char folder[sizeof(((struct rpc_socket *)0)->path)] = ".";
	int fd;

	if (slash != NULL)
		snprintf(folder, sizeof(folder), "%.*s", slash == path ? 1 : (int)(slash - path),
			 path);
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; fd >= 0 && i < LOCK_TRIES && flock(fd, LOCK_EX | LOCK_NB) < 0; i++)
		usleep(LOCK_PAUSE_US);
	return fd;
}

static bool
answers(const struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool yes;

	if (fd < 0)
		return true;
	/* EAGAIN is a full backlog: somebody is there */
	yes = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0 || errno == EAGAIN;
	close(fd);
	return yes;
}

/* Removes a socket file that a killed process has left. */
static int
stale_remove(const struct sockaddr_un *addr)
{
	struct stat st;

	if (lstat(addr->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	if (answers(addr))
		return -EADDRINUSE;
	return unlink(addr->sun_path) < 0 ? -errno : 0;
}

/* The mode and group are in place before anybody can connect, which listen() allows. */
static int
bind_listen(int fd, const struct sockaddr_un *addr, const struct rpc_opts *opts)
{
	const char *path = addr->sun_path;

	if (bind(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0)
		return -errno;
	if ((opts->group != (gid_t)-1 && chown(path, (uid_t)-1, opts->group) < 0) ||
	    chmod(path, opts->mode == 0 ? 0600 : opts->mode) < 0 || listen(fd, 64) < 0) {
		int rc = -errno;

		unlink(path);
		return rc;
	}
	return 0;
}

int
rpc_socket_open(const struct rpc_opts *opts, struct rpc_socket *out)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct stat st;
	int rc, lock;

	if (strlen(opts->path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, opts->path);
	rc = parents_make(opts->path);
	if (rc < 0)
		return rc;
	out->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (out->fd < 0)
		return -errno;
	lock = folder_lock(opts->path);
	rc = stale_remove(&addr);
	if (rc == 0)
		rc = bind_listen(out->fd, &addr, opts);
	if (rc == 0 && lstat(opts->path, &st) < 0)
		rc = -errno;
	if (lock >= 0)
		close(lock);
	if (rc < 0) {
		close(out->fd);
		return rc;
	}
	strcpy(out->path, opts->path);
	out->dev = st.st_dev;
	out->ino = st.st_ino;
	return 0;
}

void
rpc_socket_close(struct rpc_socket *s)
{
	struct stat st;

	if (lstat(s->path, &st) == 0 && st.st_dev == s->dev && st.st_ino == s->ino)
		unlink(s->path);
	close(s->fd);
}
