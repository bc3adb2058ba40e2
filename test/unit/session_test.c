/* SPDX-License-Identifier: BSD-3-Clause */
#include "session_rig.h"

#include "check.h"
#include "log.h"

#include <rte_common.h>
#include <rte_eal.h>

#include <errno.h>
#include <linux/virtio_config.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void
ring_check(const struct rig *r, const struct vmm_guest *g, uint16_t qid)
{
	const struct vmm_ring *ring = g->queues[qid].ring;
	const struct vdev_ring *v = &r->rings[qid];

	CHECK(v->started && v->enabled);
	CHECK(v->size == ring->conf.size);
	CHECK(v->desc.v == ring->addr.desc);
	CHECK(v->driver.v == ring->addr.avail);
	CHECK(v->device.v == ring->addr.used);
	CHECK(v->kickfd >= 0 && v->kickfd != ring->kickfd);
	CHECK(v->callfd >= 0 && v->callfd != ring->callfd);
	CHECK(v->pos.avail == 0 && v->pos.used == 0);
	CHECK(!g->conf.packed || (v->pos.avail_wrap && v->pos.used_wrap));
}

static void
start_in_order(bool packed)
{
	struct session_info info;
	struct rig r;
	struct vmm_guest *g = rig_open(&r, "start", packed, 2);

	CHECK_STR("a start of four rings", rig_told(&r), "RNSQRNSQRNSQRNS");
	rig_info(&r, &info);
	CHECK(info.connected && info.generation == 1);
	CHECK(info.n_rings == 4 && info.n_regions == 2);
	CHECK(info.features == g->front->features);
	CHECK(((info.features >> VIRTIO_F_RING_PACKED) & 1) == packed);
	CHECK(r.cfg.n_rings == 4 && r.cfg.features == info.features);
	CHECK(r.cfg.mem->n_regions == 2);
	for (uint16_t i = 0; i < 4; i++)
		ring_check(&r, g, i);
	rig_close(&r, g);
}

static void
start_split(void)
{
	start_in_order(false);
}

static void
start_packed(void)
{
	start_in_order(true);
}

/* GET_VRING_BASE answers where the owner stood, and the next start goes on from there. */
static void
stop_and_start(bool packed)
{
	static const struct { uint16_t idx; bool wrap; } rows[] = {
		{ 7, true }, { 255, false }, { 0, false }, { 1, true },
	};
	struct rig r;
	struct vmm_guest *g = rig_open(&r, "stop", packed, 2);

	rig_told(&r);
	for (uint16_t i = 0; i < 4; i++)
		rig_move(&r, g, i, rows[i].idx, rows[i].wrap);
	CHECK(vmm_guest_stop(g) == 0);
	CHECK_STR("four rings stop", rig_told(&r), "QRQRQRQ");
	CHECK(rig_wait(&r, SESSION_WAITING));
	for (uint16_t i = 0; i < 4; i++)
		CHECK(g->queues[i].base == (rows[i].idx | (packed && rows[i].wrap ? 1u << 15 : 0)));

	/* The harness says 0, but the guest's used index says otherwise on split rings. */
	CHECK(vmm_guest_start(g) == 0);
	for (uint16_t i = 0; i < 4; i++) {
		CHECK(r.rings[i].pos.avail == (packed ? 0 : rows[i].idx));
		CHECK(r.rings[i].pos.used == r.rings[i].pos.avail);
	}
	rig_close(&r, g);
}

static void
stop_split(void)
{
	stop_and_start(false);
}

static void
stop_packed(void)
{
	stop_and_start(true);
}

static void
descriptors_change(void)
{
	struct rig r;
	struct vmm_guest *g = rig_open(&r, "fds", false, 1);
	eventfd_t n = 0;
	int old;

	rig_told(&r);
	CHECK(vmm_guest_enable(g, 0, false) == 0);
	CHECK_STR("disable", rig_told(&r), "SS");
	CHECK(!r.set.enabled && r.set_qid == 1);
	CHECK(vmm_guest_enable(g, 0, true) == 0);
	CHECK_STR("enable", rig_told(&r), "SS");

	old = r.rings[1].callfd;
	CHECK(vmm_guest_call_change(g, 1) == 0);
	CHECK_STR("call", rig_told(&r), "S");
	CHECK(r.set_qid == 1 && r.set.callfd != old && r.set.kickfd == r.rings[1].kickfd);
	CHECK(eventfd_read(g->queues[1].ring->callfd, &n) == 0 && n >= 1);

	old = r.rings[1].kickfd;
	CHECK(vmm_guest_kick_change(g, 1) == 0);
	CHECK_STR("kick", rig_told(&r), "S");
	CHECK(r.set.kickfd != old);
	CHECK(eventfd_write(g->queues[1].ring->kickfd, 1) == 0);
	CHECK(eventfd_read(r.set.kickfd, &n) == 0);
	CHECK(vmm_front_send_fd(g->front, VMM_SET_VRING_CALL, 1, -1) == 0);
	CHECK(r.set.callfd == -1);
	rig_close(&r, g);
}

