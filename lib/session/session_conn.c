/* SPDX-License-Identifier: BSD-3-Clause */
#include "log.h"
#include "session_impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

LOG_USE(session);

/*
 * The library reads and answers on its one thread, for all ports, with blocking calls: the body of
 * a message that never comes, or an answer that is never read, would stop every guest's control
 * plane.  With a timeout on the socket the read fails and the library ends the connection (it
 * ignores failed answers, so who does not read is found before: session_conn_stalled()).  A
 * front-end writes header and body at once, so this is long.
 */
#define PEER_TIMEOUT_US 20000

static int
socket_option(int fd, int option)
{
	int value = -1;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, option, &value, &len) < 0 ? -1 : value;
}

static bool
is_connection(int fd)
{
	return socket_option(fd, SO_DOMAIN) == AF_UNIX &&
	       socket_option(fd, SO_TYPE) == SOCK_STREAM &&
	       socket_option(fd, SO_ACCEPTCONN) == 0;
}

static const char *
name_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

/*
 * How well a connection's path fits ours: 2 equal, 1 likely, 0 not.  The path is as the listening
 * side has bound it, which a front-end that listens may have done relative to another folder.
 */
static int
path_fit(const struct session *s, int fd)
{
	struct sockaddr_un un;
	socklen_t len = sizeof(un);
	int rc;

	memset(&un, 0, sizeof(un));
	rc = s->opts.client ? getpeername(fd, (struct sockaddr *)&un, &len)
			    : getsockname(fd, (struct sockaddr *)&un, &len);
	if (rc < 0 || un.sun_path[0] == '\0')
		return 0;
	un.sun_path[sizeof(un.sun_path) - 1] = '\0';
	if (strcmp(un.sun_path, s->opts.path) == 0)
		return 2;
	return s->opts.client && strcmp(name_of(un.sun_path), name_of(s->opts.path)) == 0;
}

static ino_t
inode_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? 0 : st.st_ino;
}

/*
 * The library does not tell which descriptor a new connection has, but it is open, its path is
 * ours and no session has it yet.  Returns the library's descriptor; -1: not found.
 */
static int
connection_find(const struct session *s)
{
	DIR *dir = opendir("/proc/self/fd");
	int best = 0, found = -1;
	struct dirent *entry;

	if (dir == NULL)
		return -1;
	while ((entry = readdir(dir)) != NULL) {
		int fd = atoi(entry->d_name);
		int fit;

		if (entry->d_name[0] == '.' || !is_connection(fd))
			continue;
		fit = path_fit(s, fd);
		if (fit > best && !session_map_claimed(inode_of(fd))) {
			best = fit;
			found = fd;
		}
	}
	closedir(dir);
	return found;
}

static int
connection_take(int fd)
{
	const struct timeval t = { .tv_usec = PEER_TIMEOUT_US };
	int own;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t)) < 0)
		return -errno;
	own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return own < 0 ? -errno : own;
}

static short
connection_poll(const struct session *s, short events)
{
	struct pollfd p = { .fd = s->connfd, .events = events };

	return poll(&p, 1, 0) < 0 ? 0 : p.revents;
}

/* Whether the peer has closed its end, although the library may not have noticed yet. */
static bool
connection_gone(const struct session *s)
{
	return s->connfd >= 0 && (connection_poll(s, POLLRDHUP) & (POLLHUP | POLLRDHUP)) != 0;
}

/* Whether so many answers lie unread that the next one might have to wait. */
bool
session_conn_stalled(const struct session *s)
{
	return s->connfd >= 0 && (connection_poll(s, POLLOUT) & (POLLOUT | POLLHUP)) == 0;
}

/*
 * Ends the connection for both sides at once.  The library's next read finds the end, whatever it
 * does with a message that it has in hand; and the peer sees it even while the library's poll()
 * still holds a descriptor that was closed.
 */
void
session_conn_end(const struct session *s)
{
	if (s->connfd >= 0)
		shutdown(s->connfd, SHUT_RDWR);
}

