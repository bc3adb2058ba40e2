/* SPDX-License-Identifier: BSD-3-Clause */
#include "eth_rig.h"
#include "fds.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* A real interface of the kernel, in a network namespace that ends with this test. */

#define IFACE   "ferry0"
#define DEVARGS "net_tap0,iface=" IFACE
#define WAIT_MS 2000

static struct port *tap, *ring;
static int raw;              /* the kernel's side */

static int
raw_open(void)
{
	struct timeval t = { .tv_sec = WAIT_MS / 1000 };
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(IFACE),
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, to.sll_protocol);

	CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	return fd;
}

/* What came out of the switch; our own frames are seen here, too. */
static uint32_t
raw_get(uint8_t *to)
{
	struct sockaddr_ll from;
	socklen_t size = sizeof(from);
	ssize_t n;

	do {
		n = recvfrom(raw, to, RIG_FRAME, 0, (struct sockaddr *)&from, &size);
	} while (n >= 0 && from.sll_pkttype == PACKET_OUTGOING);
	return n < 0 ? 0 : (uint32_t)n;
}

static void
open_both(void)
{
	tap = rig_add("tap", DEVARGS, 1, 0);
	ring = rig_add("ring", "net_ring1", 1, 0);
	CHECK(tap != NULL && ring != NULL);
	CHECK(port_queue_move(rig.ports, tap, 0, 0) == 0);
	CHECK(port_queue_move(rig.ports, ring, 0, 1) == 0);
	raw = raw_open();
}

static void
close_both(void)
{
	close(raw);
	port_del(rig.ports, ring);
	port_del(rig.ports, tap);
	CHECK(if_nametoindex(IFACE) == 0);
}

static bool
ring_has(const uint8_t *frame, uint32_t len)
{
	static uint8_t got[RIG_FRAME];
	struct rte_mbuf *m = rig_ring_get(ring, 0);
	bool same = false;

	if (m == NULL)
		return false;
	rig_mbuf_copy(m, got);
	same = m->pkt_len == len && memcmp(got, frame, len) == 0;
	rte_pktmbuf_free(m);
	return same;
}

static int
sleep_ms(int ms)
{
	struct epoll_event events[4];

	return epoll_wait(swdev_epfd(rig.pool, 0), events, RTE_DIM(events), ms);
}

static bool
arm(bool *bounded)
{
	bool ready;

	cross_online(rig.cross, 0);
	ready = fwd_arm(rig.fwd[0], bounded);
	cross_offline(rig.cross, 0);
	return ready;
}

/* A worker sleeps without a limit, is woken once per arrival, and does not spin. */
static void
wake_story(void)
{
	uint8_t frame[100];
	bool bounded;

	open_both();
	CHECK(rig_info(tap)->rx_interrupts);
	while (sleep_ms(0) > 0 || rig_turn(0) > 0)
		;
	CHECK(!arm(&bounded) && !bounded);
	CHECK(sleep_ms(50) == 0);
	for (uint32_t n = 1; n <= 40; n += 13) {
		for (uint32_t i = 0; i < n; i++) {
			rig_frame(frame, sizeof(frame), (uint8_t)i);
			CHECK(send(raw, frame, sizeof(frame), 0) == sizeof(frame));
		}
		CHECK(sleep_ms(WAIT_MS) == 1);
		CHECK(rig_turn(0) + rig_turn(0) == n && rig_turn(0) == 0);
		for (uint32_t i = 0; i < n; i++) {
			rig_frame(frame, sizeof(frame), (uint8_t)i);
			CHECK(ring_has(frame, sizeof(frame)));
		}
		CHECK(sleep_ms(20) == 0);
	}
	/* What comes between the last look and the sleep is met by the look while arming. */
	CHECK(send(raw, frame, sizeof(frame), 0) == sizeof(frame));
	CHECK(arm(&bounded) && ring_has(frame, sizeof(frame)));
	close_both();
}

/* No realtime signal per frame: the driver polls its descriptor when it is polled. */
static void
signal_story(void)
{
	struct sigaction act;
	int fd;

	open_both();
	fd = rte_eth_dev_rx_intr_ctl_q_get_fd(tap->eth->id, 0);
	CHECK(fd >= 0 && (fcntl(fd, F_GETFL) & O_ASYNC) == 0);
	for (int s = SIGRTMIN; s <= SIGRTMAX; s++)
		CHECK(sigaction(s, NULL, &act) == 0 && act.sa_handler == SIG_DFL);
	close_both();
}

