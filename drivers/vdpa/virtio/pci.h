/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VDPA_VIRTIO_PCI_H
#define VDPA_VIRTIO_PCI_H

/**
 * @file
 * A virtio 1.x network device behind its PCI registers: what it can do, its queues, its reset.
 *
 * The first register access that fails is kept and told by pci_error(): sequences are written
 * straight down and look once at their end.  A device that answers each access a little too
 * slowly is caught by the budget of the sequence.
 *
 * Life     from a probe to the remove, on a bus of the same life
 * Threads  one at a time, but for pci_ring(), which may come from any
 * Units    bytes, queue sizes in descriptors
 * Source   virtio 1.2, 4.1.4 (PCI), 5.1.4 (network device configuration), 3.1.1 (initialization)
 */

#include <stdbool.h>
#include <stdint.h>

struct bus;

/** Longest time that a device may take to reset. */
#define PCI_RESET_MS 500

/** Longest time that one sequence of register accesses may take. */
#define PCI_BUDGET_MS 3000

/** A structure in a BAR. */
struct pci_cap {
	bool found;
	uint8_t bar;
	uint32_t off;
	uint32_t len;
};

struct pci {
	struct bus *bus;
	struct pci_cap common, notify, device, vendor;
	uint32_t notify_mult;
	uint16_t subsystem_vendor, subsystem;
	uint64_t features;      /**< what the device offers */
	uint16_t n_queues;
	uint32_t n_vectors;
	uint64_t deadline_ms;   /**< of the running sequence */
	int error;              /**< the first of the running sequence */
};

/** How a queue's doorbell is rung. */
struct pci_doorbell {
	uint16_t queue;
	uint8_t bar;
	uint32_t off;
	int fd;                 /**< eventfd that stands for it; -1 */
	uint16_t *reg;          /**< the register, mapped; NULL */
};

/** A queue as the device is told of it. */
struct pci_queue {
	uint16_t size;
	uint16_t vector;
	uint64_t desc, driver, device;
};

/** Read once at the start: virtio_net_config, host order. */
struct pci_net_config {
	uint8_t mac[6];
	bool link;
	uint16_t n_pairs_max;
	uint16_t mtu;           /**< 0: it does not say */
};

/* discovery */

/**
 * Finds the structures of a device, resets it and reads its features.
 *
 * @param why   out: one line for people, when it fails
 * @return      0; -ENOTSUP: no modern virtio network device; -ENODEV; -ETIMEDOUT
 */
int pci_open(struct pci *p, struct bus *bus, const char **why);

/* sequences */

/** Begins a sequence: no error yet, a whole budget of time. */
void pci_begin(struct pci *p);

/** The first error since pci_begin(): 0; -ENODEV: gone, or all ones; -ETIMEDOUT. */
int pci_error(const struct pci *p);

/** Reads a register of 1, 2 or 4 bytes at an offset in a structure; all ones when it fails. */
uint32_t pci_read(struct pci *p, const struct pci_cap *cap, uint32_t off, uint32_t len);

/** Writes one. */
void pci_write(struct pci *p, const struct pci_cap *cap, uint32_t off, uint32_t len,
		uint32_t value);

/** Writes a register of 64 bits as two halves. */
void pci_write64(struct pci *p, const struct pci_cap *cap, uint32_t off, uint64_t value);

/* device */

uint8_t pci_status(struct pci *p);
void pci_status_add(struct pci *p, uint8_t bits);

/**
 * Stops the device: no DMA and no interrupt after return.  One that does not confirm is reset as
 * a PCI function.
 *
 * @return  0; -ETIMEDOUT: it does not stop; -ENODEV
 */
int pci_reset(struct pci *p);

/**
 * Resets and agrees on features, up to FEATURES_OK.
 *
 * @return  0; -ENOTSUP: the device refuses them; -ETIMEDOUT; -ENODEV
 */
int pci_negotiate(struct pci *p, uint64_t features);

void pci_net_config(struct pci *p, struct pci_net_config *out);

/** Reads device configuration as it is in the device.  @return 0; -EINVAL; -errno of an access */
int pci_config_read(struct pci *p, uint32_t off, void *buf, uint32_t len);

/** Gives the interrupt for changes of configuration a vector. */
void pci_config_vector(struct pci *p, uint16_t vector);

/* queues */

/** Largest size of a queue; 0: there is no such queue. */
uint16_t pci_queue_size(struct pci *p, uint16_t queue);

/** Tells the device of a queue; it runs after pci_queue_enable(). */
void pci_queue_set(struct pci *p, uint16_t queue, const struct pci_queue *q);
void pci_queue_enable(struct pci *p, uint16_t queue);

/** Finds the doorbell of a queue. */
void pci_doorbell(struct pci *p, uint16_t queue, struct pci_doorbell *out);

/** Rings it.  @return 0; -errno of the access */
int pci_ring(const struct pci *p, const struct pci_doorbell *d);

#endif