static void
owner_fails(void)
{
	struct session_info info;
	struct rig r;
	struct vmm_guest *g = rig_open(&r, "fails", false, 1);

	rig_told(&r);
	r.ring_set_rc = -ENOMEM;
	CHECK(vmm_guest_enable(g, 0, false) == 0);
	CHECK_STR("what cannot be set is started again", rig_told(&r), "SQRSQR");
	CHECK(!r.rings[0].enabled && !r.rings[1].enabled);
	r.ring_set_rc = 0;

	r.run_rc = -ENOTSUP;
	CHECK(vmm_front_send_state(g->front, VMM_SET_VRING_NUM, 0, 64) == 0);
	rig_info(&r, &info);
	CHECK(info.state == SESSION_BROKEN && strstr(info.reason, "cannot run") != NULL);
	r.run_rc = 0;
	CHECK(vmm_guest_addr_send(g, 0) == 0);
	CHECK_STR("it is not tried again for nothing", rig_told(&r), "QR");
	CHECK(vmm_guest_kick_change(g, 0) == 0);
	CHECK_STR("a start brings it back", rig_told(&r), "R");
	CHECK(rig_wait(&r, SESSION_UP));
	rig_close(&r, g);
}

static void
rings_change(void)
{
	struct rig r;
	struct vmm_guest *g = rig_open(&r, "rings", false, 1);
	uint64_t features = g->front->features;

	rig_told(&r);
	rig_move(&r, g, 1, 9, false);
	CHECK(vmm_guest_addr_send(g, 1) == 0);
	CHECK_STR("the same addresses", rig_told(&r), "");
	CHECK(vmm_front_send_state(g->front, VMM_SET_VRING_NUM, 1, 64) == 0);
	CHECK_STR("size", rig_told(&r), "QR");
	CHECK(r.rings[1].size == 64 && r.rings[1].pos.avail == 9);
	CHECK(vmm_front_send_state(g->front, VMM_SET_VRING_NUM, 1, 100) == 0);
	CHECK_STR("a size that no ring has is for the provider", rig_told(&r), "QR");
	CHECK(r.rings[1].size == 100);
	CHECK(vmm_front_send_u64(g->front, VMM_SET_FEATURES, features) == 0);
	CHECK_STR("the same features", rig_told(&r), "");
	CHECK(vmm_front_send(g->front, VMM_RESET_OWNER, NULL, 0, NULL, 0) == 0);
	CHECK_STR("reset owner", rig_told(&r), "QR");
	CHECK(!r.rings[0].enabled && r.rings[0].started);
	CHECK(rig_wait(&r, SESSION_UP));
	rig_close(&r, g);
}

/* Addresses outside of the memory are told to the owner as such, whatever the library thinks. */
static void
address_nowhere(void)
{
	struct vmm_vring_addr addr = { .index = 0, .desc = 0x1000, .avail = ~0ULL, .used = 0 };
	struct rig r;
	struct vmm_guest *g = rig_open(&r, "nowhere", false, 1);

	/* The last page of the last region: it begins there and does not end there. */
	addr.desc = (uintptr_t)g->mem->regions[1].host + g->mem->regions[1].size - 4080;
	CHECK(vmm_front_send(g->front, VMM_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0) == 0);
	CHECK(rig_wait(&r, SESSION_UP));
	CHECK(r.rings[0].started);
	CHECK(r.rings[0].desc.v == UINT64_MAX);
	CHECK(r.rings[0].driver.v == UINT64_MAX);
	CHECK(r.rings[0].device.v == UINT64_MAX);
	CHECK(r.rings[1].desc.v == g->queues[1].ring->addr.desc);
	rig_close(&r, g);
}

