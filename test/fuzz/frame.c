/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames: bursts of them from one guest to two others through lib/fwd and the software provider,
 * headers and cuts as the input wants them, against the second opinion of frame_ref.c.  Between the
 * frames the two may leave and come back, and what is parked for them goes to whoever is the heir.
 * What each receiver gets is known to the byte, and so is every counter.
 *
 * Only the ports are ours: port_view() below is what lib/port would publish.
 */
#include "frame_rig.h"

#include "fwd_impl.h"

#include <linux/virtio_config.h>
#include <rte_eal.h>

#define BYTES_MAX  (1u << 20)
#define TURNS_MAX  32768       /* more than there can be frames, parked ones and their parts too */
#define FAR_MS     3600000u

const char *fuzz_names[DROP_N + 1];
const size_t fuzz_n_names = DROP_N + 1;
const char *const fuzz_tokens[] = { NULL };

struct rig rig;

static struct port_view view;
static struct cross *cross;
static struct swdev_pool *pool;
static struct park_set *parks;
static struct fwd *fwd;
static uint8_t bytes[BYTES_MAX];
static bool closed[PORTS];

const struct port_view *
port_view(const struct ports *ps)
{
	return &view;
}

static void
port_init(uint16_t i)
{
	struct rig_port *p = &rig.ports[i];

	guest_init(&p->guest);
	FUZZ_CHECK(stats_create(1, &p->stats) == 0);
	FUZZ_CHECK(swdev_create(pool, i, 1, p->stats, &p->vdev) == 0);
	p->live = (struct port_live){ .number = i, .type = PORT_VHOST_USER, .stats = p->stats };
	view.ports[i] = &p->live;
	view.list[view.n_list++] = i;
}

static void
addresses_init(struct fdb *fdb)
{
	for (uint16_t i = 0; i < PORTS; i++) {
		const uint8_t mac[] = { 2, 0, 0, 0, 0, (uint8_t)(i + 1) };

		FUZZ_CHECK(fdb_add(fdb, fdb_key(0, mac), i) == 0);
		FUZZ_CHECK(fdb_add(fdb, fdb_key(TAG_KNOWN, mac), i) == 0);
	}
}

static void
park_wanted(void *arg)
{
}

/* Addresses stay where they are, so that what comes later shows that the park is gone. */
static void
park_closed(void *arg, uint16_t port, uint16_t heir)
{
	closed[port] = true;
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char *eal[] = { (*argv)[0], "--no-huge", "--no-shconf", "--no-pci", "--no-telemetry",
			"-m", "64", "-l", "0", "--log-level", "*:critical" };
	struct fdb_opts fdb_opts = { .capacity = 1024 };
	const struct park_opts park_opts = { .timeout_ms = FAR_MS };
	const struct park_ops park_ops = { .wanted = park_wanted, .closed = park_closed };
	struct fwd_opts opts = { 0 };

	memcpy(fuzz_names, drop_names, sizeof(drop_names));
	fuzz_names[DROP_NONE] = "none";
	/* These take a second worker or a device. */
	fuzz_names[DROP_BUSY] = fuzz_names[DROP_NO_MBUF] = NULL;
	fuzz_names[DROP_DEV_FULL] = fuzz_names[DROP_DEV_REFUSED] = NULL;
	FUZZ_CHECK(rte_eal_init(RTE_DIM(eal), eal) >= 0);
	FUZZ_CHECK(cross_create(1, &cross) == 0);
	FUZZ_CHECK(swdev_pool_create(cross, &pool) == 0);
	FUZZ_CHECK(fdb_create(cross, &fdb_opts, &opts.fdb) == 0);
	FUZZ_CHECK(capture_create(cross, &opts.capture) == 0);
	for (uint16_t i = 0; i < PORTS; i++)
		port_init(i);
	addresses_init(opts.fdb);
	opts.cross = cross;
	opts.pool = pool;
	FUZZ_CHECK(park_set_create(cross, &park_opts, &park_ops, NULL, &parks) == 0);
	opts.parks = parks;
	FUZZ_CHECK(fwd_create(&opts, &fwd) == 0);
	return 0;
}

/* input */

static void
features_set(struct rig_port *p, uint8_t bits)
{
	static const uint8_t numbers[] = {
		VIRTIO_F_RING_PACKED, VIRTIO_F_VERSION_1, VIRTIO_NET_F_MRG_RXBUF,
		VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_TSO6,
		VIRTIO_NET_F_GUEST_ECN,
	};

	p->features = 0;
	for (uint32_t i = 0; i < RTE_DIM(numbers); i++)
		p->features |= (uint64_t)(bits >> i & 1) << numbers[i];
	p->hdr_len = (bits & 6) != 0 ? 12 : 10;
	p->takes = (bits & 8) != 0 ? REF_CSUM | (uint32_t)(bits >> 4 & 7) << 1 : 0;
}

/*
 * Features, MTU, then groups of equal buffers: how many, how long, how long the first piece.
 *
 * Returns the bit of the features that is none.
 */
