/* SPDX-License-Identifier: BSD-3-Clause */
#include "guestio.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

int
queues_set(const char *iface, unsigned int n)
{
	struct ethtool_channels channels = { .cmd = ETHTOOL_GCHANNELS };
	struct ifreq ifr = { .ifr_data = (char *)&channels };
	int fd = socket(AF_INET, SOCK_DGRAM, 0), rc;

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", iface);
	rc = ioctl(fd, SIOCETHTOOL, &ifr);
	if (rc == 0) {
		channels.cmd = ETHTOOL_SCHANNELS;
		channels.combined_count = n;
		rc = ioctl(fd, SIOCETHTOOL, &ifr);
	}
	if (rc < 0)
		perror("guestio: queues");
	else
		printf("{\"iface\": \"%s\", \"queues\": %u, \"max\": %u}\n", iface, n, channels.max_combined);
	close(fd);
	return rc < 0 ? 1 : 0;
}