static void
queue_num(void)
{
	struct rig r;
	struct vmm_guest *g;

	CHECK(rig_create(&r, "num", false, 3) == 0);
	g = rig_guest(&r, false, 3);
	CHECK(vmm_guest_connect(g) == 0);
	CHECK(g->front->queue_max == 3);
	CHECK((g->front->offered & (1ULL << VMM_F_LOG_ALL)) == 0);
	CHECK((g->front->offered & (1ULL << VIRTIO_F_ACCESS_PLATFORM)) == 0);
	CHECK((g->front->offered & (1ULL << VIRTIO_NET_F_MTU)) == 0);
	CHECK((g->front->protocol & (VMM_PROTO_LOG_SHMFD | VMM_PROTO_NET_MTU)) == 0);
	rig_close(&r, g);
}

/* Before any ring is started, and never for an address that no guest has. */
static void
announce(void)
{
	static const uint8_t mac[8] = { 0x52, 0x54, 0, 1, 2, 3 };
	static const uint8_t group[8] = { 0x53, 0x54, 0, 1, 2, 3 };
	struct rig r;
	struct vmm_guest *g;

	CHECK(rig_create(&r, "rarp", false, 1) == 0);
	g = rig_guest(&r, false, 1);
	CHECK(vmm_guest_connect(g) == 0);
	CHECK(vmm_front_send(g->front, VMM_SEND_RARP, group, 8, NULL, 0) == 0);
	CHECK_STR("a group address", rig_told(&r), "");
	CHECK(vmm_front_send(g->front, VMM_SEND_RARP, mac, 8, NULL, 0) == 0);
	CHECK_STR("an address", rig_told(&r), "A");
	CHECK(memcmp(&r.mac, mac, 6) == 0);
	rig_close(&r, g);
}

/* A front-end that does not negotiate protocol features never enables a ring. */
static void
enabled_from_the_start(void)
{
	struct rig r;
	struct vmm_guest *g;

	CHECK(rig_create(&r, "plain", false, 1) == 0);
	g = rig_guest(&r, false, 1);
	CHECK(vmm_guest_connect(g) == 0);
	g->front->features &= ~(1ULL << VMM_F_PROTOCOL_FEATURES);
	CHECK(vmm_guest_start(g) == 0);
	CHECK(rig_wait(&r, SESSION_UP));
	CHECK(r.rings[0].enabled && r.rings[1].enabled);
	rig_close(&r, g);
}

static void
reconnect_server(void)
{
	struct session_info info;
	struct rig r;
	struct vmm_guest *g = rig_open(&r, "server", false, 1);

	vmm_guest_disconnect(g);
	CHECK(rig_wait(&r, SESSION_WAITING));
	rig_info(&r, &info);
	CHECK(!info.connected && info.n_rings == 0 && info.n_regions == 0);

	/* The next one comes before the library has noticed that the last one went. */
	for (uint32_t i = 2; i < 50; i++) {
		CHECK(vmm_guest_open(g) == 0);
		CHECK(rig_wait(&r, SESSION_UP));
		rig_info(&r, &info);
		CHECK(info.generation == i);
		vmm_front_disconnect(g->front);
	}
	rig_close(&r, g);
}

static void
reconnect_client(void)
{
	struct vmm_guest_conf conf;
	struct vmm_guest *g;
	struct rig r;

	CHECK(rig_create(&r, "client", true, 1) == 0);
	vmm_guest_conf_init(&conf);
	conf.path = r.path;
	conf.server = true;
	conf.n_bufs = 16;
	CHECK(vmm_guest_create(&g, &conf, &rig_fault) == 0);
	for (uint32_t i = 1; i < 4; i++) {
		CHECK(vmm_guest_open(g) == 0);
		CHECK(rig_wait_generation(&r, i));
		CHECK(rig_wait(&r, SESSION_UP));
		vmm_guest_disconnect(g);
		CHECK(rig_wait(&r, SESSION_WAITING));
	}
	rig_close(&r, g);

	/* Listening already, so it connects before session_create() has returned. */
	CHECK(vmm_guest_create(&g, &conf, &rig_fault) == 0);
	CHECK(rig_create(&r, "client", true, 1) == 0);
	CHECK(vmm_guest_open(g) == 0);
	CHECK(rig_wait(&r, SESSION_UP));
	rig_destroy(&r); /* while it runs */
	CHECK(vmm_front_closed(g->front));
	vmm_guest_destroy(g);
}

