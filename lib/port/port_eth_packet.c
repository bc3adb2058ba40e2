/* SPDX-License-Identifier: BSD-3-Clause */
#include "port_impl.h"
#include "log.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <linux/if_packet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

LOG_USE(port);

/*
 * The af_packet driver waits in poll() when its ring has no free frame, for as long as the interface
 * takes none, and with it a worker and everybody who waits for that worker.  The kernel calls a
 * socket writable while less than half of its send buffer is on the way; with one that the whole
 * ring cannot fill, poll() returns at once, the driver sees that no frame is free, and what has no
 * place is dropped by name.
 */

#define SEND_BUFFER (INT_MAX / 2)

static bool
bound_to(int fd, unsigned int if_index)
{
	struct sockaddr_ll addr = { .sll_family = AF_UNSPEC };
	socklen_t len = sizeof(addr);

	return getsockname(fd, (struct sockaddr *)&addr, &len) == 0 &&
	       addr.sll_family == AF_PACKET && addr.sll_ifindex == (int)if_index;
}

/* Beyond what the system allows everybody, where we may. */
static bool
send_buffer_grow(int fd)
{
	const int size = SEND_BUFFER;

	return setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) == 0;
}

/* The driver hands its sockets to nobody: they are found among ours. */
static bool
sockets_grow(unsigned int if_index)
{
	DIR *d = opendir("/proc/self/fd");
	const struct dirent *entry;
	bool all = d != NULL;

	while (d != NULL && (entry = readdir(d)) != NULL) {
		int fd = entry->d_name[0] != '.' ? atoi(entry->d_name) : -1;

		if (fd >= 0 && bound_to(fd, if_index))
			all &= send_buffer_grow(fd);
	}
	if (d != NULL)
		closedir(d);
	return all;
}

void
port_eth_packet_relax(const struct port_eth *e, const struct rte_eth_dev_info *info)
{
	if (info->driver_name == NULL || strcmp(info->driver_name, "net_af_packet") != 0)
		return;
	if (!sockets_grow(info->if_index))
		LOG(WARNING, "%s: its send buffer cannot grow: while the interface takes no frames, "
		    "workers may wait for it (CAP_NET_ADMIN, or framecnt=32 in devargs, helps)",
		    e->name);
}
