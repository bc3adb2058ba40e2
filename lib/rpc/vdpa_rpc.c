/* SPDX-License-Identifier: BSD-3-Clause */
/* Devices that can move rings: what they can do, and what is to be done to get them. */
#include "rpc_param.h"
#include "rpc_switch.h"
#include "vdpa_pci.h"

#include <errno.h>
#include <string.h>

#define PCI_MAX 64

static const char *
migration_text(const struct vdpadev_info *d)
{
	if (!d->can_log)
		return "the rings go to software when it begins, and come back when it is cancelled";
	if (d->positions)
		return "in hardware: the device logs what it writes, and tells where it stands";
	return "in hardware: the driver moves frames through rings of its own, and logs what comes";
}

static json_t *
mac_json(const struct vdpadev_info *d)
{
	char mac[RTE_ETHER_ADDR_FMT_SIZE];
	struct rte_ether_addr addr;

	if (!d->has_mac)
		return json_null();
	memcpy(&addr, d->mac, sizeof(addr));
	rte_ether_format_addr(mac, sizeof(mac), &addr);
	return json_string(mac);
}

static const char *
device_state(const struct vdpadev_info *d)
{
	if (d->failed != NULL)
		return "failed";
	return d->port != VDPADEV_PORT_NONE ? "used" : "free";
}

static json_t *
device_json(const struct rpc_switch *sw, const struct vdpadev_info *d)
{
	const struct port *p = port_by_number(sw->ports, d->port);
	json_t *o = json_pack("{s:s, s:s, s:s, s:o, s:s}", "name", d->name, "driver", d->driver,
		"state", device_state(d), "port", p == NULL ? json_null() : json_string(port_name(p)),
		"reason", d->failed == NULL ? "" : d->failed);

	json_object_update_new(o, json_pack("{s:i, s:b, s:b, s:b, s:b, s:o, s:o, s:o, s:s}",
		"queues", d->n_pairs, "logging", d->can_log, "positions", d->positions,
		"packed", d->packed, "notify_mapping", d->notify_mapped,
		"mtu", d->config_known && d->mtu != 0 ? json_integer(d->mtu) : json_null(),
		"mac", mac_json(d), "link", d->config_known ? json_boolean(d->link_up) : json_null(),
		"migration", migration_text(d)));
	json_object_set_new(o, "commands", json_array());
	return o;
}

/* A function that no driver of ours has. */
static json_t *
function_json(const struct vdpa_pci *d)
{
	json_t *commands = json_array();
	char text[320];

	for (uint32_t step = 0; vdpa_pci_command(d, &step, text, sizeof(text));)
		json_array_append_new(commands, json_string(text));
	vdpa_pci_reason(d, text, sizeof(text));
	if (text[0] == '\0')
		snprintf(text, sizeof(text), "no driver has it yet: start ferryd with -d %.40s, and name "
			 "\"%.15s,%.15s\" in a port", d->plugin, d->name, d->argument);
	return json_pack("{s:s, s:s, s:s, s:n, s:s, s:s, s:s, s:o, s:o, s:o}", "name", d->name,
		"driver", d->plugin, "state", vdpa_pci_ready(d) ? "not loaded" : "not bound", "port",
		"reason", text, "what", d->what, "kernel_driver", d->bound,
		"iommu_group", d->group[0] == '\0' ? json_null() : json_string(d->group),
		"interface", d->interface[0] == '\0' ? json_null() : json_string(d->interface),
		"commands", commands);
}

static bool
listed(const json_t *list, const char *name)
{
	const json_t *o;
	size_t i;

	json_array_foreach(list, i, o)
		if (strcmp(json_string_value(json_object_get(o, "name")), name) == 0)
			return true;
	return false;
}

static json_t *
devices_json(const struct rpc_switch *sw)
{
	struct vdpa_pci functions[PCI_MAX];
	uint32_t n = vdpa_pci_list("/sys", functions, PCI_MAX), iter = 0;
	json_t *list = json_array();
	struct vdpadev_info d;

	while (vdpadev_next(&iter, &d))
		json_array_append_new(list, device_json(sw, &d));
	for (uint32_t i = 0; i < n; i++)
		if (!listed(list, functions[i].name))
			json_array_append_new(list, function_json(&functions[i]));
	return list;
}

static int
vdpa_show(void *arg, json_t *params, json_t **result, struct rpc_error *err)
{
	const char *name = rpc_text_of(params, "name");
	json_t *list = devices_json(arg), *o;
	size_t i;

	if (name == NULL) {
		*result = list;
		return 0;
	}
	json_array_foreach(list, i, o)
		if (strcmp(json_string_value(json_object_get(o, "name")), name) == 0)
			*result = json_incref(o);
	json_decref(list);
	return *result == NULL ? rpc_fail(err, -EINVAL, "name", "no device \"%.60s\"", name) : 0;
}

static const struct rpc_param show_params[] = {
	{ "name", RPC_STRING, .completes = "vdpa", .help = "only this device" },
	{ 0 },
};

const struct rpc_method vdpa_rpc[] = {
	{ "vdpa.show", vdpa_show, show_params, "name",
	  "devices that can move rings, what they can do, and how to get those that are not ours" },
	{ 0 },
};
