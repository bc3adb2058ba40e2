/* SPDX-License-Identifier: BSD-3-Clause */
#include "guest_inner.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define BIT(n) (1ULL << (n))
#define BUFS_DEFAULT 512
#define TABLE_LEN VMM_SEGS_MAX

#define OFFLOADS (BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_CSUM) | \
		  BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6) | \
		  BIT(VIRTIO_NET_F_HOST_ECN) | BIT(VIRTIO_NET_F_HOST_UFO) | \
		  BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6) | \
		  BIT(VIRTIO_NET_F_GUEST_ECN) | BIT(VIRTIO_NET_F_GUEST_UFO))

void
vmm_guest_conf_init(struct vmm_guest_conf *conf)
{
	*conf = (struct vmm_guest_conf){
		.pairs = 1,
		.size = 256,
		.mergeable = true,
		.indirect = true,
		.event_idx = true,
		.n_regions = 1,
		.rx_buf = 2048,
		.tx_buf = 2048,
		.segs = 1,
		.seed = 1,
		.deadline_ms = 5000,
		.mac_id = 1,
	};
}

static uint64_t
features_wanted(const struct vmm_guest_conf *conf)
{
	uint64_t f = BIT(VIRTIO_F_ANY_LAYOUT) | BIT(VIRTIO_NET_F_MTU) | BIT(VIRTIO_NET_F_MQ);

	if (!conf->legacy)
		f |= BIT(VIRTIO_F_VERSION_1);
	if (conf->packed)
		f |= BIT(VIRTIO_F_RING_PACKED);
	if (conf->mergeable)
		f |= BIT(VIRTIO_NET_F_MRG_RXBUF);
	if (conf->indirect)
		f |= BIT(VIRTIO_RING_F_INDIRECT_DESC);
	if (conf->event_idx)
		f |= BIT(VIRTIO_RING_F_EVENT_IDX);
	if (conf->in_order)
		f |= BIT(VIRTIO_F_IN_ORDER);
	if (conf->offload)
		f |= OFFLOADS;
	return f & ~conf->features_off;
}

static uint16_t
bufs_of(const struct vmm_guest_conf *conf)
{
	uint16_t n = conf->n_bufs > 0 ? conf->n_bufs : BUFS_DEFAULT;

	return n < conf->size ? n : conf->size;
}

static uint64_t
mem_needed(const struct vmm_guest_conf *conf)
{
	uint64_t ring = conf->size * 26ULL + 512ULL * TABLE_LEN * 16 + 4096;
	uint64_t edges = conf->edge > 0 ? 2 * VMM_PAGE : 0;
	uint64_t bufs = bufs_of(conf) * (edges + conf->rx_buf + conf->tx_buf + 64);
	uint64_t need = conf->pairs * (2 * ring + bufs);

	/* Half as much again: what does not fit at the end of one region goes to the next. */
	return need + need / 2 + (1ULL << 20) * conf->n_regions;
}

int
vmm_guest_create(struct vmm_guest **out, const struct vmm_guest_conf *conf, struct vmm_fault *fault)
{
	struct vmm_mem_conf mem = { .n_regions = conf->n_regions, .size = conf->mem_size,
				    .shadow = conf->shadow, .adjacent = conf->adjacent,
				    .twin = conf->twin };
	struct vmm_guest *g;
	int rc;

	if (conf->pairs == 0 || conf->pairs > VMM_PAIRS_MAX || conf->segs == 0 ||
	    conf->segs > VMM_SEGS_MAX)
		return -EINVAL;
	g = calloc(1, sizeof(*g));
	if (g == NULL)
		return -ENOMEM;
	g->conf = *conf;
	g->fault = fault;
	g->rng = conf->seed;
	memcpy(g->mac, (const uint8_t[]){ 0x52, 0x54, 0, 0xfe, 0, conf->mac_id }, 6);
	if (mem.size == 0)
		mem.size = mem_needed(conf);
	rc = vmm_mem_create(&g->mem, &mem, fault);
	if (rc == 0)
		rc = vmm_front_create(&g->front, conf->path, conf->server, conf->deadline_ms,
				      fault);
	if (rc == 0)
		g->front->ack_all = conf->ack_all;
	if (rc < 0) {
		vmm_guest_destroy(g);
		return rc;
	}
	*out = g;
	return 0;
}