static const struct {
	const char *story;
	struct packet packet;
	uint16_t gso_size;
	uint32_t n_frames;
} sums[] = {
	{ "TCP", { .payload = 1400 }, 0, 1 },
	{ "TCP, odd length, options", { .n_options = 3, .payload = 1399 }, 0, 1 },
	{ "TCP over IPv6", { true, .payload = 1001 }, 0, 1 },
	{ "UDP", { false, true, .payload = 33 }, 0, 1 },
	{ "UDP over IPv6", { true, true, .payload = 1399 }, 0, 1 },
	{ "segments that fill the MTU", { .n_options = 3, .payload = 30001 }, 1448, 21 },
	{ "segments over IPv6", { true, false, 0, 3, 30001 }, 1428, 22 },
};

/* The driver sums in software, what it writes is right; segments are cut here. */
static void
sums_story(void)
{
	static uint8_t frame[RIG_FRAME], got[RIG_FRAME];
	uint64_t offloads;

	open_both();
	offloads = tap->live->eth_tx_offloads;
	CHECK((offloads & RTE_ETH_TX_OFFLOAD_TCP_CKSUM) != 0);
	CHECK((offloads & RTE_ETH_TX_OFFLOAD_TCP_TSO) == 0);
	for (uint32_t i = 0; i < RTE_DIM(sums); i++) {
		const struct packet *p = &sums[i].packet;
		uint32_t failed = checks_failed, head = packet_payload(p), done = 0;

		packet_deliver(tap, offloads, frame, packet_make(frame, p), p, sums[i].gso_size);
		for (uint32_t n = 0; n < sums[i].n_frames; n++) {
			uint32_t len = raw_get(got);

			CHECK(len > head && packet_right(got, len, p));
			if (len <= head)
				break;
			CHECK(memcmp(got + head, frame + head + done, len - head) == 0);
			done += len - head;
		}
		CHECK(done == p->payload);
		if (failed != checks_failed)
			fprintf(stderr, "  in: %s\n", sums[i].story);
	}
	CHECK(rig_info(tap)->stats.counts[COUNT_CSUM] == 0);
	close_both();
}

/* What is too long for the interface is dropped alone. */
static void
length_story(void)
{
	static const uint32_t lens[] = { 1514, 1515, 64, 3000, 100 };
	uint8_t frame[RTE_DIM(lens)][3000], got[RIG_FRAME];

	open_both();
	for (uint32_t i = 0; i < RTE_DIM(lens); i++) {
		rig_frame(frame[i], lens[i], (uint8_t)i);
		rig_ring_put(ring, 0, frame[i], lens[i]);
	}
	CHECK(rig_turn(1) == RTE_DIM(lens));
	for (uint32_t i = 0; i < RTE_DIM(lens); i++)
		if (lens[i] <= 1514)
			CHECK(raw_get(got) == lens[i] && memcmp(got, frame[i], lens[i]) == 0);
	CHECK(rig_drops(tap, DROP_TOO_LONG) == 2 && rig_drops(tap, DROP_DEV_FULL) == 0);
	close_both();
}

static int
iface_ioctl(unsigned long what, struct ifreq *ifr)
{
	int rc;

	snprintf(ifr->ifr_name, sizeof(ifr->ifr_name), IFACE);
	rc = ioctl(raw, what, ifr);
	return rc;
}

static bool
becomes(const char *state)
{
	for (int ms = 0; ms < WAIT_MS; ms += 10) {
		if (strcmp(rig_info(tap)->state, state) == 0)
			return true;
		usleep(10000);
	}
	return false;
}

static void
link_story(void)
{
	struct ifreq ifr = { .ifr_flags = 0 };

	open_both();
	CHECK(becomes("up"));
	CHECK(iface_ioctl(SIOCGIFFLAGS, &ifr) == 0);
	ifr.ifr_flags &= ~IFF_UP;
	CHECK(iface_ioctl(SIOCSIFFLAGS, &ifr) == 0);
	CHECK(becomes("waiting"));
	CHECK_STR("link", rig.info.reason, "link is down");
	ifr.ifr_flags |= IFF_UP;
	CHECK(iface_ioctl(SIOCSIFFLAGS, &ifr) == 0);
	CHECK(becomes("up"));
	close_both();
}

