/* SPDX-License-Identifier: BSD-3-Clause */
#include "eth_rig.h"
#include "fds.h"

#include <rte_malloc.h>

#include <pcap/pcap.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Refusals: who asks learns what is wrong. */

static const struct {
	const char *story, *devargs;
	uint16_t mtu;
	int rc;
	const char *says;
} refusals[] = {
	{ "no such driver", "net_nothing0", 0, -ENODEV, "no driver" },
	{ "an interface's name alone", "eth0", 0, -ENODEV, "no driver" },
	{ "a device of another kind", "crypto_null0", 0, -ENODEV, "no Ethernet device" },
	{ "no such PCI device", "0000:fe:1f.7", 0, -ENODEV, "no such PCI device" },
	{ "a PCI address cut short", "fe:1f.7", 0, -ENODEV, "no such PCI device" },
	{ "no such file", "net_pcap0,rx_pcap=/nonexistent/a", 0, -ENOENT, "/nonexistent/a" },
	{ "an argument nobody knows", "net_null9,colour=red", 0, -ENODEV, "net_null9" },
	{ "taken", "net_ring0", 0, -EEXIST, "port \"taken\"" },
	{ "taken, with arguments", "net_ring0,nodeaction=a:0:CREATE", 0, -EEXIST,
	  "port \"taken\"" },
};

static void
refusals_run(void)
{
	struct port_opts opts = { .name = "x", .type = PORT_ETHDEV, .gid = (gid_t)-1 };
	struct port *taken = rig_add("taken", "net_ring0", 0, 0), *p;
	uint32_t fds = fds_count();

	CHECK(taken != NULL);
	for (uint32_t i = 0; i < RTE_DIM(refusals); i++) {
		uint32_t failed = checks_failed;

		opts.devargs = refusals[i].devargs;
		opts.mtu = refusals[i].mtu;
		CHECK(port_add(rig.ports, &opts, rig.why, sizeof(rig.why), &p) == refusals[i].rc);
		CHECK(strstr(rig.why, refusals[i].says) != NULL);
		CHECK(strchr(rig.why, '\n') == NULL);
		CHECK(port_find(rig.ports, "x") == NULL);
		if (failed != checks_failed)
			fprintf(stderr, "  in: %s: %s\n", refusals[i].story, rig.why);
	}
	CHECK(fds_count() == fds);
	port_del(rig.ports, taken);
}

/* Memory: what is missing is said, and nothing is kept. */
static void
memory_story(void)
{
	struct port_opts opts = {
		.name = "big", .type = PORT_ETHDEV, .devargs = "net_null0,no-rx=1",
		.gid = (gid_t)-1,
	};
	void *taken[256];
	uint32_t n = 0;
	struct port *p;
	size_t heap;

	while (n < RTE_DIM(taken) && (taken[n] = rte_malloc(NULL, 1 << 20, 0)) != NULL)
		n++;
	CHECK(n > 4);
	for (uint32_t i = 0; i < 4; i++)
		rte_free(taken[--n]);
	heap = rig_heap();
	CHECK(port_add(rig.ports, &opts, rig.why, sizeof(rig.why), &p) == -ENOMEM);
	CHECK(strstr(rig.why, " MB") != NULL && strstr(rig.why, "--eal \"-m ") != NULL);
	CHECK(rig_heap() <= heap);
	while (n > 0)
		rte_free(taken[--n]);
	p = rig_add("big", "net_null0,no-rx=1", 0, 0);
	CHECK(p != NULL);
	if (p != NULL)
		port_del(rig.ports, p);
}

