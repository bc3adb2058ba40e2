/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames: a burst of them from one guest to two others through lib/fwd and the software provider,
 * headers and cuts as the input wants them, against the second opinion of frame_ref.c.  What each
 * receiver gets is known to the byte, and so is every counter.
 *
 * Only the ports are ours: port_view() below is what lib/port would publish.
 */
#include "frame_guest.h"
#include "frame_ref.h"

#include "fwd_impl.h"

#include <linux/virtio_config.h>
#include <rte_eal.h>

#define PORTS      3 /* the first one sends */
#define FRAMES_MAX 64
#define BYTES_MAX  (1u << 20)
#define TAG_KNOWN  5 /* addresses are known without a tag and with this one */

const char *fuzz_names[DROP_N + 1];
const size_t fuzz_n_names = DROP_N + 1;
const char *const fuzz_tokens[] = { NULL };

/* What an input says of a port. */
struct rig_port {
	struct guest guest;
	struct vdev *vdev;
	struct stats *stats;
	struct stats_lane before;
	struct port_live live;
	uint64_t features;
	bool running, enabled, bad_tail;

	/* model: what it has to have received */
	uint32_t takes, hdr_len;
	uint32_t next_buf, n_frames;
	uint64_t n_bytes;
	uint64_t drops[DROP_N];
};

static struct rig_port ports[PORTS];
static struct port_view view;
static struct cross *cross;
static struct swdev_pool *pool;
static struct fwd *fwd;

/* The frames in the order in which they are sent. */
static struct ref_frame frames[FRAMES_MAX];
static uint32_t n_frames, n_tx_bytes;
static uint8_t bytes[BYTES_MAX];

const struct port_view *
port_view(const struct ports *ps)
{
	return &view;
}

static void
port_init(uint16_t i)
{
	struct rig_port *p = &ports[i];

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

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char *eal[] = { (*argv)[0], "--no-huge", "--no-shconf", "--no-pci", "--no-telemetry",
			"-m", "64", "-l", "0", "--log-level", "*:critical" };
	struct fdb_opts fdb_opts = { .capacity = 1024 };
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

/* Features, MTU, then groups of equal buffers: how many, how long, how long the first piece. */
static void
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
		to[n + i] = (uint8_t)(i * 7 + n_frames);
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
	struct ref_frame *fr = &frames[n_frames];
	uint32_t lens[GUEST_PIECES], n, hdr_len = ports[0].hdr_len;
	static const uint8_t zeros[2];
	struct guest_buf *b;

	fuzz_take(in, &fr->vnet, sizeof(fr->vnet));
	fr->data = bytes + n_tx_bytes;
	fr->len = frame_bytes(in, bytes + n_tx_bytes);
	n_tx_bytes += fr->len;
	n = cuts_read(in, hdr_len + fr->len, lens);
	b = guest_add(&ports[0].guest, lens, n);
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
	features_set(&ports[0], misc & 7);
	ports[0].live.frame_max = UINT16_MAX + RTE_ETHER_HDR_LEN;
	ports[0].running = true;
	ports[0].enabled = (misc & 8) == 0;
	guest_begin(&ports[0].guest, (misc & 1) != 0, false);
	n_frames = n_tx_bytes = 0;
	while (in->left > 0 && n_frames < FRAMES_MAX &&
	       n_tx_bytes < BYTES_MAX - 256 - REF_LEN_MAX - 8 && frame_read(in))
		n_frames++;
}

static void
input_read(struct fuzz_in *in)
{
	uint8_t misc = fuzz_u8(in);

	ports[0].live.group = 1;
	ports[1].live.group = misc >> 4 & 1;
	ports[1].running = ports[1].enabled = true;
	ports[1].bad_tail = (misc & 0x40) != 0;
	ports[2].running = (misc & 0x20) == 0;
	ports[2].live.group = (misc & 0x30) == 0x30;
	ports[2].enabled = (misc & 0x80) == 0;
	receiver_read(in, &ports[1]);
	receiver_read(in, &ports[2]);
	sender_read(in, misc);
}

/* run */

