/* SPDX-License-Identifier: BSD-3-Clause */
#include "log.h"
#include "session_impl.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

LOG_USE(session);

/*
 * For a second front-end on a socket the library makes a device before it asks, and complains when
 * the answer is no.  Who tries again and again would spend the time of the one thread that serves
 * all guests' front-ends; so the library is not shown a connection that would be refused anyway.
 * It takes a failed accept() without a word.
 */

/* The path that a listening socket has; false: it is no UNIX socket with a name. */
static bool
path_of(int fd, struct sockaddr_un *un)
{
	socklen_t len = sizeof(*un);

	memset(un, 0, sizeof(*un));
	if (getsockname(fd, (struct sockaddr *)un, &len) < 0 || un->sun_family != AF_UNIX)
		return false;
	un->sun_path[sizeof(un->sun_path) - 1] = '\0';
	return un->sun_path[0] != '\0';
}

/* Stands in front of libc's for the libraries, too: the executable's symbols are found first. */
int
accept(int fd, __SOCKADDR_ARG addr, socklen_t *len)
{
	int conn = (int)syscall(SYS_accept, fd, addr.__sockaddr__, len);
	struct sockaddr_un un;

	if (conn < 0 || !path_of(fd, &un) || !session_conn_unwelcome(un.sun_path))
		return conn;
	close(conn);
	errno = ECONNABORTED;
	return -1;
}

void
session_accept_check(void)
{
	if (dlsym(RTLD_DEFAULT, "accept") != (void *)accept)
		LOG(WARNING, "librte_vhost accepts past us: front-ends that are refused cost more");
}
