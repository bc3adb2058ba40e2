/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VMM_H
#define VMM_H

/**
 * @file
 * The front-end harness: a guest without a hypervisor, for tests of a vhost-user backend.
 *
 * It owns the guest's memory, speaks vhost-user as QEMU 7.2 does, drives virtqueues as a guest's
 * driver does, and keeps ledgers of both.  It is written from the specifications and shares no code
 * with what it tests.
 *
 *     vmm_guest   one virtual guest: all of the below in one object
 *     vmm_front   the vhost-user connection
 *     vmm_ring    a virtqueue's driver side; usable without a connection
 *     vmm_frame   frames that account for themselves
 *     vmm_mem     memory regions and who may write them
 *     vmm_log     the dirty log of a migration, and who harvests it
 *     vmm_fault   what an oracle found first
 *     vmm_rng     choices that a seed repeats
 *
 * Life     see each.
 * Threads  one at a time per object.
 * Units    see each.
 * Source   virtio 1.2, the vhost-user specification.
 */

#include "vmm_fault.h"
#include "vmm_frame.h"
#include "vmm_front.h"
#include "vmm_guest.h"
#include "vmm_log.h"
#include "vmm_mem.h"
#include "vmm_ring.h"
#include "vmm_rng.h"

#endif
