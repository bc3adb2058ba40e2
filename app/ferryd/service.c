/* SPDX-License-Identifier: BSD-3-Clause */
#include "ferryd.h"
#include "log.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

LOG_USE(ferryd);

/*
 * sd_notify(3)'s protocol is one datagram: not worth a library that a host without systemd would
 * have to install.
 */
static void
notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t len;
	int fd;

	if (path == NULL || (len = strlen(path)) >= sizeof(to.sun_path))
		return;
	memcpy(to.sun_path, path, len);
	if (path[0] == '@')
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&to,
		   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		LOG(WARNING, "service manager: %s", strerror(errno));
	close(fd);
}

static void
on_end(void *arg)
{
	struct ferryd *d = arg;

	loop_stop(d->loop);
}

static void
on_hangup(void *arg)
{
	struct ferryd *d = arg;
	struct rpc_error err = { .code = 0 };

	if (config_log_set(&d->methods.log, &err) < 0)
		LOG(ERR, "SIGHUP: %s", err.message);
	else
		LOG(NOTICE, "SIGHUP: log reopened");
}

int
service_init(struct ferryd *d)
{
	int rc = ferryd_signal(d, SIGTERM, on_end);

	if (rc == 0)
		rc = ferryd_signal(d, SIGINT, on_end);
	if (rc == 0)
		rc = ferryd_signal(d, SIGHUP, on_hangup);
	if (rc < 0)
		return rc;
	signal(SIGPIPE, SIG_IGN);
	notify("READY=1");
	LOG(NOTICE, "ready");
	return 0;
}

void
service_fini(struct ferryd *d)
{
	notify("STOPPING=1");
}