static void
queue_fini(struct vmm_queue *q)
{
	if (q->ring != NULL) {
		close(q->ring->kickfd);
		close(q->ring->callfd);
	}
	vmm_ring_destroy(q->ring);
	free(q->bufs);
	free(q->free);
	*q = (struct vmm_queue){ 0 };
}

void
vmm_guest_destroy(struct vmm_guest *g)
{
	if (g == NULL)
		return;
	vmm_front_destroy(g->front);
	while (g->n_queues > 0)
		queue_fini(&g->queues[--g->n_queues]);
	vmm_mem_destroy(g->mem);
	free(g);
}

/* Clause 5.1.6: num_buffers is there with VERSION_1 and with MRG_RXBUF. */
static void
hdr_len_set(struct vmm_guest *g)
{
	bool num_buffers = guest_has(g, VIRTIO_F_VERSION_1) || guest_has(g, VIRTIO_NET_F_MRG_RXBUF);

	g->hdr_len = num_buffers ? sizeof(struct virtio_net_hdr_v1) : sizeof(struct virtio_net_hdr);
}

int
vmm_guest_connect(struct vmm_guest *g)
{
	uint64_t wanted = features_wanted(&g->conf), must;
	int rc = vmm_front_connect(g->front);

	if (rc == 0)
		rc = vmm_front_negotiate(g->front, wanted);
	if (rc < 0)
		return rc;
	must = wanted & ~(OFFLOADS | BIT(VIRTIO_F_ANY_LAYOUT) | BIT(VIRTIO_NET_F_MTU) |
			  BIT(VIRTIO_NET_F_MQ));
	if (g->conf.pairs > 1)
		must |= BIT(VIRTIO_NET_F_MQ);
	if ((must & ~g->front->features) != 0 || g->front->queue_max < g->conf.pairs) {
		vmm_fault_set(g->fault, "backend lacks features 0x%" PRIx64 " or has too few queues"
			      " (%" PRIu64 " pairs)", must & ~g->front->features,
			      g->front->queue_max);
		return -ENOTSUP;
	}
	hdr_len_set(g);
	return 0;
}

int
vmm_guest_open(struct vmm_guest *g)
{
	int rc = vmm_guest_connect(g);

	return rc < 0 ? rc : vmm_guest_start(g);
}

static int
queue_init(struct vmm_guest *g, unsigned int index)
{
	const struct vmm_guest_conf *conf = &g->conf;
	struct vmm_queue *q = &g->queues[index];
	struct vmm_ring_conf ring = {
		.size = conf->size,
		.packed = conf->packed,
		.event_idx = conf->event_idx,
		.in_order = conf->in_order,
		.edge = conf->edge > 0,
		.table_len = conf->indirect ? TABLE_LEN : 0,
		.pos = conf->pos,
		.shuffle = conf->segs > 1 ? conf->seed + index : 0,
	};
	char name[24];
	int rc;

	snprintf(name, sizeof(name), "guest%u/%s%u", conf->mac_id, index & 1 ? "tx" : "rx",
		 index / 2);
	rc = vmm_ring_create(&q->ring, g->mem, &ring, name);
	if (rc < 0)
		return rc;
	g->n_queues++;
	q->n_bufs = bufs_of(conf);
	q->enabled = true;
	q->ring->kickfd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	q->ring->callfd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (q->ring->kickfd < 0 || q->ring->callfd < 0)
		return -errno;
	if (index & 1)
		return queue_fill(g, q, conf->tx_buf, 0);
	return queue_fill(g, q, conf->rx_buf, conf->edge);
}