static void
iface_delete(void)
{
	struct {
		struct nlmsghdr head;
		struct ifinfomsg info;
	} ask = {
		.head = { .nlmsg_len = sizeof(ask), .nlmsg_type = RTM_DELLINK,
			  .nlmsg_flags = NLM_F_REQUEST },
		.info = { .ifi_index = (int)if_nametoindex(IFACE) },
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	CHECK(fd >= 0 && send(fd, &ask, sizeof(ask), 0) == sizeof(ask));
	close(fd);
}

/* Someone takes the interface away: the port breaks by name and nothing else does. */
static void
gone_story(void)
{
	uint8_t frame[60];

	open_both();
	iface_delete();
	CHECK(becomes("broken"));
	CHECK_STR("gone", rig.info.reason, "its interface is gone");
	rig_frame(frame, sizeof(frame), 1);
	rig_ring_put(ring, 0, frame, sizeof(frame));
	CHECK(rig_turn(1) == 1 && rig_turn(0) == 0);
	CHECK(rig_drops(tap, DROP_DEV_FULL) == 1);
	close_both();
}

static void
refusals_story(void)
{
	struct ifreq ifr;

	open_both();
	CHECK(rig_add("x", "net_tap1,iface=" IFACE, 1, 0) == NULL);
	CHECK(strstr(rig.why, "port \"tap\" has it already") != NULL);
	CHECK(rig_add("x", "net_tap1,iface=lo", 1, 0) == NULL);
	CHECK(strstr(rig.why, "interface lo exists") != NULL);
	CHECK(rig_add("x", "net_af_packet0,iface=nobody", 1, 0) == NULL);
	CHECK(strstr(rig.why, "no interface nobody") != NULL);
	CHECK(rig_add("x", "net_af_packet0", 1, 0) == NULL);
	CHECK(strstr(rig.why, "iface=NAME") != NULL);
	CHECK(rig_add("x", "net_tap1", 1, 9000) == NULL);
	CHECK(strstr(rig.why, "mtu: net_tap1 takes 68 to 1504, not 9000") != NULL);
	close_both();

	tap = rig_add("tap", DEVARGS, 1, 1300);
	raw = raw_open();
	CHECK(tap != NULL && iface_ioctl(SIOCGIFMTU, &ifr) == 0 && ifr.ifr_mtu == 1300);
	close(raw);
	port_del(rig.ports, tap);
}

/* The socket that af_packet has on an interface. */
static int
packet_socket(unsigned int if_index)
{
	for (int fd = 3; fd < 1024; fd++) {
		struct sockaddr_ll addr = { .sll_family = AF_UNSPEC };
		socklen_t len = sizeof(addr);

		if (getsockname(fd, (struct sockaddr *)&addr, &len) == 0 &&
		    addr.sll_family == AF_PACKET && addr.sll_ifindex == (int)if_index)
			return fd;
	}
	return -1;
}

/* Whatever the driver has on its way, poll() does not wait: a worker would. */
static void
packet_story(void)
{
	struct port *p = rig_add("p", "net_af_packet0,iface=lo", 1, 0);
	int fd = packet_socket(if_nametoindex("lo")), size = 0;
	socklen_t len = sizeof(size);

	CHECK(p != NULL && fd >= 0);
	CHECK(getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &len) == 0 && size >= 1 << 30);
	if (p != NULL)
		port_del(rig.ports, p);
}

/* As many queues as workers; opened and closed often, nothing stays behind. */
static void
life_story(void)
{
	uint32_t fds = 0;
	size_t heap = 0;

	for (uint32_t i = 0; i < 4; i++) {
		tap = rig_add("tap", DEVARGS, 0, 0);
		CHECK(tap != NULL && tap->eth->n_rxq == RIG_WORKERS);
		CHECK(tap != NULL && tap->eth->n_txq == RIG_WORKERS);
		if (tap != NULL)
			port_del(rig.ports, tap);
		CHECK(if_nametoindex(IFACE) == 0);
		CHECK(i == 0 || (fds_count() == fds && rig_heap() <= heap));
		fds = fds_count();
		heap = rig_heap();
	}
}

/* Neighbour discovery would be traffic of its own. */
static void
quiet(void)
{
	int fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, "1", 1) < 0)
		perror("disable_ipv6");
	if (fd >= 0)
		close(fd);
}

bool
port_eth_tap_stories(void)
{
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (fd < 0 || unshare(CLONE_NEWNET) < 0)
		return false;
	close(fd);
	quiet();
	rig_init();
	life_story();
	signal_story();
	wake_story();
	sums_story();
	length_story();
	link_story();
	gone_story();
	refusals_story();
	packet_story();
	rig_fini();
	return true;
}
