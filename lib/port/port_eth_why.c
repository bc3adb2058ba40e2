/* SPDX-License-Identifier: BSD-3-Clause */
#include "port_impl.h"

#include <rte_bus.h>
#include <rte_kvargs.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TUN_PATH "/dev/net/tun"

/* Fills `why` and returns a negative errno where it knows better, else 0. */
typedef int why_fn(const struct rte_devargs *da, const char *iface, char *why, size_t size);

static bool
capable(uint32_t cap)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &head, data) < 0)
		return true;
	return (data[cap / 32].effective >> cap % 32 & 1) != 0;
}

static int
tap_why(const struct rte_devargs *da, const char *iface, char *why, size_t size)
{
	int fd = open(TUN_PATH, O_RDWR | O_CLOEXEC);
	int rc = fd < 0 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	if (rc == -ENOENT || rc == -ENODEV || rc == -ENXIO)
		return port_refuse(why, size, -ENODEV, "%s: there is no %s: modprobe tun", da->name,
				   TUN_PATH);
	if (!capable(CAP_NET_ADMIN) || rc == -EACCES)
		return port_refuse(why, size, -EPERM,
				   "%s: a tap needs CAP_NET_ADMIN: start ferryd as root", da->name);
	if (iface != NULL && strlen(iface) >= IF_NAMESIZE)
		return port_refuse(why, size, -EINVAL,
				   "%s: iface: expected at most %d letters, not \"%s\"", da->name,
				   IF_NAMESIZE - 1, iface);
	if (iface != NULL && if_nametoindex(iface) != 0)
		return port_refuse(why, size, -EBUSY,
				   "%s: interface %s exists and is no tap that can be joined: "
				   "choose another name", da->name, iface);
	return 0;
}

static int
netdev_why(const struct rte_devargs *da, const char *iface, char *why, size_t size)
{
	if (!capable(CAP_NET_RAW))
		return port_refuse(why, size, -EPERM,
				   "%s: it needs CAP_NET_RAW: start ferryd as root", da->name);
	if (iface == NULL)
		return port_refuse(why, size, -EINVAL, "%s: say which interface: %s,iface=NAME",
				   da->name, da->name);
	if (if_nametoindex(iface) == 0)
		return port_refuse(why, size, -ENODEV, "%s: there is no interface %s", da->name,
				   iface);
	return 0;
}

/* A file to read that is not there, or an interface. */
static int
pcap_why(const struct rte_devargs *da, const char *iface, char *why, size_t size)
{
	struct rte_kvargs *args = rte_kvargs_parse(da->args, NULL);
	const char *path = args != NULL ? rte_kvargs_get(args, "rx_pcap") : NULL;
	int rc = 0;

	if (path != NULL && access(path, R_OK) < 0)
		rc = port_refuse(why, size, -errno, "%s: %s: %s", da->name, path, strerror(errno));
	rte_kvargs_free(args);
	return rc < 0 || iface == NULL ? rc : netdev_why(da, iface, why, size);
}

static const struct {
	const char *prefix;
	why_fn *fn;
} vdevs[] = {
	{ "net_tap", tap_why },
	{ "net_tun", tap_why },
	{ "net_af_packet", netdev_why },
	{ "net_af_xdp", netdev_why },
	{ "net_pcap", pcap_why },
};

static int
vdev_why(const struct rte_devargs *da, char *why, size_t size)
{
	struct rte_kvargs *args = rte_kvargs_parse(da->args, NULL);
	int rc = 0;

	if (args == NULL)
		return port_refuse(why, size, -EINVAL,
				   "%s: arguments: expected NAME=VALUE,..., not \"%s\"", da->name,
				   da->args);
	for (uint32_t i = 0; rc == 0 && i < RTE_DIM(vdevs); i++)
		if (strncmp(da->name, vdevs[i].prefix, strlen(vdevs[i].prefix)) == 0)
			rc = vdevs[i].fn(da, rte_kvargs_get(args, "iface"), why, size);
	rte_kvargs_free(args);
	return rc;
}

/* Name of the kernel's driver in `link`; "no driver" where none is bound. */
static const char *
pci_driver(const char *device, char *link, size_t size)
{
	char path[128];
	const char *name;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/driver", device);
	n = readlink(path, link, size - 1);
	if (n <= 0)
		return "no driver";
	link[n] = '\0';
	name = strrchr(link, '/');
	return name != NULL ? name + 1 : link;
}

static bool
for_user_space(const char *driver)
{
	return strcmp(driver, "vfio-pci") == 0 || strcmp(driver, "igb_uio") == 0 ||
	       strcmp(driver, "uio_pci_generic") == 0;
}

static int
pci_why(const struct rte_devargs *da, char *why, size_t size)
{
	bool is_short = strchr(da->name, ':') == strrchr(da->name, ':');
	char path[96], link[256];
	const char *driver;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s%s", is_short ? "0000:" : "",
		 da->name);
	if (access(path, F_OK) < 0)
		return port_refuse(why, size, -ENODEV, "%s: there is no such PCI device", da->name);
	driver = pci_driver(path, link, sizeof(link));
	if (!for_user_space(driver))
		return port_refuse(why, size, -ENODEV,
				   "%s: is bound to %s: dpdk-devbind.py -b vfio-pci %s helps",
				   da->name, driver, da->name);
	return 0;
}

int
port_eth_refused(const struct rte_devargs *da, int rc, char *why, size_t size)
{
	int better = strcmp(rte_bus_name(da->bus), "pci") == 0 ? pci_why(da, why, size) :
		     vdev_why(da, why, size);

	if (better < 0)
		return better;
	/* Many drivers have but one number for all that goes wrong. */
	return port_refuse(why, size, -ENODEV,
			   "%s: its driver refuses it%s%s (DPDK's lines in the log say more)",
			   da->name, rc != -1 ? ": " : "", rc != -1 ? strerror(-rc) : "");
}
