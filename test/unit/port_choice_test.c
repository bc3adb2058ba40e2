/* SPDX-License-Identifier: BSD-3-Clause */
/* Who moves a port's rings: the table of reasons. */
#include "check.h"
#include "port_choice.h"

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#define BIT(n) (1ULL << (n))

#define MODERN (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_NET_F_MRG_RXBUF))
#define FRONT  (BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_MQ) | BIT(30) | BIT(26))

#define DEVICE .device = "vd0", .device_features = MODERN, .device_pairs = 4
#define GUEST  .features = MODERN | FRONT, .n_pairs = 2
#define ABLE   .can_log = true, .any_position = true

static const struct {
	const char *story;
	struct port_facts facts;
	bool hw;
	const char *why;
} rows[] = {
	{ "no device", { .want = PORT_AUTO, GUEST }, false, "the port has no device" },
	{ "no device, asked for", { .want = PORT_HW, GUEST }, false, "the port has no device" },
	{ "nothing is asked yet", { DEVICE }, true, "the device can do what is asked" },
	{ "a guest that it can serve", { DEVICE, GUEST, ABLE }, true,
	  "the device can do what is asked" },
	{ "asked for", { .want = PORT_HW, DEVICE, GUEST, ABLE }, true,
	  "the operator wants the device" },
	{ "asked against", { .want = PORT_SW, DEVICE, GUEST, ABLE }, false,
	  "the operator wants software" },
	{ "asked against one that failed", { .want = PORT_SW, DEVICE, .failed = "reset" }, false,
	  "the operator wants software" },
	{ "failed", { DEVICE, GUEST, ABLE, .failed = "removed" }, false, "vd0 failed: removed" },
	{ "failed, asked for", { .want = PORT_HW, DEVICE, GUEST, .failed = "removed" }, false,
	  "vd0 failed: removed" },
	{ "legacy", { DEVICE, .features = BIT(VIRTIO_NET_F_MRG_RXBUF), ABLE }, false,
	  "the guest's driver is legacy, without virtio 1" },
	{ "legacy, asked for the device",
	  { .want = PORT_HW, DEVICE, .features = BIT(VIRTIO_NET_F_MRG_RXBUF), ABLE }, false,
	  "the guest's driver is legacy, without virtio 1" },
	{ "a feature too many", { DEVICE, .features = MODERN | BIT(VIRTIO_F_RING_PACKED), ABLE },
	  false, "vd0 does not know the guest's features 0x400000000" },
	{ "pairs too many", { DEVICE, .features = MODERN, .n_pairs = 5 }, false,
	  "the guest uses 5 queue pairs and vd0 has 4" },
	{ "as many pairs", { DEVICE, .features = MODERN, .n_pairs = 4 }, true,
	  "the device can do what is asked" },
	{ "logged", { DEVICE, GUEST, .any_position = true, .logged = true }, false,
	  "writes are logged for a migration, which vd0 cannot" },
	{ "logged, asked for the device",
	  { .want = PORT_HW, DEVICE, GUEST, .any_position = true, .logged = true }, false,
	  "writes are logged for a migration, which vd0 cannot" },
	{ "logged by the device", { DEVICE, GUEST, ABLE, .logged = true }, true,
	  "the device can do what is asked" },
	{ "logged by the device, and the switch could park",
	  { DEVICE, GUEST, ABLE, .logged = true, .kept = true }, false,
	  "a migration: what comes for the guest while it moves is kept by the switch" },
	{ "the same, asked for the device",
	  { .want = PORT_HW, DEVICE, GUEST, ABLE, .logged = true, .kept = true }, true,
	  "the operator wants the device" },
	{ "not logged, and the switch could park", { DEVICE, GUEST, ABLE, .kept = true }, true,
	  "the device can do what is asked" },
	{ "half of a pair", { DEVICE, GUEST, ABLE, .half = true }, false,
	  "only one ring of a queue pair runs" },
	{ "logged, and it refused", { DEVICE, GUEST, ABLE, .logged = true, .refused = "no log" },
	  false, "vd0 did not take the rings: no log" },
	{ "no longer logged", { DEVICE, GUEST, .any_position = true }, true,
	  "the device can do what is asked" },
	{ "just come", { DEVICE, GUEST, ABLE, .begun = true, .arriving = true }, false,
	  "the guest has just come, and what waits for it goes first" },
	{ "begun", { DEVICE, GUEST, .begun = true }, false,
	  "vd0 starts rings at their beginning only" },
	{ "begun, any position", { DEVICE, GUEST, ABLE, .begun = true }, true,
	  "the device can do what is asked" },
	{ "refused", { DEVICE, GUEST, ABLE, .refused = "Operation not supported" }, false,
	  "vd0 did not take the rings: Operation not supported" },
};

int
main(void)
{
	char why[160];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool hw = port_choose(&rows[i].facts, why, sizeof(why));

		CHECK_STR(rows[i].story, hw ? "hw" : "sw", rows[i].hw ? "hw" : "sw");
		CHECK_STR(rows[i].story, why, rows[i].why);
	}
	CHECK(port_features_moved(FRONT) == 0);
	CHECK(port_features_moved(MODERN) == MODERN);
	return check_done("port_choice");
}
