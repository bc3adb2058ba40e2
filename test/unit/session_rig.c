/* SPDX-License-Identifier: BSD-3-Clause */
#include "session_rig.h"

#include "check.h"
#include "clock.h"
#include "fds.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define DEADLINE_NS (5ULL * NS_PER_S)
#define NAP_US      1000

/* Those of a provider that can do all that the harness asks for. */
#define FEATURES \
	(1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_F_RING_PACKED | 1ULL << VIRTIO_F_IN_ORDER | \
	 1ULL << VIRTIO_NET_F_MRG_RXBUF | 1ULL << VIRTIO_RING_F_INDIRECT_DESC | \
	 1ULL << VIRTIO_RING_F_EVENT_IDX | 1ULL << VIRTIO_F_ANY_LAYOUT)

struct vmm_fault rig_fault;
mode_t rig_mode;

static void
told(struct rig *r, char what)
{
	if (r->n_told < RIG_LOG - 1)
		r->told[r->n_told++] = what;
}

/* Touches what the last run was given: it must still be mapped and open. */
static void
touch(const struct rig *r)
{
	for (uint16_t i = 0; i < r->cfg.n_rings; i++) {
		const struct vdev_ring *v = &r->rings[i];
		const uint8_t *used;

		if (!v->started || v->device.v == UINT64_MAX)
			continue;
		used = gmem_at(r->cfg.mem, v->device, 4);
		CHECK(used != NULL);
		if (used != NULL)
			(void)*(const volatile uint8_t *)used;
		CHECK(v->kickfd < 0 || (fcntl(v->kickfd, F_GETFL) & O_NONBLOCK) != 0);
		CHECK(v->callfd < 0 || (fcntl(v->callfd, F_GETFL) & O_NONBLOCK) != 0);
	}
}

static void
on_quiesce(void *owner, struct vring_pos *pos)
{
	struct rig *r = owner;

	CHECK(r->running);
	CHECK(pthread_mutex_trylock(&r->lock) == EBUSY);
	touch(r);
	r->running = false;
	told(r, 'Q');
	for (uint16_t i = 0; i < r->cfg.n_rings; i++)
		if (r->rings[i].started)
			pos[i] = r->pos[i];
	if (r->on_quiesce != NULL)
		r->on_quiesce(r->arg);
	r->on_quiesce = NULL;
}

static int
on_run(void *owner, const struct vdev_cfg *cfg)
{
	struct rig *r = owner;

	CHECK(!r->running);
	CHECK(pthread_mutex_trylock(&r->lock) == EBUSY);
	CHECK(cfg->n_rings <= RIG_RINGS);
	told(r, 'R');
	if (r->run_rc < 0)
		return r->run_rc;
	r->running = true;
	r->cfg = *cfg;
	for (uint16_t i = 0; i < cfg->n_rings; i++) {
		r->rings[i] = cfg->rings[i];
		r->pos[i] = cfg->rings[i].pos;
	}
	r->cfg.rings = r->rings;
	return 0;
}

static int
on_ring_set(void *owner, uint16_t qid, const struct vdev_ring_set *how)
{
	struct rig *r = owner;

	CHECK(r->running);
	CHECK(qid < r->cfg.n_rings && r->rings[qid].started);
	touch(r); /* the old descriptors are open until this returns */
	told(r, 'S');
	if (r->ring_set_rc < 0)
		return r->ring_set_rc;
	r->set = *how;
	r->set_qid = qid;
	r->rings[qid].kickfd = how->kickfd;
	r->rings[qid].callfd = how->callfd;
	r->rings[qid].enabled = how->enabled;
	return 0;
}

static int
on_log_set(void *owner, const struct dirty *log)
{
	struct rig *r = owner;

	CHECK(r->running);
	r->cfg.log = log;
	told(r, 'L');
	return r->log_set_rc;
}

static void
on_leaving(void *owner, uint64_t features, uint16_t n_rx)
{
	struct rig *r = owner;

	told(r, 'V');
}

static void
on_arrived(void *owner, uint64_t features, bool restored)
{
	struct rig *r = owner;

	told(r, 'N');
}

static void
on_announce(void *owner, const struct rte_ether_addr *mac)
{
	struct rig *r = owner;

	r->mac = *mac;
	told(r, 'A');
}

static void
on_moment(void *owner, enum moment moment, uint64_t value)
{
	struct rig *r = owner;
	size_t n = strlen(r->moments);

	snprintf(r->moments + n, sizeof(r->moments) - n, "%s=%llx ", moment_names[moment],
		 (unsigned long long)value);
}

static void
on_changed(void *owner)
{
	struct rig *r = owner;
	struct session_info info;

	CHECK(r->session != NULL);
	session_info(r->session, &info);
	CHECK((info.state == SESSION_UP) == (info.reason[0] == '\0'));
	CHECK((info.state == SESSION_UP) == r->running);
	r->n_changed++;
}

static const struct session_ops ops = {
	.quiesce = on_quiesce,
	.run = on_run,
	.ring_set = on_ring_set,
	.log_set = on_log_set,
	.leaving = on_leaving, .arrived = on_arrived,
	.announce = on_announce,
	.moment = on_moment,
	.changed = on_changed,
};

/*
 * The library's thread notices a new socket when its poll() returns, after up to a second.  A
 * connection to a socket that it knows already makes it look now.
 */
bool rig_can_log;

static struct rig bell;

static bool
bell_heard(uint32_t generation)
{
	uint64_t until = clock_ns() + DEADLINE_NS;
	struct session_info info;

	do {
		rig_info(&bell, &info);
		if (info.generation == generation && !info.connected)
			return true;
		usleep(NAP_US);
	} while (clock_ns() < until);
	return false;
}