/* Called after the library has closed its own descriptor. */
static bool
peer_closed(const struct session *s)
{
	char byte;
	ssize_t n;

	if (s->connfd < 0)
		return true;
	n = recv(s->connfd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	return n == 0 || (n < 0 && errno == ECONNRESET);
}

/* Who ends a connection says why; when the library did, this is what is known of it. */
static void
blame(struct session *s)
{
	if (s->refused[0] != '\0')
		return;
	if (s->open != 0)
		session_refuse(s, "librte_vhost failed at %s", session_request_name(s->open));
	else if (!peer_closed(s))
		session_refuse(s, "message is malformed or was not sent to its end");
}

void
session_disconnect(struct session *s)
{
	LOG_RL(INFO, "%s: front-end disconnected", s->opts.name);
	session_quiesce(s);
	session_moment(s, MOMENT_DISCONNECTED, 0);
	session_open_end(s);
	session_rings_forget(s, 0);
	session_mem_drop(s);
	session_log_drop(s);
	session_conn_end(s); /* not before the guest's memory is let go of */
	session_fd_drop(&s->connfd);
	/* Last: the library unmaps the memory as soon as a callback of its own finds nobody to wait for. */
	session_map_unbind(s->vid);
	s->vid = -1;
	s->features = 0;
	s->protocol_features = 0;
	s->repair = false;
	s->left = s->arriving = s->ran = false;
	s->broken[0] = '\0';
	session_state_update(s);
}

/* One front-end at a time; one that is gone already does not stand in its successor's way. */
static int
connect_check(struct session *s)
{
	if (s->dying)
		return -ESHUTDOWN;
	if (s->vid < 0 || connection_gone(s))
		return 0;
	LOG_RL(WARNING, "%s: a second front-end was refused", s->opts.name);
	return -EBUSY;
}

static int
session_connect(struct session *s, int vid)
{
	int rc = connect_check(s);
	int fd;

	if (rc < 0)
		return rc;
	fd = connection_find(s);
	if (s->vid >= 0)
		session_disconnect(s);
	rc = fd < 0 ? -ENOTCONN : connection_take(fd);
	if (rc < 0)
		LOG_RL(ERR, "%s: connection's descriptor: %s", s->opts.name, strerror(-rc));
	if (rc < 0 && !s->opts.client) /* refusing a client would end its tries to reconnect */
		return rc;
	s->connfd = RTE_MAX(rc, -1);
	if (rte_vhost_extern_callback_register(vid, &session_hooks, NULL) < 0) {
		session_fd_drop(&s->connfd);
		return -ENODEV;
	}
	s->vid = vid;
	s->generation++;
	s->refused[0] = '\0';
	session_map_bind(vid, s, s->connfd < 0 ? 0 : inode_of(s->connfd));
	LOG_RL(INFO, "%s: front-end connected", s->opts.name);
	session_state_update(s);
	return 0;
}

/* Whether a connection that the library is about to accept on a path would be refused. */
bool
session_conn_unwelcome(const char *path)
{
	struct session *s = session_map_path(path);
	bool unwelcome;

	if (s == NULL || s->opts.client)
		return false;
	pthread_mutex_lock(s->opts.lock);
	unwelcome = connect_check(s) < 0;
	pthread_mutex_unlock(s->opts.lock);
	return unwelcome;
}

static int
on_new_connection(int vid)
{
	char path[PATH_MAX];
	struct session *s;
	int rc;

	if (rte_vhost_get_ifname(vid, path, sizeof(path)) < 0)
		return -ENODEV;
	s = session_map_path(path);
	if (s == NULL)
		return -ENOENT;
	pthread_mutex_lock(s->opts.lock);
	rc = session_connect(s, vid);
	pthread_mutex_unlock(s->opts.lock);
	return rc;
}

static void
on_destroy_connection(int vid)
{
	struct session *s = session_map_lock(vid);

	if (s == NULL)
		return;
	blame(s);
	session_disconnect(s);
	pthread_mutex_unlock(s->opts.lock);
}

/*
 * What starts and stops rings are messages, seen by the hooks; new_device, destroy_device and
 * vring_state_changed tell less of it, and later.
 */
const struct rte_vhost_device_ops session_device_ops = {
	.new_connection = on_new_connection,
	.destroy_connection = on_destroy_connection,
};