static void
port_start(struct rig_port *p)
{
	uint16_t tx = p == &ports[0];
	struct vdev_ring rings[2] = { 0 };
	struct vdev_cfg cfg = {
		.vid = -1, .port = p->live.number, .mem = p->guest.mem, .features = p->features,
		.n_rings = 2, .rings = rings,
	};

	guest_ring(&p->guest, &rings[tx]);
	rings[tx].enabled = p->enabled;
	stats_fold(p->stats, &p->before);
	if (p->running)
		FUZZ_CHECK(vdev_start(p->vdev, &cfg) == 0);
}

static void
port_stop(struct rig_port *p)
{
	struct vring_pos pos[2];

	if (p->running)
		vdev_stop(p->vdev, pos);
}

static void
switch_run(void)
{
	struct fwd_turn turn;
	uint32_t turns = 0;

	for (uint32_t i = 0; i < PORTS; i++)
		port_start(&ports[i]);
	cross_online(cross, 0);
	do {
		fwd_turn(fwd, &turn);
		cross_quiescent(cross, 0);
		FUZZ_CHECK(turns++ <= n_frames && !turn.left);
	} while (turn.frames > 0);
	cross_offline(cross, 0);
	for (uint32_t i = 0; i < PORTS; i++)
		port_stop(&ports[i]);
}

/* model */

static void
drop(struct rig_port *p, enum drop why)
{
	p->drops[why]++;
	fuzz_reach(why);
}

/* Chains that a frame of so many bytes takes; 0: it is dropped, `why` set. */
static uint32_t
chains_for(const struct rig_port *p, uint32_t need, enum drop *why)
{
	const struct guest *g = &p->guest;
	uint64_t have = 0;

	*why = p->next_buf == g->n_bufs && p->bad_tail ? DROP_RING_BAD : DROP_NO_DESC;
	for (uint32_t i = p->next_buf; i < g->n_bufs; i++) {
		have += g->bufs[i].len;
		if (have >= need)
			return i + 1 - p->next_buf;
		if ((p->features >> VIRTIO_NET_F_MRG_RXBUF & 1) == 0) {
			*why = DROP_NO_ROOM;
			return 0;
		}
	}
	return 0;
}

/* Compares what stands in the receiver's buffers with what has to. */
static void
buffers_check(struct rig_port *p, uint32_t n, const uint8_t *whole, uint32_t len)
{
	static uint8_t got[UINT16_MAX + 12 + 1];

	for (uint32_t i = 0; i < n; i++) {
		const struct guest_buf *b = &p->guest.bufs[p->next_buf++];
		uint32_t some = RTE_MIN(len, b->len);

		FUZZ_CHECK(b->used_len == some);
		guest_read(b, got, some);
		FUZZ_CHECK(memcmp(got, whole, some) == 0);
		whole += some;
		len -= some;
	}
	FUZZ_CHECK(len == 0);
}

static bool
deliver(void *arg, const struct virtio_net_hdr *vnet, const uint8_t *data, uint32_t len)
{
	static uint8_t whole[12 + REF_LEN_MAX];
	struct rig_port *p = arg;
	enum drop why;
	uint32_t n = chains_for(p, p->hdr_len + len, &why);
	struct virtio_net_hdr_mrg_rxbuf h = { .hdr = *vnet, .num_buffers = (uint16_t)n };

	if (n == 0) {
		drop(p, why);
		return true; /* segments behind one for a broken ring have the same name */
	}
	memcpy(whole, &h, p->hdr_len);
	memcpy(whole + p->hdr_len, data, len);
	buffers_check(p, n, whole, p->hdr_len + len);
	p->n_frames++;
	p->n_bytes += len;
	fuzz_reach(DROP_NONE);
	return true;
}

/* Returns false when its headers are so bad that nothing can be made of it. */
static bool
give(struct rig_port *to, const struct ref_frame *fr)
{
	if (ref_too_long(fr, to->live.frame_max))
		drop(to, DROP_TOO_LONG);
	else if (!to->running || !to->enabled)
		drop(to, DROP_NO_RING);
	else
		return ref_parts(fr, to->takes, deliver, to);
	return true;
}