/*
 * QEMU names every ring that there may be before its guest has decided about multiqueue; without
 * it the library drops all but the first pair.
 */
static void
rings_dropped(void)
{
	struct session_info info;
	struct vmm_guest *g;
	struct rig r;
	int fd;

	CHECK(rig_create(&r, "dropped", false, 2) == 0);
	g = rig_guest(&r, false, 1);
	g->conf.features_off = 1ULL << VIRTIO_NET_F_MQ;
	CHECK(vmm_guest_connect(g) == 0);
	fd = eventfd(0, EFD_CLOEXEC);
	for (uint32_t i = 0; i < 4; i++)
		CHECK(vmm_front_send_fd(g->front, VMM_SET_VRING_CALL, i, fd) == 0);
	close(fd);
	rig_info(&r, &info);
	CHECK(info.n_rings == 4);
	CHECK(vmm_guest_start(g) == 0);
	rig_info(&r, &info);
	CHECK(info.state == SESSION_UP && info.n_rings == 2 && r.cfg.n_rings == 2);
	rig_close(&r, g);
}

static void
second_refused(void)
{
	struct session_info info;
	struct rig r;
	struct vmm_guest *g = rig_open(&r, "second", false, 1);
	struct vmm_guest *other = rig_guest(&r, false, 1);

	rig_told(&r);
	CHECK(vmm_guest_connect(other) == -ECONNRESET);
	CHECK_STR("the first one is not disturbed", rig_told(&r), "");
	CHECK(vmm_guest_addr_send(g, 0) == 0);
	rig_info(&r, &info);
	CHECK(info.state == SESSION_UP && info.generation == 1);
	vmm_guest_destroy(other);
	rig_close(&r, g);
}

static void
broken_and_back(void)
{
	struct session_info info;
	struct rig r;
	struct vmm_guest *g = rig_open(&r, "broken", false, 1);

	rig_told(&r);
	rig_move(&r, g, 0, 3, false);
	pthread_mutex_lock(&r.lock);
	session_break(r.session, "because of the test");
	pthread_mutex_unlock(&r.lock);
	CHECK_STR("break", rig_told(&r), "Q");
	rig_info(&r, &info);
	CHECK(info.state == SESSION_BROKEN);
	CHECK_STR("its reason", info.reason, "because of the test");

	CHECK(vmm_guest_enable(g, 0, false) == 0);
	CHECK(vmm_guest_addr_send(g, 1) == 0);
	CHECK_STR("messages are accepted and start nothing", rig_told(&r), "");
	CHECK(vmm_guest_stop(g) == 0);
	CHECK(g->queues[0].base == 3);
	CHECK(vmm_guest_start(g) == 0);
	CHECK(rig_wait(&r, SESSION_UP));
	rig_close(&r, g);
}

/* The library makes its threads and its pipe once, with the first session. */
static void
warm_up(void)
{
	struct rig r;
	struct vmm_guest *g = rig_open(&r, "first", false, 1);

	rig_close(&r, g);
	CHECK(rig_create(&r, "first", true, 1) == 0);
	rig_destroy(&r);
}

int
main(int argc, char **argv)
{
	char *eal[] = { argv[0], "--no-huge", "--no-shconf", "--no-pci", "--no-telemetry",
			"-m", "64", "-l", "0", "--log-level", "ferry.session:critical",
			"--log-level", "lib.vhost.*:critical" };

	if (rte_eal_init(RTE_DIM(eal), eal) < 0 || gmem_guard_init() < 0)
		return EXIT_FAILURE;
	rig_init();
	warm_up();
	rig_story("start, split", start_split);
	rig_story("start, packed", start_packed);
	rig_story("stop, split", stop_split);
	rig_story("stop, packed", stop_packed);
	rig_story("descriptors change", descriptors_change);
	rig_story("owner fails", owner_fails);
	rig_story("rings change", rings_change);
	rig_story("address nowhere", address_nowhere);
	rig_story("queue number and features", queue_num);
	rig_story("announce", announce);
	rig_story("enabled from the start", enabled_from_the_start);
	rig_story("reconnect, server", reconnect_server);
	rig_story("reconnect, client", reconnect_client);
	rig_story("rings dropped", rings_dropped);
	rig_story("second refused", second_refused);
	rig_story("broken and back", broken_and_back);
	session_log_stories();
	session_mem_stories();
	session_path_stories();
	session_bad_stories();
	rig_fini();
	return check_done("session");
}
