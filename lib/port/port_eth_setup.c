/* SPDX-License-Identifier: BSD-3-Clause */
#include "port_impl.h"
#include "log.h"

#include <rte_malloc.h>
#include <rte_mbuf.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

LOG_USE(port);

#define DESCS       512
#define BURST       32   /* frames that a worker has in hand, and their bytes */
#define BURST_BYTES (5 * 64 * 1024)
#define CACHE       64
#define OVERHEAD    (RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN)
#define TAGS        8
#define FRAME_MAX   (UINT16_MAX + OVERHEAD + TAGS)
#define TX_CSUM     (RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM)
#define TX_TSO      RTE_ETH_TX_OFFLOAD_TCP_TSO
#define RX_CSUM     (RTE_ETH_RX_OFFLOAD_TCP_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM)
#define RSS         (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP)

/* Drivers that are better served otherwise than what they say of themselves. */
static const struct quirk {
	const char *driver;
	uint64_t rx_no;          /* offloads not to use */
	uint64_t tx_no;
	uint16_t n_descs;        /* 0: as others */
	bool chains;             /* takes a frame in several buffers, without saying so */
	bool pairs;              /* as many queues one way as the other */
} quirks[] = {
	/*
	 * Its segmentation refuses segments that fill the MTU, and with them the rest of the burst.
	 * Its receive checksums are sums in software, which the guest does as well and only where
	 * it cares.  It reads and writes in place: each descriptor is a buffer that lies idle, and
	 * one more piece to describe to the kernel per frame.
	 */
	{ "net_tap", .rx_no = RX_CSUM, .tx_no = TX_TSO, .n_descs = 8, .pairs = true },
	{ "net_tun", .rx_no = RX_CSUM, .tx_no = TX_TSO, .n_descs = 8, .pairs = true },
	{ "net_pcap", .chains = true },
};

/* All that is decided before the device is touched. */
struct plan {
	const struct port_opts *opts;
	struct rte_eth_dev_info info;
	struct quirk quirk;
	struct rte_eth_conf conf;
	uint32_t frame_max;      /* longest frame to expect, with tags and FCS */
	uint32_t data_room;
	uint16_t n_rxd, n_txd;
	char *why;
	size_t size;
};

static int
refuse(const struct port_eth *e, const struct plan *p, const char *what, int rc)
{
	return port_refuse(p->why, p->size, rc, "%s: %s: %s (DPDK's lines in the log say more)",
			   e->name, what, strerror(-rc));
}

static struct quirk
quirk_find(const char *driver)
{
	for (uint32_t i = 0; i < RTE_DIM(quirks); i++)
		if (driver != NULL && strcmp(driver, quirks[i].driver) == 0)
			return quirks[i];
	return (struct quirk){ .driver = driver };
}

/* Payload of the longest frame that the device can be set to. */
static uint32_t
mtu_most(const struct rte_eth_dev_info *info)
{
	if (info->max_mtu != UINT16_MAX)
		return info->max_mtu;
	return RTE_MIN((uint32_t)UINT16_MAX, info->max_rx_pktlen - OVERHEAD);
}

/* Without a wish the device keeps what it has; one of software may have no limit at all. */
static int
plan_mtu(struct port_eth *e, struct plan *p)
{
	uint32_t most = mtu_most(&p->info);
	uint16_t has = RTE_ETHER_MTU;

	rte_eth_dev_get_mtu(e->id, &has);
	e->mtu = p->opts->mtu;
	if (e->mtu == 0 && p->info.max_rx_pktlen != UINT32_MAX)
		e->mtu = has;
	if (p->opts->mtu > most || (p->opts->mtu != 0 && p->opts->mtu < p->info.min_mtu))
		return port_refuse(p->why, p->size, -EINVAL,
				   "mtu: %s takes %u to %u, not %u", e->name,
				   RTE_MAX(p->info.min_mtu, (uint16_t)RTE_ETHER_MIN_MTU), most,
				   p->opts->mtu);
	p->conf.rxmode.mtu = e->mtu != 0 ? e->mtu : has;
	p->frame_max = e->mtu != 0 ? e->mtu + OVERHEAD + TAGS : FRAME_MAX;
	return 0;
}