static int
queues_init(struct vmm_guest *g)
{
	int rc = 0;

	while (g->n_queues < g->conf.pairs * 2U && rc == 0)
		rc = queue_init(g, g->n_queues);
	return rc;
}

/* At init QEMU gives every queue that there may be a call descriptor that nobody listens to. */
static int
device_init(struct vmm_guest *g)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	int rc = 0;

	if (fd < 0)
		return -errno;
	for (unsigned int i = 0; i < g->conf.pairs * 2U && rc == 0; i++) {
		rc = vmm_front_send_fd(g->front, VMM_SET_VRING_CALL, i, fd);
		if (rc == 0)
			rc = vmm_front_send_fd(g->front, VMM_SET_VRING_ERR, i, fd);
	}
	close(fd);
	return rc;
}

int
vmm_guest_addr_send(struct vmm_guest *g, unsigned int index)
{
	const struct vmm_ring_addr *addr = &g->queues[index].ring->addr;
	struct vmm_vring_addr msg = {
		.index = index,
		.flags = g->logging ? VMM_VRING_F_LOG : 0,
		.desc = vmm_mem_uva(g->mem, addr->desc),
		.avail = vmm_mem_uva(g->mem, addr->avail),
		.used = vmm_mem_uva(g->mem, addr->used),
		.log = addr->used,
	};

	return vmm_front_send(g->front, VMM_SET_VRING_ADDR, &msg, sizeof(msg), NULL, 0);
}

static int
ring_start(struct vmm_guest *g, unsigned int index)
{
	const struct vmm_ring *r = g->queues[index].ring;
	int rc = vmm_front_send_state(g->front, VMM_SET_VRING_NUM, index, r->conf.size);

	if (rc == 0)
		rc = vmm_front_send_state(g->front, VMM_SET_VRING_BASE, index, vmm_ring_pos(r));
	if (rc == 0)
		rc = vmm_guest_addr_send(g, index);
	if (rc == 0)
		rc = vmm_front_send_fd(g->front, VMM_SET_VRING_KICK, index, r->kickfd);
	if (rc == 0)
		rc = vmm_front_send_fd(g->front, VMM_SET_VRING_CALL, index, r->callfd);
	return rc;
}

static int
enable_send(struct vmm_guest *g, unsigned int index)
{
	if (!guest_has(g, VMM_F_PROTOCOL_FEATURES))
		return 0;
	return vmm_front_send_state(g->front, VMM_SET_VRING_ENABLE, index,
				    g->queues[index].enabled);
}

static int
pair_start(struct vmm_guest *g, unsigned int pair)
{
	int rc = enable_send(g, pair * 2);

	if (rc == 0)
		rc = enable_send(g, pair * 2 + 1);
	if (rc == 0)
		rc = guest_features_send(g);
	if (rc == 0 && pair == 0)
		rc = vmm_front_send_mem(g->front, g->mem);
	if (rc == 0)
		rc = ring_start(g, pair * 2);
	if (rc == 0)
		rc = ring_start(g, pair * 2 + 1);
	/* The log comes last, when the rings have run already. */
	if (rc == 0 && g->logging && g->log != NULL)
		rc = guest_log_send(g, g->log);
	return rc;
}

/* A question whose answer comes after everything that was said before it was done. */
static int
front_sync(struct vmm_guest *g)
{
	uint64_t features;

	return vmm_front_ask_u64(g->front, VMM_GET_FEATURES, &features);
}

int
vmm_guest_start(struct vmm_guest *g)
{
	bool mtu = guest_has(g, VIRTIO_NET_F_MTU) && (g->front->protocol & VMM_PROTO_NET_MTU) &&
		g->conf.mtu != 0;
	int rc = queues_init(g);

	if (rc == 0)
		rc = device_init(g);
	if (rc == 0 && mtu)
		rc = vmm_front_send_u64(g->front, VMM_NET_SET_MTU, g->conf.mtu);
	for (unsigned int i = 0; i < g->conf.pairs && rc == 0; i++)
		rc = pair_start(g, i);
	/* The driver goes on when the device has been told everything: its processor waited. */
	if (rc == 0)
		rc = front_sync(g);
	for (unsigned int i = 0; i < g->n_queues && rc == 0; i += 2)
		rc = queue_refill(g, &g->queues[i]);
	if (rc == 0)
		rc = vmm_guest_flush(g);
	g->started = rc == 0;
	return rc;
}