/* Life: the same again and again, and nothing is left. */
static void
life_story(const char *devargs)
{
	uint32_t fds = fds_count(), failed = checks_failed;
	size_t heap = 0;
	uint32_t id = 0;

	for (uint32_t i = 0; i < 4; i++) {
		struct port *p = rig_add("again", devargs, 0, 0);

		CHECK(p != NULL);
		if (p == NULL)
			break;
		CHECK_STR(devargs, rig_info(p)->state, "up");
		CHECK(rig.info.n_rxq == RIG_WORKERS && rig.info.n_txq == RIG_WORKERS);
		CHECK(!rig.info.rx_interrupts);
		CHECK(port_number(p) == 0 && port_id(p) != id);
		id = port_id(p);
		port_del(rig.ports, p);
		CHECK(fds_count() == fds);
		/* The first time DPDK sets itself up; net_null forgets a little each time. */
		CHECK(i == 0 || rig_heap() <= heap + 1024);
		heap = rig_heap();
	}
	if (failed != checks_failed)
		fprintf(stderr, "  in: %s: %s\n", devargs, rig.why);
}

/* Two rings: worker 0 polls the first, worker 1 the second, the test stands behind both. */

static struct port *in, *out;

static void
rings_open(uint16_t n_queues, uint16_t mtu)
{
	in = rig_add("in", "net_ring0", n_queues, 0);
	out = rig_add("out", "net_ring1", n_queues, mtu);
	CHECK(in != NULL && out != NULL);
	CHECK(port_queue_move(rig.ports, in, 0, 0) == 0);
	CHECK(port_queue_move(rig.ports, out, 0, 1) == 0);
}

static void
rings_close(void)
{
	port_del(rig.ports, in);
	port_del(rig.ports, out);
}

static bool
came_out(const uint8_t *frame, uint32_t len, uint16_t queue)
{
	static uint8_t got[RIG_FRAME];
	struct rte_mbuf *m = rig_ring_get(out, queue);
	bool same;

	if (m == NULL)
		return false;
	rig_mbuf_copy(m, got);
	same = m->pkt_len == len && memcmp(got, frame, len) == 0 && (m->ol_flags & ~0ULL) == 0;
	rte_pktmbuf_free(m);
	return same;
}

static void
forward_story(void)
{
	static const uint32_t lens[] = {
		14, 15, 60, 79, 80, 81, 1514, 2047, 2048, 2049, 9000, 65549,
	};
	static uint8_t frame[RTE_DIM(lens)][RIG_FRAME];

	rings_open(1, 0);
	for (uint32_t i = 0; i < RTE_DIM(lens); i++) {
		rig_frame(frame[i], lens[i], (uint8_t)i);
		rig_ring_put(in, 0, frame[i], lens[i]);
	}
	CHECK(rig_turn(1) == 0);
	CHECK(rig_turn(0) == RTE_DIM(lens));
	for (uint32_t i = 0; i < RTE_DIM(lens); i++)
		CHECK(came_out(frame[i], lens[i], 0));
	CHECK(rig_info(in)->stats.counts[COUNT_RX_FRAMES] == RTE_DIM(lens));
	CHECK(rig_info(out)->stats.counts[COUNT_TX_FRAMES] == RTE_DIM(lens));
	CHECK(rte_mempool_full(out->eth->pool) && rte_mempool_full(rig.mbufs));
	rings_close();
}

static void
both_move(uint16_t queue, uint32_t worker)
{
	CHECK(port_queue_move(rig.ports, in, queue, worker) == 0);
	CHECK(port_queue_move(rig.ports, out, queue, worker ^ 1) == 0);
}

/* What was said of a queue's place holds from the start; more than the device has is refused. */
static void
place_story(void)
{
	struct port_opts opts = {
		.name = "placed", .type = PORT_ETHDEV, .devargs = "net_ring2", .n_queues = 2,
		.group = "", .gid = (gid_t)-1, .n_workers = 2, .workers = { PORT_WORKER_NONE, 1 },
	};
	struct port *p = NULL;

	CHECK(port_add(rig.ports, &opts, rig.why, sizeof(rig.why), &p) == 0);
	CHECK(rig_info(p)->workers[1] == 1 && port_opts(p)->n_workers == 2);
	CHECK(port_queue_move(rig.ports, p, 0, 1) == 0 && port_opts(p)->workers[0] == 1);
	opts.workers[0] = 0;
	opts.n_workers = 1;
	CHECK(port_place(rig.ports, p, &opts, rig.why, sizeof(rig.why)) == 0);
	CHECK(rig_info(p)->workers[0] == 0 && rig.info.workers[1] == 1);
	CHECK(port_opts(p)->n_workers == 1);
	port_del(rig.ports, p);
	opts.n_queues = 0;
	opts.n_workers = PORT_QUEUES_MAX;
	CHECK(port_add(rig.ports, &opts, rig.why, sizeof(rig.why), &p) == -EINVAL);
	CHECK(strncmp(rig.why, "workers: expected at most", 25) == 0);
}

