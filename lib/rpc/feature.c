/* SPDX-License-Identifier: BSD-3-Clause */
#include "feature.h"

#include <stddef.h>
#include <stdio.h>

static const char *const names[64] = {
	[0] = "csum",
	[1] = "guest_csum",
	[2] = "ctrl_guest_offloads",
	[3] = "mtu",
	[5] = "mac",
	[6] = "gso",
	[7] = "guest_tso4",
	[8] = "guest_tso6",
	[9] = "guest_ecn",
	[10] = "guest_ufo",
	[11] = "host_tso4",
	[12] = "host_tso6",
	[13] = "host_ecn",
	[14] = "host_ufo",
	[15] = "mrg_rxbuf",
	[16] = "status",
	[17] = "ctrl_vq",
	[18] = "ctrl_rx",
	[19] = "ctrl_vlan",
	[20] = "ctrl_rx_extra",
	[21] = "guest_announce",
	[22] = "mq",
	[23] = "ctrl_mac_addr",
	[24] = "notify_on_empty",
	[26] = "log_all",
	[27] = "any_layout",
	[28] = "indirect_desc",
	[29] = "event_idx",
	[30] = "protocol_features",
	[32] = "version_1",
	[33] = "access_platform",
	[34] = "ring_packed",
	[35] = "in_order",
	[36] = "order_platform",
	[37] = "sr_iov",
	[38] = "notification_data",
	[39] = "notif_config_data",
	[40] = "ring_reset",
	[53] = "notf_coal",
	[54] = "guest_uso4",
	[55] = "guest_uso6",
	[56] = "host_uso",
	[57] = "hash_report",
	[59] = "guest_hdrlen",
	[60] = "rss",
	[61] = "rsc_ext",
	[62] = "standby",
	[63] = "speed_duplex",
};

static const char *const protocol_names[64] = {
	[0] = "mq",
	[1] = "log_shmfd",
	[2] = "rarp",
	[3] = "reply_ack",
	[4] = "mtu",
	[5] = "backend_req",
	[6] = "cross_endian",
	[7] = "crypto_session",
	[8] = "pagefault",
	[9] = "config",
	[10] = "backend_send_fd",
	[11] = "host_notifier",
	[12] = "inflight_shmfd",
	[13] = "reset_device",
	[14] = "inband_notifications",
	[15] = "configure_mem_slots",
	[16] = "status",
	[17] = "xen_mmap",
	[18] = "shared_object",
	[19] = "device_state",
};

static json_t *
bits_json(uint64_t bits, const char *const *table)
{
	json_t *list = json_array();
	char plain[16];

	for (unsigned int i = 0; i < 64; i++) {
		if ((bits >> i & 1) == 0)
			continue;
		snprintf(plain, sizeof(plain), "bit%u", i);
		json_array_append_new(list, json_string(table[i] == NULL ? plain : table[i]));
	}
	return list;
}

json_t *
feature_json(uint64_t features)
{
	return bits_json(features, names);
}

json_t *
feature_protocol_json(uint64_t features)
{
	return bits_json(features, protocol_names);
}
