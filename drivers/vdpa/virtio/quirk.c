/* SPDX-License-Identifier: BSD-3-Clause */
#include "quirk.h"

#include <errno.h>
#include <stddef.h>
#include <unistd.h>

#define WAIT_MS 200
#define WAIT_US 50

/* Waits until a register reads as it was written. */
static int
wait_reads(struct pci *p, uint32_t off, uint32_t value)
{
	for (int us = 0; us < WAIT_MS * 1000; us += WAIT_US) {
		if (pci_read(p, &p->vendor, off, 4) == value)
			return pci_error(p);
		if (pci_error(p) != 0)
			return pci_error(p);
		usleep(WAIT_US);
	}
	return -ETIMEDOUT;
}

/* ferry's device model: registers in a vendor structure of their own. */

#define FE_VENDOR    0x1af4
#define FE_SUBSYSTEM 0xfe11
#define FE_ID        0x31564546u
#define FE_BYTES     0x2c

enum fe_register {
	FE_R_ID = 0x00,
	FE_R_BITS = 0x04,
	FE_R_QUEUE = 0x08,
	FE_R_AVAIL = 0x0c,
	FE_R_USED = 0x10,
	FE_R_FREEZE = 0x14,
	FE_R_LOG_BASE = 0x18,
	FE_R_LOG_SIZE = 0x20,
	FE_R_LOG_ENABLE = 0x28,
};

static bool
fe_match(const struct pci *p)
{
	return p->vendor.found && p->vendor.len >= FE_BYTES &&
	       p->subsystem_vendor == FE_VENDOR && p->subsystem == FE_SUBSYSTEM;
}

static uint32_t
fe_bits(struct pci *p)
{
	if (pci_read(p, &p->vendor, FE_R_ID, 4) != FE_ID)
		return 0;
	return pci_read(p, &p->vendor, FE_R_BITS, 4) & (QUIRK_POSITIONS | QUIRK_LOGGING);
}

static void
fe_pos_set(struct pci *p, uint16_t queue, uint16_t avail, uint16_t used)
{
	pci_write(p, &p->vendor, FE_R_QUEUE, 2, queue);
	pci_write(p, &p->vendor, FE_R_AVAIL, 4, avail);
	pci_write(p, &p->vendor, FE_R_USED, 4, used);
}

static int
fe_freeze(struct pci *p)
{
	pci_write(p, &p->vendor, FE_R_FREEZE, 4, 1);
	return wait_reads(p, FE_R_FREEZE, 1);
}

static void
fe_pos_get(struct pci *p, uint16_t queue, uint16_t *avail, uint16_t *used)
{
	pci_write(p, &p->vendor, FE_R_QUEUE, 2, queue);
	*avail = (uint16_t)pci_read(p, &p->vendor, FE_R_AVAIL, 4);
	*used = (uint16_t)pci_read(p, &p->vendor, FE_R_USED, 4);
}

static int
fe_log_set(struct pci *p, uint64_t iova, uint64_t size)
{
	uint32_t on = size > 0;

	if (on) {
		pci_write64(p, &p->vendor, FE_R_LOG_BASE, iova);
		pci_write64(p, &p->vendor, FE_R_LOG_SIZE, size);
	}
	pci_write(p, &p->vendor, FE_R_LOG_ENABLE, 4, on);
	return wait_reads(p, FE_R_LOG_ENABLE, on);
}

static const struct quirk quirks[] = {
	{ "ferry-model", fe_match, fe_bits, fe_pos_set, fe_freeze, fe_pos_get, fe_log_set },
};

const struct quirk *
quirk_find(struct pci *p, uint32_t *bits)
{
	for (size_t i = 0; i < sizeof(quirks) / sizeof(quirks[0]); i++) {
		if (!quirks[i].match(p))
			continue;
		*bits = quirks[i].bits(p);
		return *bits != 0 && pci_error(p) == 0 ? &quirks[i] : NULL;
	}
	*bits = 0;
	return NULL;
}