/* A long frame lies in several buffers, or in one that is large where the device cannot chain. */
static void
plan_buffers(struct plan *p)
{
	uint64_t rx = p->info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER;
	uint64_t tx = p->info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;

	p->data_room = RTE_MBUF_DEFAULT_DATAROOM;
	p->conf.txmode.offloads |= tx;
	if (p->frame_max <= p->data_room)
		return;
	p->conf.rxmode.offloads |= rx;
	if (p->opts->mtu != 0 && (rx == 0 || tx == 0))
		p->data_room = RTE_ALIGN_CEIL(p->frame_max, RTE_CACHE_LINE_SIZE);
}

static uint32_t
segs_of(const struct plan *p, uint32_t len)
{
	return (len + p->data_room - 1) / p->data_room;
}

static void
plan_offloads(struct port_eth *e, struct plan *p)
{
	uint64_t rx = p->info.rx_offload_capa & ~p->quirk.rx_no;
	uint64_t tx = p->info.tx_offload_capa & ~p->quirk.tx_no;

	p->conf.rxmode.offloads |= rx & RX_CSUM;
	if ((tx & TX_CSUM) == TX_CSUM)
		p->conf.txmode.offloads |= TX_CSUM;
	/* A large frame is as many buffers as it takes. */
	if ((tx & TX_TSO) != 0 && (tx & TX_CSUM) == TX_CSUM &&
	    (tx & RTE_ETH_TX_OFFLOAD_MULTI_SEGS) != 0 &&
	    p->info.tx_desc_lim.nb_seg_max >= segs_of(p, FRAME_MAX))
		p->conf.txmode.offloads |= TX_TSO | (tx & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM);
	e->tx_offloads = p->conf.txmode.offloads;
	if (p->quirk.chains)
		e->tx_offloads |= RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
}

static int
plan_queues(struct port_eth *e, struct plan *p)
{
	uint16_t n_workers = (uint16_t)cross_n_workers(e->port->ports->cross);
	uint16_t n_rxq = p->opts->n_queues != 0 ? p->opts->n_queues : n_workers;
	uint16_t n_descs = p->quirk.n_descs != 0 ? p->quirk.n_descs : DESCS;

	n_rxq = RTE_MIN(n_rxq, (uint16_t)RTE_MAX_QUEUES_PER_PORT);
	e->n_rxq = RTE_MIN(n_rxq, p->info.max_rx_queues);
	e->n_txq = RTE_MIN(n_workers, p->info.max_tx_queues);
	if (p->quirk.pairs)
		e->n_rxq = e->n_txq = RTE_MIN(e->n_rxq, e->n_txq);
	if (e->n_txq == 0)
		return port_refuse(p->why, p->size, -EINVAL, "%s: has no transmit queue", e->name);
	if (e->n_rxq > 1) {
		p->conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		p->conf.rx_adv_conf.rss_conf.rss_hf = RSS & p->info.flow_type_rss_offloads;
	}
	p->n_rxd = p->info.default_rxportconf.ring_size != 0 ?
		   p->info.default_rxportconf.ring_size : n_descs;
	p->n_txd = p->info.default_txportconf.ring_size != 0 ?
		   p->info.default_txportconf.ring_size : n_descs;
	return 0;
}

static int
plan_make(struct port_eth *e, struct plan *p)
{
	int rc = rte_eth_dev_info_get(e->id, &p->info);

	if (rc < 0)
		return refuse(e, p, "asked what it is", rc);
	p->quirk = quirk_find(p->info.driver_name);
	rc = plan_mtu(e, p);
	if (rc < 0)
		return rc;
	plan_buffers(p);
	plan_offloads(e, p);
	p->conf.intr_conf.lsc = (*p->info.dev_flags & RTE_ETH_DEV_INTR_LSC) != 0;
	p->conf.intr_conf.rmv = (*p->info.dev_flags & RTE_ETH_DEV_INTR_RMV) != 0;
	return plan_queues(e, p);
}