int
vmm_guest_attach(struct vmm_guest *g, uint64_t offered)
{
	int rc;

	g->front->features = features_wanted(&g->conf) & offered;
	hdr_len_set(g);
	rc = queues_init(g);
	for (unsigned int i = 0; i < g->n_queues && rc == 0; i += 2)
		rc = queue_refill(g, &g->queues[i]);
	if (rc == 0)
		rc = vmm_guest_flush(g);
	g->started = rc == 0;
	return rc;
}

int
vmm_guest_stop(struct vmm_guest *g)
{
	int rc = 0;

	for (unsigned int i = 0; i < g->n_queues && rc == 0; i++)
		rc = vmm_front_ask_base(g->front, i, &g->queues[i].base);
	g->started = false;
	return rc;
}

int
vmm_guest_settle(struct vmm_guest *g)
{
	int rc = vmm_guest_reclaim(g);

	for (unsigned int i = 0; i < g->n_queues && rc >= 0; i++)
		rc = vmm_ring_check_base(g->queues[i].ring, g->queues[i].base);
	return rc < 0 ? rc : vmm_mem_check(g->mem);
}

void
vmm_guest_disconnect(struct vmm_guest *g)
{
	struct pollfd p = { .fd = g->front->fd, .events = POLLRDHUP };

	g->started = false;
	if (g->front->fd < 0)
		return;
	shutdown(g->front->fd, SHUT_WR);
	poll(&p, 1, (int)g->conf.deadline_ms);
	/* librte_vhost closes first and stops its rings then. */
	usleep(20000);
	vmm_front_disconnect(g->front);
}

int
vmm_guest_reboot(struct vmm_guest *g)
{
	int rc = 0;

	for (unsigned int i = 0; i < g->n_queues && rc == 0; i++) {
		queue_forget(&g->queues[i]);
		vmm_ring_forget(g->queues[i].ring);
		rc = vmm_ring_move(g->queues[i].ring);
	}
	return rc;
}

/* Changes while it runs */

int
vmm_guest_enable(struct vmm_guest *g, unsigned int pair, bool enabled)
{
	int rc;

	g->queues[pair * 2].enabled = g->queues[pair * 2 + 1].enabled = enabled;
	rc = enable_send(g, pair * 2);
	return rc < 0 ? rc : enable_send(g, pair * 2 + 1);
}

static int
fd_change(struct vmm_guest *g, uint32_t request, unsigned int index, int *fd)
{
	int fresh = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	int rc;

	if (fresh < 0)
		return -errno;
	rc = vmm_front_send_fd(g->front, request, index, fresh);
	close(*fd);
	*fd = fresh;
	return rc;
}

int
vmm_guest_kick_change(struct vmm_guest *g, unsigned int index)
{
	return fd_change(g, VMM_SET_VRING_KICK, index, &g->queues[index].ring->kickfd);
}

/* What was used until the backend took the new descriptor was told to the old one: look again. */
int
vmm_guest_call_change(struct vmm_guest *g, unsigned int index)
{
	int rc = fd_change(g, VMM_SET_VRING_CALL, index, &g->queues[index].ring->callfd);

	return rc < 0 ? rc : front_sync(g);
}

int
vmm_guest_mem_plug(struct vmm_guest *g, uint64_t size)
{
	int rc = vmm_mem_plug(g->mem, size);

	return rc < 0 ? rc : vmm_front_send_mem(g->front, g->mem);
}

int
vmm_guest_mem_unplug(struct vmm_guest *g)
{
	int rc = vmm_mem_unplug(g->mem);

	return rc < 0 ? rc : vmm_front_send_mem(g->front, g->mem);
}
