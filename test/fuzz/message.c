/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages: a front-end on a real socket, a real session with librte_vhost behind it, and an owner
 * that moves no frames but looks at all that it is told.  A second session's front-end has to be
 * answered all the time.
 */
#include "message_front.h"

#include "../unit/fds.h"
#include "call.h"
#include "session.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <pthread.h>
#include <rte_eal.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define PAIRS     4
#define SAY_MAX   128
#define SETTLE_US (10 * 1000 * 1000)
#define NAP_US    50

#define FEATURES \
	(1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_F_RING_PACKED | \
	 1ULL << VIRTIO_NET_F_MRG_RXBUF | 1ULL << VIRTIO_NET_F_MQ | 1ULL << 28 | 1ULL << 29)

/* What happened, and part of what the session says of what it refuses. */
#define REACHED(X) \
	X(SPLIT, "split", NULL) \
	X(PACKED, "packed", NULL) \
	X(RING_SET, "ring_set", NULL) \
	X(LOG_SET, "log_set", NULL) \
	X(LOGGED, "logged", NULL) \
	X(LEAVING, "leaving", NULL) \
	X(ARRIVED, "arrived", NULL) \
	X(ANNOUNCE, "announce", NULL) \
	X(WAITING, "waiting", NULL) \
	X(UNSUPPORTED, "unsupported", "is not supported") \
	X(FLAGS, "flags", "with flags") \
	X(OFFER, "offer", "were not offered") \
	X(CUT, "cut", "is cut") \
	X(FDS, "fds", "descriptors") \
	X(EVENTFD, "eventfd", "not an eventfd") \
	X(RING, "ring", " of 8") \
	X(ADDR, "addr", "without memory") \
	X(REGIONS, "regions", "memory regions") \
	X(EMPTY, "empty", "is empty") \
	X(WRAPS, "wraps", "wraps around") \
	X(PAGE, "page", "not aligned") \
	X(OVERLAPS, "overlaps", "overlaps another") \
	X(FILE, "file", "not in a file") \
	X(READ_ONLY, "read_only", "not open for reading and writing") \
	X(LEAVES, "leaves", "leaves its file") \
	X(LIBRARY, "library", "librte_vhost failed") \
	X(MALFORMED, "malformed", "malformed") \
	X(MEMORY, "memory", "guest memory vanished") \
	X(COVER, "cover", "does not cover") \
	X(NO_LOG, "no_log", "has not given the dirty log")

enum {
#define X(id, name, text) REACH_##id,
	REACHED(X)
#undef X
	REACH_N
};

#define X(id, name, text) name,
const char *fuzz_names[] = { REACHED(X) };
#undef X
const size_t fuzz_n_names = REACH_N;
const char *const fuzz_tokens[] = { NULL };

#define X(id, name, text) text,
static const char *const texts[] = { REACHED(X) };
#undef X

/* The owner of a session; written with its lock held. */
struct owner {
	pthread_mutex_t lock;
	struct session *session;
	bool running;
	struct vdev_cfg cfg;
	struct vdev_ring rings[2 * PAIRS];
	uint32_t n_regions; /* of the memory, as it was when it was handed over */
	struct gmem_region regions[GMEM_REGIONS_MAX];
};

static struct owner owners[2]; /* of the session that is fuzzed, and of the other */
static struct front fronts[2];
static char folder[] = "/tmp/ferry-fuzz-XXXXXX";
static char paths[2][64];
static unsigned int fds_at_rest; /* before an input: libFuzzer has files of its own */

/* Reads where the session says that there is memory; what vanished there is the guard's. */
static void
touch(const struct gmem *m, gpa_t gpa, uint64_t len)
{
	const volatile uint8_t *at = gmem_at(m, gpa, len);

	if (gpa.v == UINT64_MAX)
		return; /* the session found it outside, the provider is to break the ring */
	FUZZ_CHECK(at != NULL);
	(void)at[0];
	(void)at[len - 1];
}

