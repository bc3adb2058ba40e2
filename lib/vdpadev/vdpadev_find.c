/* SPDX-License-Identifier: BSD-3-Clause */
#include "log.h"
#include "vdpadev_impl.h"
#include "vdpa_abi.h"

#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_devargs.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

LOG_USE(vdpadev);

#define PCI_PATH "/sys/bus/pci/devices/%s/%s"

#define VENDOR_MELLANOX   0x15b3
#define VENDOR_XILINX     0x10ee
#define VENDOR_SOLARFLARE 0x1924

static int __rte_format_printf(4, 5)
refuse(char *why, size_t size, int rc, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, size, fmt, args);
	va_end(args);
	return rc;
}

/* PCI functions, as the kernel shows them */

static bool
is_pci(const struct rte_devargs *da)
{
	return strcmp(rte_bus_name(da->bus), "pci") == 0;
}

static unsigned int
pci_vendor(const char *name)
{
	char path[128];
	unsigned int id = 0;
	FILE *f;

	snprintf(path, sizeof(path), PCI_PATH, name, "vendor");
	f = fopen(path, "re");
	if (f == NULL)
		return 0;
	if (fscanf(f, "%x", &id) != 1)
		id = 0;
	fclose(f);
	return id;
}

/* The last name that a link of the function points to; "": there is none. */
static void
pci_link(const char *name, const char *link, char *out, size_t size)
{
	char path[128], target[256];
	ssize_t n;

	snprintf(path, sizeof(path), PCI_PATH, name, link);
	n = readlink(path, target, sizeof(target) - 1);
	target[n > 0 ? n : 0] = '\0';
	snprintf(out, size, "%s", n > 0 ? strrchr(target, '/') + 1 : "");
}

/* Drivers that stay beside the kernel's do not want VFIO. */
static bool
is_bifurcated(unsigned int vendor)
{
	return vendor == VENDOR_MELLANOX;
}

/* What a driver wants to hear before it takes a function for vDPA and not for Ethernet. */
static const char *
pci_argument(unsigned int vendor)
{
	if (vendor == VENDOR_MELLANOX || vendor == VENDOR_XILINX || vendor == VENDOR_SOLARFLARE)
		return "class=vdpa";
	return "vdpa=1";
}

/* @return  NULL: nothing that we can see stands in the way; else what to do, for `name` */
static const char *
pci_advice(const char *name, char *bound, size_t size)
{
	unsigned int vendor = pci_vendor(name);
	char group[32];

	pci_link(name, "driver", bound, size);
	pci_link(name, "iommu_group", group, sizeof(group));
	if (vendor == 0)
		return "there is no PCI function of this address (lspci -D lists them)";
	if (is_bifurcated(vendor))
		return NULL;
	if (strcmp(bound, "vfio-pci") != 0)
		return "bind it to vfio-pci (driverctl set-override ADDRESS vfio-pci, or "
		       "dpdk-devbind.py -b vfio-pci ADDRESS)";
	if (group[0] == '\0')
		return "the machine has no IOMMU for it: enable it in the firmware and the kernel "
		       "(intel_iommu=on)";
	return NULL;
}

/* Finding */

/* Arguments given for a device that is there already would be forgotten silently. */
static int
arguments_check(const struct rte_vdpa_device *device, const struct rte_devargs *da, char *why,
		size_t size)
{
	const struct rte_devargs *has = rte_dev_devargs(device->device);
	const char *old = has != NULL && has->args != NULL ? has->args : "";

	if (da->args == NULL || da->args[0] == '\0' || strcmp(da->args, old) == 0)
		return 0;
	return refuse(why, size, -EEXIST, "%s: is there already, as \"%s,%s\": name it without "
		      "arguments, or choose another number", da->name, da->name, old);
}

static int
probe_refused(const struct rte_devargs *da, int rc, char *why, size_t size)
{
	char bound[64] = "";
	const char *advice = is_pci(da) ? pci_advice(da->name, bound, sizeof(bound)) : NULL;

	if (advice != NULL)
		return refuse(why, size, -ENODEV, "%s: %s%s%s%s", da->name,
			      bound[0] != '\0' ? "is bound to " : "", bound,
			      bound[0] != '\0' ? ": " : "", advice);
	if (is_pci(da))
		return refuse(why, size, -ENODEV, "%s: no vDPA driver takes it (-d loads one, as in "
			      "-d librte_vdpa_virtio.so; its own lines above say more)", da->name);
	return refuse(why, size, rc, "%s: driver does not start: %s (its own lines above say more)",
		      da->name, strerror(-rc));
}

static char *
devargs_make(const struct rte_devargs *da, const char *said)
{
	const char *args = da->args != NULL ? da->args : "";
	char *full;

	if (!is_pci(da) || strstr(args, "vdpa=") != NULL || strstr(args, "class=") != NULL)
		return strdup(said);
	if (asprintf(&full, "%s,%s", said, pci_argument(pci_vendor(da->name))) < 0)
		return NULL;
	return full;
}

static int
device_probe(struct vdpadev *d, const struct rte_devargs *da, const char *said, char *why,
	     size_t size)
{
	char *devargs = devargs_make(da, said);
	int rc;

	if (devargs == NULL)
		return refuse(why, size, -ENOMEM, "%s: out of memory", da->name);
	rc = rte_dev_probe(devargs);
	free(devargs);
	if (rc < 0)
		return probe_refused(da, rc, why, size);
	d->probed = true;
	d->device = rte_vdpa_find_device_by_name(da->name);
	return d->device == NULL ? probe_refused(da, -ENODEV, why, size) : 0;
}