static struct rig_port *
known(const struct ref_frame *fr)
{
	static const uint8_t start[5] = { 2 };
	int tag = ref_tag(fr);

	if (memcmp(fr->data, start, sizeof(start)) != 0 || (tag > 0 && tag != TAG_KNOWN))
		return NULL;
	return fr->data[5] >= 1 && fr->data[5] <= PORTS ? &ports[fr->data[5] - 1] : NULL;
}

static void
unicast(struct ref_frame *fr)
{
	struct rig_port *to = known(fr);

	if (to == NULL)
		return;
	if (to == &ports[0])
		drop(&ports[0], DROP_SAME_PORT);
	else if (to->live.group == ports[0].live.group)
		drop(&ports[0], DROP_ISOLATED);
	else if (!give(to, fr))
		drop(&ports[0], DROP_BAD_HDR);
}

static void
flood(const struct ref_frame *fr)
{
	bool heard = false, bad = false;

	for (uint32_t i = 1; i < PORTS; i++) {
		if (ports[i].live.group == ports[0].live.group)
			continue;
		bad |= !give(&ports[i], fr);
		heard = true;
	}
	/* The sender's fault counts once, for however many it was. */
	if (bad)
		drop(&ports[0], DROP_BAD_HDR);
	if (!heard)
		drop(&ports[0], DROP_NO_PORT);
}

/* Frames that one turn takes: so many, or so many bytes. */
static uint32_t
burst(uint32_t first)
{
	uint64_t size = 0;
	uint32_t i;

	for (i = first; i < n_frames && i - first < FWD_BURST; i++) {
		size += ports[0].hdr_len + frames[i].len;
		if (size > FWD_BYTES && i > first)
			break;
	}
	return i;
}

static void
burst_check(uint32_t first, uint32_t end)
{
	for (uint32_t i = first; i < end; i++) {
		ref_frame_check(&frames[i], ports[0].live.frame_max);
		if (!ports[0].enabled)
			frames[i].drop = DROP_DISABLED;
		if (frames[i].drop != DROP_NONE)
			drop(&ports[0], frames[i].drop);
	}
	/* Floods come after all others. */
	for (uint32_t i = first; i < end; i++)
		if (frames[i].drop == DROP_NONE)
			unicast(&frames[i]);
	for (uint32_t i = first; i < end; i++)
		if (frames[i].drop == DROP_NONE && known(&frames[i]) == NULL)
			flood(&frames[i]);
}

static void
counters_check(struct rig_port *p)
{
	struct stats_lane now;

	stats_fold(p->stats, &now);
	for (uint32_t i = 0; i < DROP_N; i++)
		FUZZ_CHECK(now.drops[i] - p->before.drops[i] == p->drops[i]);
	FUZZ_CHECK(now.counts[COUNT_TX_FRAMES] - p->before.counts[COUNT_TX_FRAMES] == p->n_frames);
	FUZZ_CHECK(now.counts[COUNT_TX_BYTES] - p->before.counts[COUNT_TX_BYTES] == p->n_bytes);
	FUZZ_CHECK(now.counts[COUNT_RX_FRAMES] - p->before.counts[COUNT_RX_FRAMES] ==
		   (p == &ports[0] ? n_frames : 0));
	FUZZ_CHECK(now.counts[COUNT_RX_BYTES] - p->before.counts[COUNT_RX_BYTES] ==
		   (p == &ports[0] ? n_tx_bytes : 0));
}

static void
model_check(void)
{
	uint32_t used[PORTS];

	for (uint32_t i = 0; i < PORTS; i++) {
		used[i] = guest_used(&ports[i].guest);
		FUZZ_CHECK(guest_untouched(&ports[i].guest, used[i]));
		ports[i].next_buf = ports[i].n_frames = 0;
		ports[i].n_bytes = 0;
		memset(ports[i].drops, 0, sizeof(ports[i].drops));
	}
	for (uint32_t i = 0, end; i < n_frames; i = end) {
		end = burst(i);
		burst_check(i, end);
	}
	FUZZ_CHECK(used[0] == n_frames);
	for (uint32_t i = 1; i < PORTS; i++)
		FUZZ_CHECK(used[i] == ports[i].next_buf);
	for (uint32_t i = 0; i < PORTS; i++)
		counters_check(&ports[i]);
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