/* A queue is polled by the worker that it was moved to alone, and keeps its way out. */
static void
move_story(void)
{
	uint8_t frame[100];

	rings_open(RIG_WORKERS, 0);
	rig_frame(frame, sizeof(frame), 1);
	for (uint16_t w = 0; w < RIG_WORKERS; w++) {
		both_move(0, w);
		both_move(1, w);
		rig_ring_put(in, 0, frame, sizeof(frame));
		rig_ring_put(in, 1, frame, sizeof(frame));
		CHECK(rig_turn(w ^ 1u) == 0);
		CHECK(rig_turn(w) == 2);
		CHECK(came_out(frame, sizeof(frame), 0) && came_out(frame, sizeof(frame), 1));
		CHECK(rig_info(in)->workers[0] == w && rig.info.workers[1] == w);
		CHECK(rig_info(out)->n_queues == 2 && rig.info.workers[1] == (w ^ 1u));
	}
	CHECK(port_queue_move(rig.ports, in, 2, 0) == -ERANGE);
	CHECK(port_queue_move(rig.ports, in, 0, RIG_WORKERS) == -EINVAL);
	rings_close();
}

/* What a device does not take is dropped under its name, and takes nothing else with it. */
static void
length_story(void)
{
	static const struct { uint32_t len; bool tagged, passes; } frames[] = {
		{ 1514, false, true }, { 1515, false, false }, { 1518, true, true },
		{ 1519, true, false }, { 60, false, true },
	};
	uint8_t frame[RTE_DIM(frames)][2000];

	rings_open(1, 1500);
	for (uint32_t i = 0; i < RTE_DIM(frames); i++) {
		rig_frame(frame[i], frames[i].len, (uint8_t)i);
		if (frames[i].tagged)
			memcpy(frame[i] + 12, "\x81\x00\x00\x07", 4);
		rig_ring_put(in, 0, frame[i], frames[i].len);
	}
	CHECK(rig_turn(0) == RTE_DIM(frames));
	for (uint32_t i = 0; i < RTE_DIM(frames); i++)
		CHECK(!frames[i].passes || came_out(frame[i], frames[i].len, 0));
	CHECK(rig_ring_get(out, 0) == NULL);
	CHECK(rig_drops(out, DROP_TOO_LONG) == 2);
	rings_close();
}

/* A queue that another worker holds, a pool that is empty, a queue that is full. */
static void
pressure_story(void)
{
	struct rte_mbuf *all[8192];
	uint8_t frame[60];
	uint32_t n = 0, came = 0;

	rings_open(1, 0);
	rig_frame(frame, sizeof(frame), 3);
	CHECK(port_txq_claim(&out->eth->txqs[0], 1));
	rig_ring_put(in, 0, frame, sizeof(frame));
	CHECK(rig_turn(0) == 1 && rig_ring_get(out, 0) == NULL);
	CHECK(rig_drops(in, DROP_BUSY) + rig_drops(out, DROP_BUSY) == 1);
	port_txq_release(&out->eth->txqs[0]);

	while (n < RTE_DIM(all) && (all[n] = rte_pktmbuf_alloc(out->eth->pool)) != NULL)
		n++;
	rig_ring_put(in, 0, frame, sizeof(frame));
	CHECK(rig_turn(0) == 1 && rig_ring_get(out, 0) == NULL);
	CHECK(rig_drops(out, DROP_NO_MBUF) == 1);
	rte_pktmbuf_free_bulk(all, n);

	for (uint32_t i = 0; i < 1100; i++) {
		rig_ring_put(in, 0, frame, sizeof(frame));
		CHECK(rig_turn(0) == 1);
	}
	while (came_out(frame, sizeof(frame), 0))
		came++;
	CHECK(came == 1023 && rig_drops(out, DROP_DEV_FULL) == 1100 - 1023);
	rings_close();
}