static void
bell_ring(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct session_info info;

	rig_info(&bell, &info);
	memcpy(un.sun_path, bell.path, strnlen(bell.path, sizeof(un.sun_path) - 1));
	CHECK(connect(fd, (struct sockaddr *)&un, sizeof(un)) == 0);
	close(fd);
	CHECK(bell_heard(info.generation + 1));
}

void
rig_init(void)
{
	CHECK(rig_create(&bell, "bell", false, 1) == 0);
}

void
rig_fini(void)
{
	rig_destroy(&bell);
	if (rmdir(rig_dir()) < 0)
		perror(rig_dir());
}

int
rig_create(struct rig *r, const char *name, bool client, uint16_t pairs)
{
	struct session_opts opts = {
		.path = r->path,
		.client = client,
		.n_pairs_max = pairs,
		.name = name,
		.features = FEATURES,
		.can_log = rig_can_log,
		.mode = rig_mode,
		.group = (gid_t)-1,
		.lock = &r->lock,
		.ops = &ops,
		.owner = r,
	};
	int rc;

	memset(r, 0, sizeof(*r));
	pthread_mutex_init(&r->lock, NULL);
	snprintf(r->path, sizeof(r->path), "%s/%s", rig_dir(), name);
	rc = session_create(&opts, &r->session);
	if (bell.session != NULL && r != &bell)
		bell_ring();
	return rc;
}

void
rig_destroy(struct rig *r)
{
	session_destroy(r->session);
	CHECK(!r->running);
	r->session = NULL;
	pthread_mutex_destroy(&r->lock);
}

void
rig_info(struct rig *r, struct session_info *out)
{
	pthread_mutex_lock(&r->lock);
	session_info(r->session, out);
	pthread_mutex_unlock(&r->lock);
}

bool
rig_wait(struct rig *r, enum session_state state)
{
	uint64_t until = clock_ns() + DEADLINE_NS;
	struct session_info info;

	do {
		rig_info(r, &info);
		if (info.state == state)
			return true;
		usleep(NAP_US);
	} while (clock_ns() < until);
	fprintf(stderr, "%s: state %d, %s\n", r->path, info.state, info.reason);
	return false;
}

bool
rig_wait_generation(struct rig *r, uint32_t generation)
{
	uint64_t until = clock_ns() + DEADLINE_NS;
	struct session_info info;

	do {
		rig_info(r, &info);
		if (info.generation >= generation && info.connected)
			return true;
		usleep(NAP_US);
	} while (clock_ns() < until);
	return false;
}

const char *
rig_told(struct rig *r)
{
	static char text[RIG_LOG];

	pthread_mutex_lock(&r->lock);
	memcpy(text, r->told, r->n_told);
	text[r->n_told] = '\0';
	r->n_told = 0;
	pthread_mutex_unlock(&r->lock);
	return text;
}

const char *
rig_moments(struct rig *r)
{
	static char text[sizeof(r->moments)];

	pthread_mutex_lock(&r->lock);
	memcpy(text, r->moments, sizeof(text));
	r->moments[0] = '\0';
	pthread_mutex_unlock(&r->lock);
	return text;
}

struct vmm_guest *
rig_guest(struct rig *r, bool packed, uint16_t pairs)
{
	struct vmm_guest_conf conf;
	struct vmm_guest *g;

	vmm_guest_conf_init(&conf);
	conf.path = r->path;
	conf.packed = packed;
	conf.pairs = pairs;
	conf.n_regions = 2;
	conf.n_bufs = 16;
	conf.pos = packed ? 1 << 15 : 0;
	conf.ack_all = true;
	if (vmm_guest_create(&g, &conf, &rig_fault) < 0)
		abort();
	return g;
}

struct vmm_guest *
rig_open(struct rig *r, const char *name, bool packed, uint16_t pairs)
{
	struct vmm_guest *g;

	CHECK(rig_create(r, name, false, pairs) == 0);
	g = rig_guest(r, packed, pairs);
	CHECK(vmm_guest_open(g) == 0);
	CHECK(rig_wait(r, SESSION_UP));
	return g;
}

struct vmm_guest *
rig_open_quiet(struct rig *r, const char *name)
{
	struct vmm_guest *g = rig_open(r, name, false, 1);

	rig_told(r);
	return g;
}

void
rig_close(struct rig *r, struct vmm_guest *g)
{
	vmm_guest_destroy(g);
	rig_destroy(r);
}

void
rig_move(struct rig *r, struct vmm_guest *g, uint16_t qid, uint16_t idx, bool wrap)
{
	struct vring_used *used;

	pthread_mutex_lock(&r->lock);
	r->pos[qid] = (struct vring_pos){ .avail = idx, .used = idx,
					  .avail_wrap = wrap, .used_wrap = wrap };
	if (!g->conf.packed) {
		used = vmm_mem_host(g->mem, g->queues[qid].ring->addr.used, sizeof(*used));
		used->idx = idx;
	}
	pthread_mutex_unlock(&r->lock);
}

static char dir[] = "/tmp/ferry-session-XXXXXX";
static bool dir_made;

const char *
rig_dir(void)
{
	if (!dir_made && mkdtemp(dir) == NULL)
		abort();
	dir_made = true;
	return dir;
}

/* The library closes what its threads have in hand a little later. */
bool
rig_fds_settle(unsigned int expected)
{
	uint64_t until = clock_ns() + DEADLINE_NS;

	while (fds_count() != expected && clock_ns() < until)
		usleep(NAP_US);
	return fds_count() == expected;
}

void
rig_story(const char *name, void (*story)(void))
{
	unsigned int failed = checks_failed, fds = fds_count();

	story();
	CHECK(rig_fds_settle(fds));
	if (checks_failed > failed)
		fprintf(stderr, "story failed: %s (%s)\n", name, rig_fault.text);
}