/* Receive queues go to the workers that poll the fewest; guests' rings are dealt from worker 0. */
static void
workers_assign(struct port_eth *e)
{
	uint32_t n_workers = cross_n_workers(e->port->ports->cross);
	uint32_t loads[CROSS_WORKERS_MAX] = { 0 }, iter = 0;
	const struct port_opts *o = &e->port->opts;
	const struct port *p;

	while ((p = port_next(e->port->ports, &iter)) != NULL)
		for (uint16_t q = 0; p->eth != NULL && q < p->eth->n_rxq; q++)
			loads[p->eth->workers[q]]++;
	for (uint16_t q = 0; q < e->n_rxq; q++) {
		uint32_t best = n_workers - 1;

		if (q < o->n_workers && o->workers[q] != PORT_WORKER_NONE) {
			e->workers[q] = o->workers[q];
			loads[o->workers[q]]++;
			continue;
		}
		for (uint32_t w = n_workers; w > 0; w--)
			if (loads[w - 1] < loads[best])
				best = w - 1;
		e->workers[q] = best;
		loads[best]++;
	}
}

/* Buffers that all queues and workers can have in hand at once, so that none waits for another. */
static uint32_t
buffers_count(const struct port_eth *e, const struct plan *p)
{
	bool tso = (e->tx_offloads & TX_TSO) != 0;
	uint32_t by_frame = BURST * segs_of(p, tso ? FRAME_MAX : p->frame_max);
	uint32_t by_bytes = BURST + segs_of(p, BURST_BYTES);
	uint32_t n_threads = cross_n_workers(e->port->ports->cross) + 1;

	return e->n_rxq * p->n_rxd + e->n_txq * p->n_txd +
	       n_threads * (BURST + RTE_MIN(by_frame, by_bytes) + CACHE * 3 / 2);
}

static void
heaps_sum(size_t *total, size_t *left)
{
	struct rte_malloc_socket_stats s;

	*total = *left = 0;
	for (int i = 0; i < RTE_MAX_NUMA_NODES; i++) {
		if (rte_malloc_get_socket_stats(i, &s) < 0)
			continue;
		*total += s.heap_totalsz_bytes;
		*left += s.heap_freesz_bytes;
	}
}

static int
memory_refuse(const struct port_eth *e, const struct plan *p, uint32_t n)
{
	size_t need = (size_t)n * (sizeof(struct rte_mbuf) + RTE_PKTMBUF_HEADROOM + p->data_room +
				   2 * RTE_CACHE_LINE_SIZE);
	size_t total, left, mb = need / (1 << 20) + 1;
	char how[64];

	heaps_sum(&total, &left);
	if (rte_eal_has_hugepages())
		snprintf(how, sizeof(how), "more hugepages (sysctl vm.nr_hugepages)");
	else
		snprintf(how, sizeof(how), "--eal \"-m %zu\"", (total >> 20) + 2 * mb);
	return port_refuse(p->why, p->size, -ENOMEM,
			   "%s: no memory: its %u packet buffers need %zu MB and DPDK has %zu MB "
			   "left; %s gives it more", e->name, n, mb, left >> 20, how);
}

/* Each device has buffers of its own: none starves another, and they go when it goes. */
static int
buffers_create(struct port_eth *e, const struct plan *p)
{
	static uint32_t serial;
	uint32_t n = buffers_count(e, p);
	char name[RTE_MEMPOOL_NAMESIZE];

	snprintf(name, sizeof(name), "ferry_eth%u", serial++);
	e->pool = rte_pktmbuf_pool_create(name, n, CACHE, 0,
					  (uint16_t)(p->data_room + RTE_PKTMBUF_HEADROOM),
					  rte_eth_dev_socket_id(e->id));
	if (e->pool == NULL)
		return memory_refuse(e, p, n);
	return 0;
}

static int
claims_create(struct port_eth *e)
{
	e->txqs = aligned_alloc(RTE_CACHE_LINE_SIZE, e->n_txq * sizeof(*e->txqs));
	if (e->txqs == NULL)
		return -ENOMEM;
	memset(e->txqs, 0, e->n_txq * sizeof(*e->txqs));
	return 0;
}

