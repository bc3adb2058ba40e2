/* SPDX-License-Identifier: BSD-3-Clause */
#include "vdpa_pci.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ANY UINT16_MAX

static const struct kind {
	uint16_t vendor, device;
	uint16_t subvendor;      /* ANY: whatever it is */
	const char *what;
	const char *plugin;
	const char *argument;
	bool bifurcated;
} kinds[] = {
	{ 0x1af4, 0x1041, 0x8086, "Intel IFC virtio-net", "librte_vdpa_ifc.so", "vdpa=1", false },
	{ 0x1af4, 0x1000, 0x8086, "Intel IFC virtio-net", "librte_vdpa_ifc.so", "vdpa=1", false },
	{ 0x1af4, 0x1041, ANY, "virtio-net 1.x", "librte_vdpa_virtio.so", "vdpa=1", false },
	{ 0x1af4, 0x1000, ANY, "virtio-net transitional", "librte_vdpa_virtio.so", "vdpa=1", false },
	{ 0x15b3, 0x101e, ANY, "ConnectX virtual function", "librte_vdpa_mlx5.so", "class=vdpa", true },
	{ 0x15b3, 0x101d, ANY, "ConnectX-6 Dx", "librte_vdpa_mlx5.so", "class=vdpa", true },
	{ 0x15b3, 0x101f, ANY, "ConnectX-6 Lx", "librte_vdpa_mlx5.so", "class=vdpa", true },
	{ 0x15b3, 0x1021, ANY, "ConnectX-7", "librte_vdpa_mlx5.so", "class=vdpa", true },
	{ 0x15b3, 0xa2d6, ANY, "BlueField-2", "librte_vdpa_mlx5.so", "class=vdpa", true },
	{ 0x15b3, 0xa2dc, ANY, "BlueField-3", "librte_vdpa_mlx5.so", "class=vdpa", true },
	{ 0x10ee, 0x1100, ANY, "Xilinx EF100 virtual function", "librte_vdpa_sfc.so", "class=vdpa",
	  false },
};

static const struct kind *
kind_of(uint16_t vendor, uint16_t device, uint16_t subvendor)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].vendor == vendor && kinds[i].device == device &&
		    (kinds[i].subvendor == ANY || kinds[i].subvendor == subvendor))
			return &kinds[i];
	return NULL;
}

static uint16_t
id_read(const char *folder, const char *file)
{
	char path[PATH_MAX];
	unsigned int id = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	f = fopen(path, "re");
	if (f == NULL)
		return 0;
	if (fscanf(f, "%x", &id) != 1)
		id = 0;
	fclose(f);
	return (uint16_t)id;
}

/* Names of the kernel that are longer than there is room for are cut. */
static void
name_copy(char *out, size_t size, const char *name)
{
	size_t n = strnlen(name, size - 1);

	memcpy(out, name, n);
	out[n] = '\0';
}

/* The last name that a link points to; "": there is none. */
static void
link_read(const char *folder, const char *link, char *out, size_t size)
{
	char path[PATH_MAX], target[PATH_MAX];
	ssize_t n;

	snprintf(path, sizeof(path), "%s/%s", folder, link);
	n = readlink(path, target, sizeof(target) - 1);
	target[n > 0 ? n : 0] = '\0';
	name_copy(out, size, strrchr(target, '/') == NULL ? target : strrchr(target, '/') + 1);
}