static void
fd_check(int fd)
{
	FUZZ_CHECK(fd < 0 || (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
}

/* Marks the ends of all regions: the log covers them and is mapped. */
static void
log_touch(const struct owner *o)
{
	for (uint32_t i = 0; o->cfg.log != NULL && i < o->n_regions; i++) {
		const struct gmem_region *r = &o->regions[i];

		FUZZ_CHECK((r->gpa + r->size - 1) / 4096 < o->cfg.log->n_pages);
		dirty_mark(o->cfg.log, (gpa_t){ r->gpa }, 1);
		dirty_mark(o->cfg.log, (gpa_t){ r->gpa + r->size - 1 }, 1);
	}
}

/* All that the owner holds between run() and quiesce(), any of it usable at any moment. */
static void
hold_check(const struct owner *o)
{
	bool packed = (o->cfg.features >> VIRTIO_F_RING_PACKED & 1) != 0;

	/* A table that was freed, or filled anew, is not what the owner was given. */
	FUZZ_CHECK(o->cfg.mem->n_regions == o->n_regions);
	FUZZ_CHECK(memcmp(o->cfg.mem->regions, o->regions,
			  o->n_regions * sizeof(o->regions[0])) == 0);
	for (uint32_t i = 0; i < o->n_regions; i++)
		touch(o->cfg.mem, (gpa_t){ o->regions[i].gpa }, o->regions[i].size);
	log_touch(o);
	for (uint16_t i = 0; i < o->cfg.n_rings; i++) {
		const struct vdev_ring *v = &o->rings[i];

		if (!v->started)
			continue;
		fd_check(v->kickfd);
		fd_check(v->callfd);
		if (v->size == 0)
			continue;
		touch(o->cfg.mem, v->desc, 16ull * v->size);
		touch(o->cfg.mem, v->driver, packed ? 4 : 4 + 2ull * v->size);
		touch(o->cfg.mem, v->device, packed ? 4 : 4 + 8ull * v->size);
	}
}

static void
on_quiesce(void *owner, struct vring_pos *pos)
{
	struct owner *o = owner;

	FUZZ_CHECK(o->running);
	hold_check(o);
	o->running = false;
	for (uint16_t i = 0; i < o->cfg.n_rings; i++)
		if (o->rings[i].started)
			pos[i] = o->rings[i].pos;
}

static int
on_run(void *owner, const struct vdev_cfg *cfg)
{
	struct owner *o = owner;

	FUZZ_CHECK(!o->running && cfg->n_rings <= 2 * PAIRS && cfg->mem != NULL);
	FUZZ_CHECK((cfg->features & ~(FEATURES | 1ULL << 30)) == 0);
	o->cfg = *cfg;
	memcpy(o->rings, cfg->rings, cfg->n_rings * sizeof(o->rings[0]));
	o->cfg.rings = o->rings;
	o->n_regions = cfg->mem->n_regions;
	memcpy(o->regions, cfg->mem->regions, sizeof(o->regions));
	o->running = true;
	hold_check(o);
	if (cfg->log != NULL)
		fuzz_reach(REACH_LOGGED);
	fuzz_reach(cfg->features >> VIRTIO_F_RING_PACKED & 1 ? REACH_PACKED : REACH_SPLIT);
	return 0;
}

static int
on_ring_set(void *owner, uint16_t qid, const struct vdev_ring_set *how)
{
	struct owner *o = owner;

	FUZZ_CHECK(o->running && qid < o->cfg.n_rings && o->rings[qid].started);
	hold_check(o); /* the old descriptors are open until this returns */
	o->rings[qid].enabled = how->enabled;
	o->rings[qid].kickfd = how->kickfd;
	o->rings[qid].callfd = how->callfd;
	hold_check(o);
	fuzz_reach(REACH_RING_SET);
	return 0;
}

static int
on_log_set(void *owner, const struct dirty *log)
{
	struct owner *o = owner;

	FUZZ_CHECK(o->running);
	hold_check(o); /* the old log is mapped until this returns */
	o->cfg.log = log;
	hold_check(o);
	fuzz_reach(REACH_LOG_SET);
	return 0;
}

static void
on_leaving(void *owner, uint64_t features, uint16_t n_rx)
{
	static struct session_info info;
	struct owner *o = owner;

	session_info(o->session, &info);
	FUZZ_CHECK((info.state == SESSION_UP) == o->running);
	FUZZ_CHECK(n_rx <= PAIRS);
	fuzz_reach(REACH_LEAVING);
}

static void
on_arrived(void *owner, uint64_t features, bool restored)
{
	struct owner *o = owner;

	FUZZ_CHECK(o->running);
	fuzz_reach(REACH_ARRIVED);
}

static void
on_announce(void *owner, const struct rte_ether_addr *mac)
{
	FUZZ_CHECK(rte_is_valid_assigned_ether_addr(mac));
	fuzz_reach(REACH_ANNOUNCE);
}

static void
on_changed(void *owner)
{
	static struct session_info info;
	struct owner *o = owner;

	session_info(o->session, &info);
	FUZZ_CHECK((info.state == SESSION_UP) == o->running);
	FUZZ_CHECK((info.state == SESSION_UP) == (info.reason[0] == '\0'));
	FUZZ_CHECK(memchr(info.reason, '\0', sizeof(info.reason)) != NULL);
	FUZZ_CHECK(info.n_rings <= 2 * PAIRS && info.n_regions <= GMEM_REGIONS_MAX);
	if (info.state == SESSION_WAITING && info.connected)
		fuzz_reach(REACH_WAITING);
	for (uint32_t i = 0; i < REACH_N; i++)
		if (texts[i] != NULL && strstr(info.reason, texts[i]) != NULL)
			fuzz_reach(i);
}

static const struct session_ops ops = {
	.quiesce = on_quiesce, .run = on_run, .ring_set = on_ring_set, .log_set = on_log_set,
	.leaving = on_leaving, .arrived = on_arrived,
	.announce = on_announce,
	.changed = on_changed,
};

static void
owner_init(struct owner *o, const char *path)
{
	struct session_opts opts = {
		.path = path, .n_pairs_max = PAIRS, .name = "fuzz", .features = FEATURES, .can_log = true,
		.group = (gid_t)-1, .lock = &o->lock, .ops = &ops, .owner = o,
	};

	pthread_mutex_init(&o->lock, NULL);
	FUZZ_CHECK(session_create(&opts, &o->session) == 0);
}

static void
fds_print(void)
{
	DIR *d = opendir("/proc/self/fd");
	char path[300], to[300];
	struct dirent *e;

	while ((e = readdir(d)) != NULL) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/self/fd/%.20s", e->d_name);
		n = readlink(path, to, sizeof(to));
		if (n > 0)
			fprintf(stderr, "%s %.*s\n", e->d_name, (int)n, to);
	}
	closedir(d);
}

/* Mappings of guest memory in this process. */
static unsigned int
maps_count(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned int n = 0;
	char line[512];

	while (fgets(line, sizeof(line), f) != NULL)
		n += strstr(line, "memfd:ferry-fuzz") != NULL;
	fclose(f);
	return n;
}

static bool
at_rest(struct owner *o)
{
	static struct session_info info;
	bool rest;

	pthread_mutex_lock(&o->lock);
	session_info(o->session, &info);
	rest = !info.connected && !o->running && info.n_rings == 0 && info.n_regions == 0;
	pthread_mutex_unlock(&o->lock);
	return rest;
}

static void
remove_files(void)
{
	for (uint32_t i = 0; i < 2; i++)
		unlink(paths[i]);
	rmdir(folder);
}

/* The first call of a process opens what all others need. */
static void
call_warm_up(void)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	call_send(fd);
	close(fd);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char *eal[] = { (*argv)[0], "--no-huge", "--no-shconf", "--no-pci", "--no-telemetry",
			"-m", "64", "-l", "0", "--log-level", "*:emergency" };
	sigset_t timer;

	/* Threads inherit the mask: libFuzzer's timer would cut the library's reads short. */
	sigemptyset(&timer);
	sigaddset(&timer, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &timer, NULL);
	FUZZ_CHECK(rte_eal_init(RTE_DIM(eal), eal) >= 0 && gmem_guard_init() == 0);
	FUZZ_CHECK(mkdtemp(folder) != NULL);
	atexit(remove_files);
	for (uint32_t i = 0; i < 2; i++) {
		snprintf(paths[i], sizeof(paths[i]), "%s/%u", folder, i);
		owner_init(&owners[i], paths[i]);
		front_init(&fronts[i], paths[i]);
	}
	pthread_sigmask(SIG_UNBLOCK, &timer, NULL);
	/* The first connection takes a second: the library looks for new sockets so often. */
	FUZZ_CHECK(front_connect(&fronts[1]) && front_sync(&fronts[1], FRONT_DEADLINE_MS));
	FUZZ_CHECK(front_connect(&fronts[0]) && front_sync(&fronts[0], FRONT_DEADLINE_MS) &&
		   front_end(&fronts[0]));
	for (uint32_t us = 0; us < SETTLE_US && !at_rest(&owners[0]); us += NAP_US)
		usleep(NAP_US);
	call_warm_up();
	return 0;
}

/* The library closes what its thread has in hand a little later. */
static void
rest_check(void)
{
	for (uint32_t us = 0; us < SETTLE_US; us += NAP_US) {
		if (at_rest(&owners[0]) && fds_count() == fds_at_rest)
			break;
		usleep(NAP_US);
	}
	if (fds_count() != fds_at_rest)
		fds_print();
	FUZZ_CHECK(at_rest(&owners[0]));
	FUZZ_CHECK(fds_count() == fds_at_rest);
	FUZZ_CHECK(maps_count() == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };

	fds_at_rest = fds_count();
	FUZZ_CHECK(front_connect(&fronts[0]));
	for (uint32_t i = 0; i < SAY_MAX && in.left > 0; i++)
		front_say(&fronts[0], &in);
	FUZZ_CHECK(front_sync(&fronts[1], FRONT_DEADLINE_MS));
	FUZZ_CHECK(front_end(&fronts[0]));
	front_forget(&fronts[0]);
	rest_check();
	return 0;
}