static bool
receiver_read(struct fuzz_in *in, struct rig_port *p)
{
	uint8_t bits = fuzz_u8(in), n_groups;
	uint16_t mtu = fuzz_u16(in);

	features_set(p, bits);
	p->live.frame_max = (mtu == 0 ? UINT16_MAX : mtu) + RTE_ETHER_HDR_LEN;
	guest_begin(&p->guest, (bits & 1) != 0, true);
	n_groups = fuzz_u8(in) % 8;
	for (uint32_t i = 0; i < n_groups; i++) {
		uint32_t n = 1 + fuzz_u8(in) % 64, len = 12 + fuzz_u16(in), first = fuzz_u8(in) % len;
		uint32_t lens[] = { first == 0 ? len : first, len - first };

		while (n-- > 0 && guest_add(&p->guest, lens, first == 0 ? 1 : 2) != NULL)
			;
	}
	if (p->bad_tail)
		guest_add_bad(&p->guest);
	return bits >> 7 != 0;
}

/* The bytes of a frame: some of the input, the rest made up. */
static uint32_t
frame_bytes(struct fuzz_in *in, uint8_t *to)
{
	uint32_t n = fuzz_u8(in), more = 0;

	fuzz_take(in, to, n);
	fuzz_take(in, &more, 3);
	more %= REF_LEN_MAX + 8;
	for (uint32_t i = 0; i < more; i++)
		to[n + i] = (uint8_t)(i * 7 + rig.n_frames);
	return n + more;
}

/* Pieces of a chain: lengths of all but the last. */
static uint32_t
cuts_read(struct fuzz_in *in, uint32_t len, uint32_t *lens)
{
	uint32_t n = fuzz_u8(in) % GUEST_PIECES, done = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t some = 1 + fuzz_u8(in);

		if (done + some >= len) {
			n = i;
			break;
		}
		lens[i] = some;
		done += some;
	}
	lens[n] = len - done;
	return n + 1;
}

static bool
frame_read(struct fuzz_in *in)
{
	struct ref_frame *fr = &rig.frames[rig.n_frames];
	uint32_t lens[GUEST_PIECES], n, hdr_len = rig.ports[0].hdr_len;
	static const uint8_t zeros[2];
	struct guest_buf *b;

	fuzz_take(in, &fr->vnet, sizeof(fr->vnet));
	fr->data = bytes + rig.n_bytes;
	fr->len = frame_bytes(in, bytes + rig.n_bytes);
	rig.n_bytes += fr->len;
	n = cuts_read(in, hdr_len + fr->len, lens);
	b = guest_add(&rig.ports[0].guest, lens, n);
	if (b == NULL)
		return false;
	guest_fill(b, 0, (const uint8_t *)&fr->vnet, sizeof(fr->vnet));
	guest_fill(b, sizeof(fr->vnet), zeros, hdr_len - sizeof(fr->vnet));
	guest_fill(b, hdr_len, fr->data, fr->len);
	return true;
}

static void
sender_read(struct fuzz_in *in, uint8_t misc)
{
	features_set(&rig.ports[0], misc & 7);
	rig.ports[0].live.frame_max = UINT16_MAX + RTE_ETHER_HDR_LEN;
	rig.ports[0].running = true;
	rig.ports[0].enabled = (misc & 8) == 0;
	guest_begin(&rig.ports[0].guest, (misc & 1) != 0, false);
	rig.n_frames = rig.n_bytes = 0;
	while (in->left > 0 && rig.n_frames < FRAMES_MAX &&
	       rig.n_bytes < BYTES_MAX - 256 - REF_LEN_MAX - 8 && frame_read(in))
		rig.n_frames++;
}

static void
step_add(enum step_kind kind, uint16_t port, uint8_t arg)
{
	rig.steps[rig.n_steps++] = (struct step){ .kind = kind, .port = port, .arg = arg };
}

/* A device that hears nobody else's frames: what it may have is refused before it would get it. */
static void
uplink_set(struct rig_port *p)
{
	p->running = false;
	p->live.group = 1;
	p->live.type = PORT_ETHDEV;
	p->live.n_txq = 1;
}

/* Memory to park in, then what happens between the frames; without a plan they are all sent. */
static void
plan_read(struct fuzz_in *in, bool planned)
{
	uint8_t how = planned ? fuzz_u8(in) : 0;
	uint32_t n = 0;

	rig.uplink = (how & 1) != 0;
	rig.held_back = (how & 2) != 0;
	rig.n_steps = 0;
	if (rig.uplink)
		uplink_set(&rig.ports[2]);
	if (planned) {
		rig.park_bytes = 16u * fuzz_u16(in);
		n = fuzz_u8(in) % STEPS_MAX;
	}
	for (uint32_t i = 0; i < n; i++) {
		uint8_t what = fuzz_u8(in);

		step_add((what >> 1) % STEP_N, 1 + (what & 1), fuzz_u8(in));
	}
	step_add(STEP_SEND, 0, FRAMES_MAX);
}

