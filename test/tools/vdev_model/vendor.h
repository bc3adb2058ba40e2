/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VDEV_MODEL_VENDOR_H
#define VDEV_MODEL_VENDOR_H

/**
 * @file
 * The vendor capability of the model: ring positions and a dirty log.
 *
 * It is found as a virtio capability of cfg_type VENDOR_CFG_TYPE in a device of this subsystem; its
 * bar, offset and length say where the registers below lie.  All are accessed in their own width,
 * those of 64 bits as two halves.
 *
 * Life     registers are zero after a reset.
 * Threads  none.
 * Units    positions: the index of a split ring; slot | wrap counter << 15 of a packed one.
 *          The log: one bit per 4096 bytes of IOVA, bit 0 of byte 0 is address 0.
 * Source   the model's own; vp_vdpa's vendor drivers have the like.
 */

#define VENDOR_CFG_TYPE  9
#define VENDOR_SUBSYSTEM_VENDOR 0x1af4
#define VENDOR_SUBSYSTEM 0xfe11

#define VENDOR_ID        0x31564546U

#define VENDOR_POSITIONS 1U     /* bits: positions can be set and read */
#define VENDOR_LOGGING   2U     /* bits: writes can be logged */

enum vendor_register {
	VENDOR_R_ID = 0x00,             /* u32 ro */
	VENDOR_R_BITS = 0x04,           /* u32 ro */
	VENDOR_R_QUEUE = 0x08,          /* u16: which ring avail and used are about */
	VENDOR_R_AVAIL = 0x0c,          /* u32: written before queue_enable, read when frozen */
	VENDOR_R_USED = 0x10,           /* u32: the same */
	VENDOR_R_FREEZE = 0x14,         /* u32: write 1; reads 1 when all rings stand */
	VENDOR_R_LOG_BASE = 0x18,       /* u64: IOVA */
	VENDOR_R_LOG_SIZE = 0x20,       /* u64: bytes */
	VENDOR_R_LOG_ENABLE = 0x28,     /* u32: reads as written once that holds */
	VENDOR_SIZE = 0x30,
};

#endif
