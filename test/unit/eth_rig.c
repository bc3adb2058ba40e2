/* SPDX-License-Identifier: BSD-3-Clause */
#include "eth_rig.h"

#include <rte_eal.h>
#include <rte_malloc.h>

#include <stdlib.h>
#include <string.h>

struct rig rig;

static void
on_changed(void *arg, struct port *p)
{
	rig.n_changed++;
}

void
rig_init(void)
{
	struct fdb_opts fdb = { 0 };
	struct port_ops ops = { .changed = on_changed };

	CHECK(cross_create(RIG_WORKERS, &rig.cross) == 0);
	CHECK(swdev_pool_create(rig.cross, &rig.pool) == 0);
	CHECK(ports_create(rig.cross, rig.pool, &ops, NULL, &rig.ports) == 0);
	CHECK(fdb_create(rig.cross, &fdb, &rig.fdb) == 0);
	CHECK(capture_create(rig.cross, &rig.capture) == 0);
	for (uint32_t w = 0; w < RIG_WORKERS; w++) {
		struct fwd_opts opts = {
			.worker = w, .cross = rig.cross, .pool = rig.pool, .ports = rig.ports,
			.fdb = rig.fdb, .capture = rig.capture,
		};

		CHECK(fwd_create(&opts, &rig.fwd[w]) == 0);
	}
	rig.mbufs = rte_pktmbuf_pool_create("test", 2047, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
					    SOCKET_ID_ANY);
	CHECK(rig.mbufs != NULL);
}

void
rig_fini(void)
{
	ports_destroy(rig.ports);
	for (uint32_t w = 0; w < RIG_WORKERS; w++)
		fwd_destroy(rig.fwd[w]);
	capture_destroy(rig.capture);
	fdb_destroy(rig.fdb);
	swdev_pool_destroy(rig.pool);
	cross_destroy(rig.cross);
	CHECK(rte_mempool_full(rig.mbufs));
	rte_mempool_free(rig.mbufs);
}

struct port *
rig_add(const char *name, const char *devargs, uint16_t n_queues, uint16_t mtu)
{
	struct port_opts opts = {
		.name = name, .type = PORT_ETHDEV, .devargs = devargs, .n_queues = n_queues,
		.mtu = mtu, .group = "", .gid = (gid_t)-1,
	};
	struct port *p = NULL;

	rig.why[0] = '\0';
	port_add(rig.ports, &opts, rig.why, sizeof(rig.why), &p);
	return p;
}

const struct port_info *
rig_info(struct port *p)
{
	port_info(p, &rig.info);
	return &rig.info;
}

uint64_t
rig_drops(struct port *p, enum drop d)
{
	return rig_info(p)->stats.drops[d];
}

uint32_t
rig_turn(uint32_t worker)
{
	struct fwd_turn turn;

	cross_online(rig.cross, worker);
	fwd_turn(rig.fwd[worker], &turn);
	cross_offline(rig.cross, worker);
	return turn.frames;
}

void
rig_ring_put(struct port *p, uint16_t queue, const void *data, uint32_t len)
{
	struct rte_mbuf *head = NULL, *m;

	for (uint32_t at = 0; at < len; at += m->data_len) {
		m = rte_pktmbuf_alloc(rig.mbufs);
		m->data_len = (uint16_t)RTE_MIN(len - at, (uint32_t)rte_pktmbuf_tailroom(m));
		m->pkt_len = m->data_len;
		memcpy(rte_pktmbuf_mtod(m, void *), (const uint8_t *)data + at, m->data_len);
		if (head == NULL)
			head = m;
		else
			rte_pktmbuf_chain(head, m);
	}
	CHECK(rte_eth_tx_burst(p->eth->id, queue, &head, 1) == 1);
}

struct rte_mbuf *
rig_ring_get(struct port *p, uint16_t queue)
{
	struct rte_mbuf *m;

	return rte_eth_rx_burst(p->eth->id, queue, &m, 1) == 1 ? m : NULL;
}

void
rig_mbuf_copy(const struct rte_mbuf *m, uint8_t *to)
{
	for (; m != NULL; m = m->next) {
		memcpy(to, rte_pktmbuf_mtod(m, void *), m->data_len);
		to += m->data_len;
	}
}

void
rig_frame(uint8_t *to, uint32_t len, uint8_t seed)
{
	static const uint8_t head[] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5 };

	for (uint32_t i = 0; i < len; i++)
		to[i] = (uint8_t)(seed + i * 7 + (i >> 8));
	memcpy(to, head, sizeof(head));
}

size_t
rig_heap(void)
{
	struct rte_malloc_socket_stats s = { 0 };

	rte_malloc_get_socket_stats(0, &s);
	return s.heap_allocsz_bytes;
}

int
main(int argc, char **argv)
{
	char *eal[] = { argv[0], "--no-huge", "--no-shconf", "--no-pci", "-m", "192",
			"--log-level", "lib.eal:critical", "--log-level", "pmd:critical" };
	bool all;

	if (rte_eal_init(RTE_DIM(eal), eal) < 0)
		return EXIT_FAILURE;
	port_eth_stories();
	fwd_eth_stories();
	all = port_eth_tap_stories();
	if (!all)
		printf("port_eth: no tap may be made here, its stories are left out\n");
	return check_done("port_eth");
}