static void
input_read(struct fuzz_in *in)
{
	uint8_t misc = fuzz_u8(in);
	bool planned;

	rig.ports[0].live.group = 1;
	rig.ports[1].live.group = misc >> 4 & 1;
	rig.ports[1].running = rig.ports[1].enabled = true;
	rig.ports[1].bad_tail = (misc & 0x40) != 0;
	rig.ports[2].running = (misc & 0x20) == 0;
	rig.ports[2].live.type = PORT_VHOST_USER;
	rig.ports[2].live.n_txq = 0;
	rig.ports[2].live.group = (misc & 0x30) == 0x30;
	rig.ports[2].enabled = (misc & 0x80) == 0;
	planned = receiver_read(in, &rig.ports[1]);
	receiver_read(in, &rig.ports[2]);
	plan_read(in, planned);
	sender_read(in, misc);
}

/* run */

static void
port_start(struct rig_port *p)
{
	uint16_t tx = p == &rig.ports[0];
	struct vdev_ring rings[2] = { 0 };
	struct vdev_cfg cfg = {
		.vid = -1, .port = p->live.number, .mem = p->guest.mem, .features = p->features,
		.n_rings = 2, .rings = rings,
	};

	guest_ring(&p->guest, &rings[tx]);
	rings[tx].enabled = p->enabled;
	if (p->moved)
		rings[tx].pos = p->pos[tx];
	FUZZ_CHECK(vdev_start(p->vdev, &cfg) == 0);
	p->running = true;
}

static void
port_stop(struct rig_port *p)
{
	if (p->running)
		vdev_stop(p->vdev, p->pos);
	p->running = false;
	p->moved = true;
}

static void
turns(void)
{
	struct fwd_turn turn;
	uint32_t n = 0;

	cross_online(cross, 0);
	do {
		fwd_turn(fwd, &turn);
		cross_quiescent(cross, 0);
		FUZZ_CHECK(n++ <= TURNS_MAX && !turn.left);
	} while (turn.frames > 0);
	cross_offline(cross, 0);
}

static void
memory_set(uint32_t n_bytes, uint32_t timeout_ms)
{
	const struct park_opts opts = { .bytes = n_bytes, .timeout_ms = timeout_ms };

	park_set_opts(parks, &opts);
}

static void
leave(struct rig_port *p)
{
	if (!p->running)
		return;
	port_stop(p);
	park_begin(parks, p->live.number, p->features, p->enabled);
}

static void
come_back(struct rig_port *p, struct step *s)
{
	if (p->running || p->live.type == PORT_ETHDEV)
		return;
	port_start(p);
	park_return(parks, s->port);
}

static void
tick(struct step *s)
{
	memory_set(rig.park_bytes, s->kind == STEP_TIMEOUT ? 0 : FAR_MS);
	memset(closed, 0, sizeof(closed));
	park_tick(parks);
	memcpy(s->closed, closed, sizeof(closed));
	memory_set(rig.park_bytes, FAR_MS);
}

static void
step_do(struct step *s)
{
	struct rig_port *p = &rig.ports[s->port];

	switch (s->kind) {
	case STEP_SEND:
		guest_offer(&rig.ports[0].guest, s->arg);
		break;
	case STEP_OPEN:
		FUZZ_CHECK(park_open(parks, s->port) == 0);
		break;
	case STEP_CANCEL:
		park_cancel(parks, s->port);
		break;
	case STEP_LEAVE:
		leave(p);
		break;
	case STEP_RETURN:
		come_back(p, s);
		break;
	case STEP_LEARNED:
		if (s->arg % PORTS != s->port)
			park_learned(parks, s->port, s->arg % PORTS);
		break;
	case STEP_OFFER:
		guest_offer(&p->guest, s->arg);
		break;
	default:
		tick(s);
	}
}

static void
step_run(struct step *s)
{
	step_do(s);
	turns();
	for (uint16_t i = 0; i < PORTS; i++)
		s->parked[i] = park_info(parks, i, &s->info[i]) == 0;
}

static void
switch_run(void)
{
	memory_set(rig.park_bytes, FAR_MS);
	for (uint16_t i = 0; i < PORTS; i++) {
		struct rig_port *p = &rig.ports[i];

		p->up = p->running;
		p->moved = false;
		if (i > 0 && !rig.held_back)
			guest_offer(&p->guest, UINT32_MAX);
		stats_fold(p->stats, &p->before);
		if (p->running)
			port_start(p);
		p->n_reached = 0;
		if (model_reached(i))
			p->reached[p->n_reached++] = 0;
	}
	for (uint32_t i = 0; i < rig.n_steps; i++)
		step_run(&rig.steps[i]);
	for (uint16_t i = 0; i < PORTS; i++) {
		park_forget(parks, i);
		port_stop(&rig.ports[i]);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };

	input_read(&in);
	switch_run();
	model_check();
	return 0;
}
