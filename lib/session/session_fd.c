/* SPDX-License-Identifier: BSD-3-Clause */
#include "session_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/*
 * When a hook ends a message before the library's handler has seen it, nobody but the hook closes
 * what came with it; in all other cases the library does, or keeps it.
 */
void
session_fds_close(struct vhu_msg_context *m)
{
	for (int i = 0; i < m->fd_num; i++) {
		if (m->fds[i] >= 0)
			close(m->fds[i]);
		m->fds[i] = -1;
	}
	m->fd_num = 0;
}

/* Only the kernel's name for the file tells an eventfd from other anonymous inodes. */
bool
session_fd_is_event(int fd)
{
	char link[32], name[32];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, name, sizeof(name) - 1);
	if (len < 0)
		return false;
	name[len] = '\0';
	return strcmp(name, "anon_inode:[eventfd]") == 0;
}

/*
 * A duplicate of ours stays valid whenever the library closes its own, and a write to it must
 * never wait for a guest that does not read.
 */
int
session_fd_take(int fd)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	int flags;

	if (own < 0)
		return -errno;
	flags = fcntl(own, F_GETFL);
	if (flags < 0 || fcntl(own, F_SETFL, flags | O_NONBLOCK) < 0) {
		int rc = -errno;

		close(own);
		return rc;
	}
	return own;
}

void
session_fd_drop(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}
