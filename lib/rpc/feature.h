/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_FEATURE_H
#define FERRY_FEATURE_H

/**
 * @file
 * Names of feature bits, as the specifications spell them without their prefix.
 *
 * Threads  any
 * Source   virtio 1.2, 5.1.3 and 6; vhost-user specification, "Protocol features"
 */

#include <jansson.h>
#include <stdint.h>

/** Virtio features as an array of names ("csum", "mrg_rxbuf", "version_1"). */
json_t *feature_json(uint64_t features);

/** vhost-user protocol features, likewise ("mq", "rarp", "reply_ack"). */
json_t *feature_protocol_json(uint64_t features);

#endif
