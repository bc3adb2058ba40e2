/* SPDX-License-Identifier: BSD-3-Clause */
/* What is told of PCI functions, from a sysfs of our own. */
#include "check.h"
#include "vdpa_pci.h"

#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[] = "/tmp/ferry-sysfs-XXXXXX";

static const struct {
	const char *name, *vendor, *device, *subvendor, *driver, *group, *interface;
	const char *plugin;   /* NULL: not listed */
	bool ready;
	const char *reason;
	const char *commands; /* one line each */
} rows[] = {
	{ "0000:00:03.0", "0x1af4", "0x1041", "0x1af4", "virtio-pci", "7", "virtio0/net/eth0",
	  "librte_vdpa_virtio.so", false,
	  "it is eth0 of the kernel (virtio-pci): its addresses and routes go when it is taken",
	  "modprobe vfio-pci\n"
	  "echo vfio-pci > /sys/bus/pci/devices/0000:00:03.0/driver_override\n"
	  "echo 0000:00:03.0 > /sys/bus/pci/devices/0000:00:03.0/driver/unbind\n"
	  "echo 0000:00:03.0 > /sys/bus/pci/drivers_probe\n" },
	{ "0000:00:04.0", "0x1af4", "0x1000", "0x1af4", "virtio-pci", NULL, "virtio1",
	  "librte_vdpa_virtio.so", false,
	  "there is no IOMMU for it: enable it in the firmware, and boot the kernel with "
	  "intel_iommu=on or amd_iommu=on",
	  "modprobe vfio-pci\n"
	  "echo vfio-pci > /sys/bus/pci/devices/0000:00:04.0/driver_override\n"
	  "echo 0000:00:04.0 > /sys/bus/pci/devices/0000:00:04.0/driver/unbind\n"
	  "echo 0000:00:04.0 > /sys/bus/pci/drivers_probe\n" },
	{ "0000:00:05.0", "0x1af4", "0x1041", "0x1af4", NULL, "8", NULL, "librte_vdpa_virtio.so", false,
	  "no driver of the kernel has it",
	  "modprobe vfio-pci\n"
	  "echo vfio-pci > /sys/bus/pci/devices/0000:00:05.0/driver_override\n"
	  "echo 0000:00:05.0 > /sys/bus/pci/drivers_probe\n" },
	{ "0000:00:06.0", "0x1af4", "0x1041", "0x1af4", "vfio-pci", "9", NULL, "librte_vdpa_virtio.so",
	  true, "", "" },
	{ "0000:00:07.0", "0x1af4", "0x1041", "0x8086", "vfio-pci", "9", NULL, "librte_vdpa_ifc.so",
	  true, "", "" },
	{ "0000:00:08.0", "0x1af4", "0x1042", "0x1af4", "virtio-pci", "9", NULL, NULL, false, "", "" },
	{ "0000:03:00.2", "0x15b3", "0x101e", "0x15b3", "mlx5_core", "20", "net/eth1",
	  "librte_vdpa_mlx5.so", true, "", "" },
	{ "0000:03:00.3", "0x15b3", "0x101e", "0x15b3", NULL, "20", NULL, "librte_vdpa_mlx5.so", false,
	  "no driver of the kernel has it: load mlx5_core", "" },
};

static void __attribute__((format(printf, 1, 2)))
shell(const char *fmt, ...)
{
	char text[3 * PATH_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	CHECK(system(text) == 0);
}

static void
function_make(size_t i)
{
	char dir[PATH_MAX];

	snprintf(dir, sizeof(dir), "%s/bus/pci/devices/%s", root, rows[i].name);
	shell("mkdir -p %s && echo %s > %s/vendor && echo %s > %s/device && "
	      "echo %s > %s/subsystem_vendor", dir, rows[i].vendor, dir, rows[i].device, dir,
	      rows[i].subvendor, dir);
	if (rows[i].driver != NULL)
		shell("ln -s ../../drivers/%s %s/driver", rows[i].driver, dir);
	if (rows[i].group != NULL)
		shell("ln -s ../../../kernel/iommu_groups/%s %s/iommu_group", rows[i].group, dir);
	if (rows[i].interface != NULL)
		shell("mkdir -p %s/%s", dir, rows[i].interface);
}

static void
function_check(size_t i, const struct vdpa_pci *d)
{
	char text[256], commands[1024] = "";

	CHECK_STR(rows[i].name, d->name, rows[i].name);
	CHECK_STR(rows[i].name, d->plugin, rows[i].plugin);
	CHECK(vdpa_pci_ready(d) == rows[i].ready);
	vdpa_pci_reason(d, text, sizeof(text));
	CHECK_STR(rows[i].name, text, rows[i].reason);
	for (uint32_t step = 0; vdpa_pci_command(d, &step, text, sizeof(text));) {
		strcat(commands, text);
		strcat(commands, "\n");
	}
	CHECK_STR(rows[i].name, commands, rows[i].commands);
}

int
main(void)
{
	struct vdpa_pci list[16];
	uint32_t n, at = 0;

	CHECK(mkdtemp(root) != NULL);
	CHECK(vdpa_pci_list(root, list, 16) == 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		function_make(i);
	n = vdpa_pci_list(root, list, 16);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].plugin != NULL && at < n)
			function_check(i, &list[at++]);
	CHECK(at == 7 && n == 7);
	CHECK(vdpa_pci_list(root, list, 2) == 2);
	shell("rm -r %s", root);
	return check_done("vdpa_pci");
}
