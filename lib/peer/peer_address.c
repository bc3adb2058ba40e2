/* SPDX-License-Identifier: BSD-3-Clause */
#include "peer_impl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define UNIX_PREFIX "unix:"

static int
unix_parse(const char *path, struct peer_address *out)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&out->sa;

	if (path[0] == '\0')
		return -EINVAL;
	if (strlen(path) >= sizeof(un->sun_path))
		return -ENAMETOOLONG;
	un->sun_family = AF_UNIX;
	strcpy(un->sun_path, path);
	out->len = sizeof(*un);
	return 0;
}

/* The library takes an address without a port, too, and then its number is 0. */
static bool
has_port(const struct sockaddr_storage *sa)
{
	if (sa->ss_family == AF_INET6)
		return ((const struct sockaddr_in6 *)sa)->sin6_port != 0;
	return ((const struct sockaddr_in *)sa)->sin_port != 0;
}

int
peer_address_parse(const char *text, struct peer_address *out)
{
	int len = sizeof(out->sa);

	memset(out, 0, sizeof(*out));
	if (strlen(text) >= PEER_TEXT_MAX)
		return -ENAMETOOLONG;
	if (strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0)
		return unix_parse(text + strlen(UNIX_PREFIX), out);
	if (evutil_parse_sockaddr_port(text, (struct sockaddr *)&out->sa, &len) < 0 ||
	    !has_port(&out->sa))
		return -EINVAL;
	out->len = (socklen_t)len;
	return 0;
}

int
peer_address_check(const char *text)
{
	struct peer_address a;

	return peer_address_parse(text, &a);
}

void
peer_address_format(const struct sockaddr *sa, char *out, size_t size)
{
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)sa;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)sa;
	char ip[INET6_ADDRSTRLEN];

	if (sa->sa_family == AF_INET6)
		snprintf(out, size, "[%s]:%u", evutil_inet_ntop(AF_INET6, &v6->sin6_addr, ip, sizeof(ip)),
			 ntohs(v6->sin6_port));
	else if (sa->sa_family == AF_INET)
		snprintf(out, size, "%s:%u", evutil_inet_ntop(AF_INET, &v4->sin_addr, ip, sizeof(ip)),
			 ntohs(v4->sin_port));
	else
		snprintf(out, size, "unix:");
}

static bool
answers(const struct peer_address *a)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool yes;

	if (fd < 0)
		return true;
	/* EAGAIN is a full backlog: somebody is there */
	yes = connect(fd, (const struct sockaddr *)&a->sa, a->len) == 0 || errno == EAGAIN;
	close(fd);
	return yes;
}

int
peer_address_clear(const struct peer_address *a)
{
	const char *path = ((const struct sockaddr_un *)&a->sa)->sun_path;
	struct stat st;

	if (a->sa.ss_family != AF_UNIX)
		return 0;
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	if (answers(a))
		return -EADDRINUSE;
	return unlink(path) < 0 ? -errno : 0;
}
