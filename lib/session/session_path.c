/* SPDX-License-Identifier: BSD-3-Clause */
#include "session_impl.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

int
session_path_fits(const char *path)
{
	if (path == NULL || path[0] == '\0')
		return -EINVAL;
	return strlen(path) < sizeof(((struct sockaddr_un *)0)->sun_path) ? 0 : -ENAMETOOLONG;
}

static int
socket_open(const char *path, struct sockaddr_un *un)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	memset(un, 0, sizeof(*un));
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path, strlen(path));
	return fd < 0 ? -errno : fd;
}

/* 0: nobody answers; -EADDRINUSE: somebody does; -errno: cannot tell. */
static int
probe(const char *path)
{
	struct sockaddr_un un;
	int fd = socket_open(path, &un);
	int rc;

	if (fd < 0)
		return fd;
	rc = connect(fd, (struct sockaddr *)&un, sizeof(un)) < 0 ? errno : 0;
	close(fd);
	switch (rc) {
	case ECONNREFUSED:
	case ENOENT:
		return 0;
	case 0:
	case EAGAIN:     /* its backlog is full */
	case EPROTOTYPE: /* it listens, though not for a stream */
		return -EADDRINUSE;
	default:
		return -rc;
	}
}

static int
stale_remove(const char *path)
{
	struct stat st;
	int rc;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	rc = probe(path);
	if (rc < 0)
		return rc;
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

/*
 * Makes sure that the library's bind() will succeed.  It neither removes stale files nor tells why
 * it failed, and after a failed start its unregister closes a descriptor for the second time; so
 * the failure must be ours.
 */
int
session_path_claim(const char *path)
{
	struct sockaddr_un un;
	int rc = stale_remove(path);
	int fd;

	if (rc < 0)
		return rc;
	fd = socket_open(path, &un);
	if (fd < 0)
		return fd;
	if (bind(fd, (struct sockaddr *)&un, sizeof(un)) < 0)
		rc = -errno;
	else
		unlink(path);
	close(fd);
	return rc;
}

int
session_path_mode(const struct session_opts *opts)
{
	if (opts->group != (gid_t)-1 && chown(opts->path, (uid_t)-1, opts->group) < 0)
		return -errno;
	if (opts->mode != 0 && chmod(opts->path, opts->mode) < 0)
		return -errno;
	return 0;
}
