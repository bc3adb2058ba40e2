/* SPDX-License-Identifier: BSD-3-Clause */
#include "client.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vendor.h"

#define BIT(n)    (1ULL << (n))
#define WAIT_MS   1500
#define CTRL_SIZE 16

#define DRIVER_FEATURES (BIT(VIRTIO_F_ACCESS_PLATFORM) | BIT(VIRTIO_NET_F_CTRL_VQ) | \
			 BIT(VIRTIO_NET_F_CTRL_RX) | BIT(VIRTIO_NET_F_CTRL_MAC_ADDR) | \
			 BIT(VIRTIO_NET_F_GUEST_ANNOUNCE) | BIT(VIRTIO_NET_F_STATUS) | \
			 BIT(VIRTIO_NET_F_MAC))

static uint64_t
features_read(struct client *c)
{
	uint64_t f = 0;

	for (uint32_t word = 0; word < 2; word++) {
		client_write(c, &c->common, VIRTIO_PCI_COMMON_DFSELECT, word, 4);
		f |= client_read(c, &c->common, VIRTIO_PCI_COMMON_DF, 4) << 32 * word;
	}
	return f;
}

static int
mem_map(struct driver *d)
{
	int rc = 0;

	for (unsigned int i = 0; i < d->g->mem->n_regions && rc == 0; i++) {
		const struct vmm_region *r = &d->g->mem->regions[i];

		rc = client_map(&d->c, r->fd, r->offset, r->gpa, r->size);
	}
	return rc == -EEXIST ? 0 : rc;
}

int
driver_unmap(struct driver *d)
{
	int rc = 0;

	for (unsigned int i = 0; i < d->g->mem->n_regions && rc == 0; i++)
		rc = client_unmap(&d->c, d->g->mem->regions[i].gpa, d->g->mem->regions[i].size);
	return rc;
}

static int
ctrl_init(struct driver *d)
{
	struct vmm_ring_conf conf = { .size = CTRL_SIZE, .packed = d->g->conf.packed,
				      .event_idx = d->g->conf.event_idx,
				      .pos = d->g->conf.packed ? 1 << 15 : 0 };
	int rc = vmm_ring_create(&d->ctrl, d->g->mem, &conf, "ctrl");

	if (rc < 0)
		return rc;
	d->ctrl->kickfd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	d->ctrl->callfd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	d->ctrl_buf = vmm_mem_alloc(d->g->mem, 2048, 64);
	return 0;
}

int
driver_open(struct driver *d, const char *path, const struct vmm_guest_conf *conf)
{
	struct vmm_guest_conf own = *conf;
	int rc;

	memset(d, 0, sizeof(*d));
	d->c.fd = -1;
	d->config_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	own.path = "none";      /* a guest of this process */
	rc = vmm_guest_create(&d->g, &own, &d->fault);
	if (rc == 0)
		rc = client_open(&d->c, path);
	if (rc == 0)
		rc = client_caps(&d->c);
	if (rc == 0)
		rc = ctrl_init(d);
	if (rc < 0)
		return rc;
	d->offered = features_read(&d->c);
	d->n_queues = (unsigned int)client_read(&d->c, &d->c.common, VIRTIO_PCI_COMMON_NUMQ, 2);
	d->n_doorbells = client_doorbells(&d->c, d->doorbells, DRIVER_QUEUES_MAX);
	return d->n_doorbells < 0 ? d->n_doorbells : 0;
}

void
driver_close(struct driver *d)
{
	client_close(&d->c);
	while (d->n_doorbells > 0)
		close(d->doorbells[--d->n_doorbells]);
	if (d->ctrl != NULL) {
		close(d->ctrl->kickfd);
		close(d->ctrl->callfd);
	}
	vmm_ring_destroy(d->ctrl);
	vmm_guest_destroy(d->g);
	if (d->config_fd >= 0)
		close(d->config_fd);
	memset(d, 0, sizeof(*d));
	d->c.fd = d->config_fd = -1;
}

uint8_t
driver_status(struct driver *d)
{
	return (uint8_t)client_read(&d->c, &d->c.common, VIRTIO_PCI_COMMON_STATUS, 1);
}

static void
status_add(struct driver *d, uint8_t bit)
{
	client_write(&d->c, &d->c.common, VIRTIO_PCI_COMMON_STATUS, driver_status(d) | bit, 1);
}

/* A guest that kicks a device that does not run rings no doorbell. */
static void
doorbells_forget(struct driver *d)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	for (unsigned int i = 0; i < d->g->n_queues; i++)
		dup2(fd, d->g->queues[i].ring->kickfd);
	dup2(fd, d->ctrl->kickfd);
	close(fd);
}