/* The first entry of a folder whose name begins so; "": none. */
static void
entry_find(const char *folder, const char *prefix, char *out, size_t size)
{
	DIR *d = opendir(folder);
	struct dirent *e;

	out[0] = '\0';
	while (d != NULL && out[0] == '\0' && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.' && strncmp(e->d_name, prefix, strlen(prefix)) == 0)
			name_copy(out, size, e->d_name);
	if (d != NULL)
		closedir(d);
}

/* A virtio device stands between a function and its interface. */
static void
interface_find(const char *folder, char *out, size_t size)
{
	char path[PATH_MAX + 64], virtio[32];

	entry_find(folder, "virtio", virtio, sizeof(virtio));
	snprintf(path, sizeof(path), "%s/%s%snet", folder, virtio, virtio[0] == '\0' ? "" : "/");
	entry_find(path, "", out, size);
}

static bool
fill(const char *sysfs, const char *name, struct vdpa_pci *d)
{
	char folder[PATH_MAX];
	const struct kind *k;

	snprintf(folder, sizeof(folder), "%s/bus/pci/devices/%s", sysfs, name);
	memset(d, 0, sizeof(*d));
	d->vendor = id_read(folder, "vendor");
	d->device = id_read(folder, "device");
	k = kind_of(d->vendor, d->device, id_read(folder, "subsystem_vendor"));
	if (k == NULL)
		return false;
	snprintf(d->name, sizeof(d->name), "%.15s", name);
	d->what = k->what;
	d->plugin = k->plugin;
	d->argument = k->argument;
	d->bifurcated = k->bifurcated;
	link_read(folder, "driver", d->bound, sizeof(d->bound));
	link_read(folder, "iommu_group", d->group, sizeof(d->group));
	interface_find(folder, d->interface, sizeof(d->interface));
	return true;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct vdpa_pci *)a)->name, ((const struct vdpa_pci *)b)->name);
}

uint32_t
vdpa_pci_list(const char *sysfs, struct vdpa_pci *out, uint32_t max)
{
	char path[PATH_MAX];
	struct dirent *e;
	uint32_t n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/bus/pci/devices", sysfs);
	d = opendir(path);
	while (d != NULL && n < max && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.' && fill(sysfs, e->d_name, &out[n]))
			n++;
	if (d != NULL)
		closedir(d);
	qsort(out, n, sizeof(*out), by_name);
	return n;
}

static bool
on_vfio(const struct vdpa_pci *d)
{
	return strcmp(d->bound, "vfio-pci") == 0;
}

bool
vdpa_pci_ready(const struct vdpa_pci *d)
{
	return d->bifurcated ? d->bound[0] != '\0' : on_vfio(d) && d->group[0] != '\0';
}

void
vdpa_pci_reason(const struct vdpa_pci *d, char *out, size_t size)
{
	out[0] = '\0';
	if (vdpa_pci_ready(d))
		return;
	if (d->bifurcated)
		snprintf(out, size, "no driver of the kernel has it: load mlx5_core");
	else if (d->group[0] == '\0')
		snprintf(out, size, "there is no IOMMU for it: enable it in the firmware, and boot the "
			 "kernel with intel_iommu=on or amd_iommu=on");
	else if (d->interface[0] != '\0')
		snprintf(out, size, "it is %s of the kernel (%s): its addresses and routes go when it "
			 "is taken", d->interface, d->bound);
	else if (d->bound[0] != '\0')
		snprintf(out, size, "it is bound to %s", d->bound);
	else
		snprintf(out, size, "no driver of the kernel has it");
}

bool
vdpa_pci_command(const struct vdpa_pci *d, uint32_t *step, char *out, size_t size)
{
	if (d->bifurcated || on_vfio(d))
		return false;
	/* Where nothing is bound there is nothing to take it from. */
	*step += *step == 2 && d->bound[0] == '\0';
	switch ((*step)++) {
	case 0:
		snprintf(out, size, "modprobe vfio-pci");
		return true;
	case 1:
		snprintf(out, size, "echo vfio-pci > /sys/bus/pci/devices/%s/driver_override", d->name);
		return true;
	case 2:
		snprintf(out, size, "echo %s > /sys/bus/pci/devices/%s/driver/unbind", d->name, d->name);
		return true;
	case 3:
		snprintf(out, size, "echo %s > /sys/bus/pci/drivers_probe", d->name);
		return true;
	default:
		return false;
	}
}