/* A tag that the device has taken out is put back. */
static void
tag_story(void)
{
	uint8_t bare[60], tagged[64];
	struct rte_mbuf *m;

	rings_open(1, 0);
	rig_frame(bare, sizeof(bare), 5);
	memcpy(tagged, bare, 12);
	memcpy(tagged + 12, "\x81\x00\x60\x2a", 4);
	memcpy(tagged + 16, bare + 12, sizeof(bare) - 12);
	rig_ring_put(in, 0, bare, sizeof(bare));
	m = rig_ring_get(in, 0);
	m->ol_flags = RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
	m->vlan_tci = 0x602a;
	CHECK(rte_eth_tx_burst(in->eth->id, 0, &m, 1) == 1);
	CHECK(rig_turn(0) == 1);
	CHECK(came_out(tagged, sizeof(tagged), 0));
	rings_close();
}

/* From a file, through the switch, to a file. */

static void
file_write(const char *path, const uint8_t *frame, const uint32_t *lens, uint32_t n)
{
	pcap_t *pcap = pcap_open_dead(DLT_EN10MB, RIG_FRAME);
	pcap_dumper_t *d = pcap_dump_open(pcap, path);

	for (uint32_t i = 0; i < n; i++) {
		struct pcap_pkthdr h = { .caplen = lens[i], .len = lens[i] };

		pcap_dump((u_char *)d, &h, frame);
	}
	pcap_dump_close(d);
	pcap_close(pcap);
}

static void
file_check(const char *path, const uint8_t *frame, const uint32_t *lens, uint32_t n)
{
	char err[PCAP_ERRBUF_SIZE];
	pcap_t *pcap = pcap_open_offline(path, err);
	struct pcap_pkthdr *h;
	const u_char *data;
	uint32_t i = 0;

	CHECK(pcap != NULL);
	while (pcap != NULL && pcap_next_ex(pcap, &h, &data) == 1) {
		CHECK(i < n && h->caplen == lens[i] && memcmp(data, frame, h->caplen) == 0);
		i++;
	}
	CHECK(i == n);
	if (pcap != NULL)
		pcap_close(pcap);
}

static void
files_story(void)
{
	static const uint32_t lens[] = { 60, 1514, 5000, 9014, 64 };
	static uint8_t frame[RIG_FRAME];
	char dir[] = "/tmp/ferry-eth-XXXXXX", from[64], to[64], devargs[256];
	struct port *p;

	CHECK(mkdtemp(dir) != NULL);
	snprintf(from, sizeof(from), "%s/from", dir);
	snprintf(to, sizeof(to), "%s/to", dir);
	rig_frame(frame, sizeof(frame), 9);
	file_write(from, frame, lens, RTE_DIM(lens));
	snprintf(devargs, sizeof(devargs), "net_pcap0,rx_pcap=%s,tx_pcap=%s", from, to);
	p = rig_add("file", devargs, 0, 0);
	out = rig_add("out", "net_ring1", 1, 0);
	CHECK(p != NULL && out != NULL && p->eth->n_rxq == 1 && p->eth->n_txq == 1);
	CHECK(port_queue_move(rig.ports, p, 0, 0) == 0);
	CHECK(port_queue_move(rig.ports, out, 0, 0) == 0);
	/* Out of the file into the ring; the same worker then takes it from there into the file. */
	for (uint32_t i = 0; i < 4; i++)
		rig_turn(0);
	port_del(rig.ports, p);
	port_del(rig.ports, out);
	file_check(to, frame, lens, RTE_DIM(lens));
	unlink(from);
	unlink(to);
	rmdir(dir);
}