static int
queues_setup(struct port_eth *e, const struct plan *p)
{
	int node = rte_eth_dev_socket_id(e->id), rc = 0;
	struct rte_eth_rxconf rx = p->info.default_rxconf;
	struct rte_eth_txconf tx = p->info.default_txconf;
	struct port_eth_tap tap;

	rx.offloads = p->conf.rxmode.offloads;
	tx.offloads = p->conf.txmode.offloads;
	port_eth_tap_hide(&tap, p->info.driver_name);
	for (uint16_t q = 0; rc == 0 && q < e->n_rxq; q++)
		rc = rte_eth_rx_queue_setup(e->id, q, p->n_rxd, (unsigned int)node, &rx, e->pool);
	for (uint16_t q = 0; rc == 0 && q < e->n_txq; q++)
		rc = rte_eth_tx_queue_setup(e->id, q, p->n_txd, (unsigned int)node, &tx);
	port_eth_tap_show(&tap);
	return rc;
}

static int
mtu_set(const struct port_eth *e, const struct plan *p)
{
	int rc = p->opts->mtu != 0 ? rte_eth_dev_set_mtu(e->id, p->opts->mtu) : 0;

	/* Where there is nothing to set, nothing stands in the way. */
	return rc == -ENOTSUP ? 0 : rc;
}

static int
try_start(struct port_eth *e, const struct plan *p)
{
	int rc = rte_eth_dev_configure(e->id, e->n_rxq, e->n_txq, &p->conf);

	if (rc == 0)
		rc = mtu_set(e, p);
	if (rc == 0)
		rc = queues_setup(e, p);
	return rc == 0 ? rte_eth_dev_start(e->id) : rc;
}

/* Whether each receive queue can be slept on: tried, because no flag says so. */
static bool
interrupts_try(const struct port_eth *e)
{
	int type = rte_log_register("lib.ethdev");
	int level = rte_log_get_level((uint32_t)type);
	bool can = true;

	/* "No" is an answer here and not an error. */
	rte_log_set_level((uint32_t)type, RTE_LOG_CRIT);
	for (uint16_t q = 0; can && q < e->n_rxq; q++) {
		int epfd = swdev_epfd(e->port->ports->pool, e->workers[q]);
		int rc = rte_eth_dev_rx_intr_ctl_q(e->id, q, epfd, RTE_INTR_EVENT_ADD, NULL);

		if (rc == 0)
			rc = rte_eth_dev_rx_intr_ctl_q(e->id, q, epfd, RTE_INTR_EVENT_DEL, NULL);
		can = rc == 0;
	}
	rte_log_set_level((uint32_t)type, (uint32_t)level);
	return can;
}

static int
start(struct port_eth *e, struct plan *p)
{
	int rc;

	p->conf.intr_conf.rxq = 1;
	rc = try_start(e, p);
	if (rc == 0) {
		e->interrupts = interrupts_try(e);
		return 0;
	}
	/* A driver may refuse to start because of the interrupts alone. */
	p->conf.intr_conf.rxq = 0;
	rc = try_start(e, p);
	return rc < 0 ? refuse(e, p, "start", rc) : 0;
}

/* Frames for guests have addresses that are not the device's. */
static void
promiscuous_set(const struct port_eth *e)
{
	int rc = rte_eth_promiscuous_enable(e->id);

	if (rc < 0 && !(rc == -ENOTSUP && strcmp(e->bus, "vdev") == 0))
		LOG(WARNING, "%s: no promiscuous mode: %s; frames for guests may not come in",
		    e->name, strerror(-rc));
}

int
port_eth_setup(struct port_eth *e, const struct port_opts *opts, char *why, size_t size)
{
	struct plan p = { .opts = opts, .why = why, .size = size };
	int rc = plan_make(e, &p);

	if (rc < 0)
		return rc;
	rc = rte_eth_dev_adjust_nb_rx_tx_desc(e->id, &p.n_rxd, &p.n_txd);
	if (rc < 0 && rc != -ENOTSUP)
		return refuse(e, &p, "descriptors", rc);
	if (opts->n_workers > e->n_rxq)
		return port_refuse(why, size, -EINVAL, "workers: expected at most %u, one for each "
				   "receive queue of the device, not %u", e->n_rxq, opts->n_workers);
	workers_assign(e);
	rc = claims_create(e);
	if (rc < 0)
		return refuse(e, &p, "memory", rc);
	rc = buffers_create(e, &p);
	if (rc == 0)
		rc = start(e, &p);
	if (rc < 0)
		return rc;
	promiscuous_set(e);
	port_eth_packet_relax(e, &p.info);
	return 0;
}