static int
device_find(struct vdpadev *d, const struct rte_devargs *da, const char *said, char *why,
	    size_t size)
{
	snprintf(d->name, sizeof(d->name), "%s", da->name);
	d->bus = strdup(rte_bus_name(da->bus));
	if (d->bus == NULL)
		return refuse(why, size, -ENOMEM, "%s: out of memory", da->name);
	d->device = rte_vdpa_find_device_by_name(da->name);
	if (d->device != NULL)
		return arguments_check(d->device, da, why, size);
	return device_probe(d, da, said, why, size);
}

static int
device_look(struct vdpadev *d, const char *said, char *why, size_t size)
{
	struct rte_devargs da;
	int rc = rte_devargs_parse(&da, said);

	if (rc < 0 || da.bus == NULL)
		return refuse(why, size, -ENODEV, "%s: DPDK knows no driver for this name (expected a "
			      "PCI address or a driver and a number as in vdpa_virtio0; -d loads one)",
			      said);
	rc = device_find(d, &da, said, why, size);
	rte_devargs_reset(&da);
	return rc;
}

/* Taking */

static int
device_take(struct vdpadev *d, char *why, size_t size)
{
	const struct vdpadev *other = vdpadev_vid_owner(d->device);

	if (other != NULL)
		return refuse(why, size, -EBUSY, "%s: port %u has it", d->name, other->port);
	if (vdpadev_vid_bind(d) < 0)
		return refuse(why, size, -EBUSY, "%s: too many devices are in use", d->name);
	return 0;
}

static int
device_check(struct vdpadev *d, const struct vdpadev_opts *opts, char *why, size_t size)
{
	struct vdpadev_info info;

	if (d->device->type != RTE_VHOST_VDPA_DEVICE_TYPE_NET)
		return refuse(why, size, -ENOTSUP, "%s: is no network device", d->name);
	vdpadev_info(&d->vdev, &info);
	if (opts->n_pairs_max > info.n_pairs)
		return refuse(why, size, -ENOTSUP, "%s: has %u queue pairs, the port has %u", d->name,
			      info.n_pairs, opts->n_pairs_max);
	if (info.mtu != 0 && opts->mtu > info.mtu)
		return refuse(why, size, -ENOTSUP, "%s: has an MTU of %u, the port has %u", d->name,
			      info.mtu, opts->mtu);
	d->vdev.features = info.features & ~(1ULL << VHOST_F_LOG_ALL);
	d->vdev.n_pairs_max = opts->n_pairs_max > 0 ? opts->n_pairs_max : info.n_pairs;
	d->vdev.can_log = info.can_log;
	return 0;
}

static void
on_event(const char *name, enum rte_dev_event_type type, void *arg)
{
	if (type == RTE_DEV_EVENT_REMOVE)
		vdpadev_fail(arg, "removed");
}

static int
device_init(struct vdpadev *d, const struct vdpadev_opts *opts, char *why, size_t size)
{
	int rc = device_look(d, opts->device, why, size);

	if (rc == 0)
		rc = device_take(d, why, size);
	if (rc == 0)
		rc = device_check(d, opts, why, size);
	if (rc < 0)
		return rc;
	d->attentive = vdpadev_tells(d->device, "mode_shadow");
	vdpadev_counts_begin(d);
	rc = rte_dev_event_callback_register(d->name, on_event, d);
	if (rc < 0)
		return refuse(why, size, rc, "%s: %s", d->name, strerror(-rc));
	d->listening = true;
	return 0;
}

int
vdpadev_create(const struct vdpadev_opts *opts, char *why, size_t size, struct vdev **out)
{
	struct vdpadev *d = calloc(1, sizeof(*d));
	int rc;

	if (d == NULL)
		return refuse(why, size, -ENOMEM, "%s: out of memory", opts->device);
	pthread_mutex_init(&d->lock, NULL);
	d->vid = -1;
	d->port = opts->port;
	d->mtu = opts->mtu;
	d->cross = opts->cross;
	d->vdev = (struct vdev){
		.ops = &vdpadev_ops, .provider = "vdpadev", .any_position = true,
	};
	rc = device_init(d, opts, why, size);
	if (rc < 0) {
		vdpadev_destroy(d);
		return rc;
	}
	LOG(INFO, "%s: %u queue pairs, %s rings, %s", d->name, d->vdev.n_pairs_max,
	    (d->vdev.features >> VIRTIO_F_RING_PACKED & 1) != 0 ? "split and packed" : "split",
	    d->vdev.can_log ? "logs" : "does not log");
	*out = &d->vdev;
	return 0;
}

void
vdpadev_destroy(struct vdpadev *d)
{
	/* -EAGAIN: an event is being told just now. */
	while (d->listening && rte_dev_event_callback_unregister(d->name, on_event, d) == -EAGAIN)
		usleep(100);
	if (d->used && d->device->ops->dev_cleanup != NULL)
		d->device->ops->dev_cleanup(d->vid);
	vdpadev_vid_unbind(d);
	if (d->probed && rte_eal_hotplug_remove(d->bus, d->name) < 0)
		LOG(WARNING, "%s: driver does not let go of the device", d->name);
	pthread_mutex_destroy(&d->lock);
	free(d->bus);
	free(d);
}