int
driver_stop(struct driver *d)
{
	doorbells_forget(d);
	client_write(&d->c, &d->c.common, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	for (int ms = 0; ms < WAIT_MS; ms++) {
		if (driver_status(d) == 0) {
			d->g->started = false;
			return 0;
		}
		usleep(1000);
	}
	return -ETIMEDOUT;
}

static int
negotiate(struct driver *d)
{
	struct client *c = &d->c;

	status_add(d, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	status_add(d, VIRTIO_CONFIG_S_DRIVER);
	for (uint32_t word = 0; word < 2; word++) {
		client_write(c, &c->common, VIRTIO_PCI_COMMON_GFSELECT, word, 4);
		client_write(c, &c->common, VIRTIO_PCI_COMMON_GF,
			     d->features >> 32 * word & UINT32_MAX, 4);
	}
	status_add(d, VIRTIO_CONFIG_S_FEATURES_OK);
	return (driver_status(d) & VIRTIO_CONFIG_S_FEATURES_OK) != 0 ? 0 : -EPROTO;
}

static void
write64(struct client *c, uint32_t lo, uint64_t value)
{
	client_write(c, &c->common, lo, value & UINT32_MAX, 4);
	client_write(c, &c->common, lo + 4, value >> 32, 4);
}

static int
queue_start(struct driver *d, uint16_t index, struct vmm_ring *r)
{
	struct client *c = &d->c;

	if (d->at_position) {
		client_write(c, &c->vendor, VENDOR_R_QUEUE, index, 2);
		client_write(c, &c->vendor, VENDOR_R_AVAIL, vmm_ring_pos(r), 4);
		client_write(c, &c->vendor, VENDOR_R_USED, vmm_ring_pos(r), 4);
	}
	client_write(c, &c->common, VIRTIO_PCI_COMMON_Q_SELECT, index, 2);
	client_write(c, &c->common, VIRTIO_PCI_COMMON_Q_SIZE, r->conf.size, 2);
	client_write(c, &c->common, VIRTIO_PCI_COMMON_Q_MSIX, index + 1U, 2);
	if (client_read(c, &c->common, VIRTIO_PCI_COMMON_Q_MSIX, 2) != index + 1U)
		return -EPROTO;
	write64(c, VIRTIO_PCI_COMMON_Q_DESCLO, r->addr.desc);
	write64(c, VIRTIO_PCI_COMMON_Q_AVAILLO, r->addr.avail);
	write64(c, VIRTIO_PCI_COMMON_Q_USEDLO, r->addr.used);
	client_write(c, &c->common, VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
	/* The guest's kick is the doorbell from now on. */
	if (dup2(d->doorbells[index], r->kickfd) < 0)
		return -errno;
	return client_irqs(c, index + 1U, &r->callfd, 1);
}

static int
queues_start(struct driver *d)
{
	int rc = 0;

	for (unsigned int i = 0; i < d->g->n_queues && rc == 0; i++)
		rc = queue_start(d, (uint16_t)i, d->g->queues[i].ring);
	if (rc == 0)
		rc = queue_start(d, (d->features >> VIRTIO_NET_F_MQ & 1) != 0 ?
				    (uint16_t)(d->n_queues - 1) : 2, d->ctrl);
	return rc;
}

static void
ring_all(struct driver *d)
{
	uint64_t one = 1;

	for (unsigned int i = 0; i < d->g->n_queues; i++) {
		if (d->by_register)
			client_write(&d->c, &d->c.notify, i * d->c.notify.step, i, 2);
		else if (write(d->doorbells[i], &one, sizeof(one)) < 0)
			return;
	}
}

int
driver_start(struct driver *d)
{
	struct client *c = &d->c;
	int rc;

	if (driver_stop(d) < 0)
		return -ETIMEDOUT;
	rc = vmm_guest_attach(d->g, d->offered);
	d->features = d->g->front->features | (DRIVER_FEATURES & d->offered) | d->features_more;
	if (rc == 0)
		rc = mem_map(d);
	if (rc == 0)
		rc = negotiate(d);
	if (rc == 0)
		rc = client_irqs(c, 0, &d->config_fd, 1);
	if (rc < 0)
		return rc;
	client_write(c, &c->common, VIRTIO_PCI_COMMON_MSIX, 0, 2);
	rc = queues_start(d);
	if (rc < 0)
		return rc;
	status_add(d, VIRTIO_CONFIG_S_DRIVER_OK);
	ring_all(d);
	return (driver_status(d) & VIRTIO_CONFIG_S_NEEDS_RESET) != 0 ? -EPROTO : 0;
}

int
driver_command(struct driver *d, uint8_t class, uint8_t cmd, const void *data, uint32_t len)
{
	struct virtio_net_ctrl_hdr hdr = { class, cmd };
	const struct vmm_seg ack_seg = { d->ctrl_buf + 2000, 1, true };
	struct vmm_seg segs[3] = {
		{ d->ctrl_buf, sizeof(hdr), false }, { d->ctrl_buf + 64, len, false }, ack_seg,
	};
	uint16_t n_segs = 3;
	struct pollfd p = { .fd = d->ctrl->callfd, .events = POLLIN };
	const uint8_t *ack = vmm_mem_host(d->g->mem, d->ctrl_buf + 2000, 1);
	struct vmm_used used;
	uint64_t n;

	vmm_mem_write(d->g->mem, d->ctrl_buf, &hdr, sizeof(hdr));
	vmm_mem_write(d->g->mem, d->ctrl_buf + 64, data, len);
	if (len == 0)
		segs[--n_segs - 1] = ack_seg;
	vmm_ring_arm(d->ctrl);
	if (vmm_ring_post(d->ctrl, segs, n_segs, false, 1) < 0 || vmm_ring_kick(d->ctrl) < 0)
		return -EIO;
	if (poll(&p, 1, WAIT_MS) <= 0 || read(p.fd, &n, sizeof(n)) < 0)
		return -ETIMEDOUT;
	return vmm_ring_collect(d->ctrl, &used) == 1 ? *ack : -EPROTO;
}
