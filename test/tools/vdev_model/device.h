/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VDEV_MODEL_DEVICE_H
#define VDEV_MODEL_DEVICE_H

/**
 * @file
 * One virtio network device: what a PCI function of that kind holds, and the life that its driver
 * leads it through.  It is strict: what a driver may not do is counted as a violation, with a text
 * of the first one, so that a test can ask for none.
 *
 *     device.c   life: reset, status, interrupts, failure
 *     regs.c     the registers of BAR 4, and those of the vendor
 *     pci.c      configuration space
 *     net.c      frames
 *     ctrl.c     the control queue
 *     fault.c    what a broken device does
 *
 * Life     one per --device, as long as the process; what it holds is its client's of the moment.
 * Threads  one.
 * Units    none.
 * Source   virtio 1.2 clauses 2.1, 3.1, 4.1.4 and 5.1.
 */

#include <linux/virtio_net.h>

#include "dma.h"
#include "fault.h"
#include "loop.h"
#include "queue.h"
#include "stats.h"
#include "wire.h"

#define PAIRS_MAX   16
#define RINGS_MAX   (2 * PAIRS_MAX + 1)
#define VECTORS_MAX (RINGS_MAX + 1)
#define NO_VECTOR   0xffff
#define MACS_MAX    64
#define PATH_MAX_LEN 108

/** What a device is to be. */
struct device_conf {
	char path[PATH_MAX_LEN];        /* socket */
	uint8_t mac[6];
	uint16_t pairs;
	uint16_t mtu;                   /* 0: not told */
	uint16_t size;                  /* most entries of a ring */
	bool positions, logging, packed, event_idx, indirect, page_per_vq;
};

/** A virtqueue: its registers, and the queue that works while it is enabled. */
struct ring {
	struct queue q;
	uint64_t desc, driver, device;
	uint16_t size, vector;
	bool enabled;
	bool vector_unread;             /* written and not looked at since */
	bool position_set;
	uint16_t start_avail, start_used;
	bool kicked;                    /* there may be chains: it is looked at */
	bool interrupt;                 /* is due at the end of the burst */
	bool peeked;                    /* chain is taken and not given back */
	uint16_t before;                /* where the queue stood when it was taken */
	struct chain chain;
	int doorbell;                   /* eventfd */
	struct watch watch;
	struct device *dev;
	uint16_t index;
};

/** What gets through to the driver, as its control queue has it. */
struct filter {
	bool promisc, allmulti, alluni, nomulti, nouni, nobcast;
	uint8_t macs[MACS_MAX][6];
	unsigned int n_macs, n_unicast;
};

struct device {
	struct device_conf conf;
	struct device_stats stats;
	char violation[160];            /* the first one */
	char failed[64];                /* why NEEDS_RESET was set last */
	struct member member;
	struct dma dma;
	uint8_t config[256];            /* PCI configuration space */
	uint8_t msix_table[4096];
	int irqs[VECTORS_MAX];          /* eventfds of the client, -1: none */

	uint64_t offered, features;     /* features: as the driver writes them */
	uint32_t offered_select, features_select;
	uint16_t config_vector, queue_select;
	uint8_t status, generation, isr;
	bool reset_unread;              /* a reset was asked for, and 0 was not read since */
	bool features_unread;           /* FEATURES_OK was written, and not looked at since */
	bool stopping;                  /* a reset that takes its time */
	struct ring rings[RINGS_MAX];
	unsigned int n_rings;

	uint8_t mac[6];
	bool link_up, announce;
	uint16_t pairs;                 /* in use */
	struct filter filter;

	uint16_t vendor_queue;
	bool frozen;
	struct faults faults;
};

/* Life */

/** Makes a device of zeros one with this configuration, on the wire.  @return 0; -errno */
int device_init(struct device *d, const struct device_conf *conf);
void device_fini(struct device *d);

/** Stops, and forgets all that the driver has set: as the reset of the PCI function does. */
void device_reset(struct device *d);

/** The driver writes the status register. */
void device_status_write(struct device *d, uint8_t status);

/** What the driver reads there. */
uint8_t device_status_read(struct device *d);

/** The client is gone: its memory and its descriptors are let go of. */
void device_release(struct device *d);

/** DRIVER_OK is set, and nothing is wrong with the device. */
bool device_running(const struct device *d);

/** True when both sides have agreed on a feature. */
static inline bool
device_has(const struct device *d, unsigned int bit)
{
	return (d->features >> bit & 1) != 0;
}

/* News */

/** Counts what a driver may not do. */
void device_violation(struct device *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** Sets DEVICE_NEEDS_RESET, and does nothing more until then. */
void device_fail(struct device *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void device_interrupt(struct device *d, uint16_t vector);

/** The configuration has changed: generation, and the interrupt for that. */
void device_config_changed(struct device *d);

/** The driver has rung for a queue. */
void device_doorbell(struct device *d, unsigned int index);

/** What is due by time: faults. */
void device_poll(struct device *d);

/* Registers */

#define BAR_REGS       4
#define BAR_MSIX       1
#define BAR_MSIX_SIZE  4096U
#define REGS_COMMON    0x0000U
#define REGS_ISR       0x1000U
#define REGS_CONFIG    0x2000U
#define REGS_VENDOR    0x3000U
#define REGS_NOTIFY    0x4000U

/** Bytes of BAR 4: a power of two. */
uint32_t regs_size(const struct device *d);

/** Bytes from one doorbell to the next. */
uint32_t regs_notify_step(const struct device *d);

/** One access of the driver. */
void regs_read(struct device *d, uint64_t offset, void *to, uint32_t len);
void regs_write(struct device *d, uint64_t offset, const void *from, uint32_t len);

/** The vendor's capability, at the offset within it. */
uint32_t vendor_read(struct device *d, uint32_t offset, uint32_t len);
void vendor_write(struct device *d, uint32_t offset, uint32_t value, uint32_t len);

/** Fills in configuration space. */
void pci_init(struct device *d);
void pci_read(struct device *d, uint64_t offset, void *to, uint32_t len);
void pci_write(struct device *d, uint64_t offset, const void *from, uint32_t len);

/* Frames */

extern const struct member_ops net_ops;

/** Serves the control queue. */
void ctrl_run(struct device *d);

/** Gives one chain of a ring back; faults have their part in it. */
void ring_give(struct ring *r, const struct given *g, unsigned int n);

/** A ring went wrong under the device: it needs a reset. */
void ring_failed(struct ring *r);

#endif
