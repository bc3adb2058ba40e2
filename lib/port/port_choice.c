/* SPDX-License-Identifier: BSD-3-Clause */
#include "port_choice.h"

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define BIT(n) (1ULL << (n))

#define LOG_ALL           26 /* VHOST_F_LOG_ALL */
#define PROTOCOL_FEATURES 30 /* VHOST_USER_F_PROTOCOL_FEATURES */

/* Between guest and front-end, or with no meaning for who moves rings. */
#define FEATURES_OTHERS \
	(BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX) | BIT(VIRTIO_NET_F_GUEST_ANNOUNCE) | \
	 BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_MTU) | BIT(VIRTIO_F_ANY_LAYOUT) | \
	 BIT(LOG_ALL) | BIT(PROTOCOL_FEATURES))

const char *const port_want_names[] = {
	[PORT_AUTO] = "auto",
	[PORT_HW] = "hw",
	[PORT_SW] = "sw",
};

uint64_t
port_features_moved(uint64_t features)
{
	return features & ~FEATURES_OTHERS;
}

static bool __attribute__((format(printf, 3, 4)))
software(char *why, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, size, fmt, ap);
	va_end(ap);
	return false;
}

/* Whether the device can serve such a guest at all. */
static bool
guest_fits(const struct port_facts *f, char *why, size_t size)
{
	uint64_t missing = port_features_moved(f->features) & ~f->device_features;

	if ((f->features & BIT(VIRTIO_F_VERSION_1)) == 0)
		return software(why, size, "the guest's driver is legacy, without virtio 1");
	if (missing != 0)
		return software(why, size, "%s does not know the guest's features 0x%" PRIx64,
				f->device, missing);
	if (f->n_pairs > f->device_pairs)
		return software(why, size, "the guest uses %u queue pairs and %s has %u", f->n_pairs,
				f->device, f->device_pairs);
	return true;
}

bool
port_choose(const struct port_facts *f, char *why, size_t size)
{
	if (f->device == NULL)
		return software(why, size, "the port has no device");
	if (f->want == PORT_SW)
		return software(why, size, "the operator wants software");
	if (f->failed != NULL)
		return software(why, size, "%s failed: %s", f->device, f->failed);
	if (f->features != 0 && !guest_fits(f, why, size))
		return false;
	if (f->logged && !f->can_log)
		return software(why, size, "writes are logged for a migration, which %s cannot",
				f->device);
	if (f->logged && f->kept && f->want == PORT_AUTO)
		return software(why, size, "a migration: what comes for the guest while it moves is "
				"kept by the switch");
	if (f->half)
		return software(why, size, "only one ring of a queue pair runs");
	if (f->arriving)
		return software(why, size, "the guest has just come, and what waits for it goes first");
	if (f->begun && !f->any_position)
		return software(why, size, "%s starts rings at their beginning only", f->device);
	if (f->refused != NULL)
		return software(why, size, "%s did not take the rings: %s", f->device, f->refused);
	snprintf(why, size, f->want == PORT_HW ? "the operator wants the device" :
		 "the device can do what is asked");
	return true;
}