/* More workers than queues: the claim is shared, nobody is lost. */
static void
few_queues_story(void)
{
	uint8_t frame[60];
	struct port *p = rig_add("few", "net_pcap0,tx_pcap=/dev/null", 0, 0);

	in = rig_add("in", "net_ring0", RIG_WORKERS, 0);
	CHECK(p != NULL && in != NULL && p->eth->n_txq == 1 && in->eth->n_rxq == RIG_WORKERS);
	rig_frame(frame, sizeof(frame), 1);
	for (uint16_t w = 0; w < RIG_WORKERS; w++) {
		CHECK(port_queue_move(rig.ports, in, w, w) == 0);
		rig_ring_put(in, w, frame, sizeof(frame));
		rig_turn(w);
	}
	CHECK(rig_info(p)->stats.counts[COUNT_TX_FRAMES] == RIG_WORKERS);
	port_del(rig.ports, p);
	port_del(rig.ports, in);
}

/* A device of EAL's arguments is ours for a while, and is there again afterwards. */
static void
borrowed_story(void)
{
	struct port *p;
	uint16_t id;

	CHECK(rte_dev_probe("net_null5,size=100") == 0);
	CHECK(rig_add("b", "net_null5,size=200", 0, 0) == NULL);
	CHECK(strstr(rig.why, "net_null5,size=100") != NULL);
	p = rig_add("b", "net_null5", 0, 0);
	CHECK(p != NULL);
	if (p != NULL)
		port_del(rig.ports, p);
	CHECK(rte_eth_dev_get_port_by_name("net_null5", &id) == 0);
	p = rig_add("b", "net_null5,size=100", 0, 0);
	CHECK(p != NULL);
	if (p != NULL)
		port_del(rig.ports, p);
	CHECK(rte_eal_hotplug_remove("vdev", "net_null5") == 0);
}

/* A bus takes its device back: the port says so once, until it is removed. */
static void
removed_story(void)
{
	uint8_t frame[60];
	uint32_t before;

	rings_open(1, 0);
	before = rig.n_changed;
	rte_dev_event_callback_process("net_ring1", RTE_DEV_EVENT_REMOVE);
	rte_dev_event_callback_process("net_ring1", RTE_DEV_EVENT_REMOVE);
	CHECK(rig.n_changed == before + 1);
	CHECK_STR("removed", rig_info(out)->state, "broken");
	CHECK_STR("removed", rig.info.reason, "device was removed");
	CHECK_STR("removed", rig_info(in)->state, "up");
	rig_frame(frame, sizeof(frame), 1);
	rig_ring_put(in, 0, frame, sizeof(frame));
	CHECK(rig_turn(0) == 1 && came_out(frame, sizeof(frame), 0));
	/* Control hears of it: nobody sends to it any more, nor polls it; others go on. */
	port_device_gone(rig.ports, in);
	port_device_gone(rig.ports, out);
	port_device_gone(rig.ports, out);
	CHECK(!port_connected(out) && port_connected(in));
	CHECK(rig_info(out)->workers[0] == PORT_WORKER_NONE);
	CHECK(port_queue_move(rig.ports, out, 0, 1) == -ERANGE);
	rig_ring_put(in, 0, frame, sizeof(frame));
	rig_ring_put(out, 0, frame, sizeof(frame));
	CHECK(rig_turn(0) == 1 && rig_turn(1) == 0);
	CHECK(rig_drops(out, DROP_DEAF) == 1);
	CHECK(came_out(frame, sizeof(frame), 0));
	rings_close();
	rte_dev_event_callback_process("net_ring1", RTE_DEV_EVENT_REMOVE);
	CHECK(rig.n_changed == before + 1);
}

void
port_eth_stories(void)
{
	rig_init();
	refusals_run();
	memory_story();
	life_story("net_ring0");
	life_story("net_null0,no-rx=1");
	borrowed_story();
	forward_story();
	place_story();
	move_story();
	length_story();
	pressure_story();
	tag_story();
	files_story();
	few_queues_story();
	removed_story();
	rig_fini();
}
