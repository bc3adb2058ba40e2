/* SPDX-License-Identifier: BSD-3-Clause */
#include "message_front.h"

#include "session_msg.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PAGE        4096ull
#define UVA         0x7f0000000000ull
#define FDS_MAX     12
#define GLANCE_MS   1000 /* where what came before may have swallowed the question */
#define NEED_REPLY  0x8u

/* What an input may ask for beside the plain message: bits of its second byte. */
#define ODD_FLAGS   0x01 /* u32 instead of the flags */
#define ODD_SIZE    0x02 /* u16 instead of the size that is announced */
#define ODD_PAYLOAD 0x04 /* u8 and so many bytes over the payload */
#define ODD_CUT     0x08 /* u8 bytes of the message are kept back for ever */
#define ODD_FDS     0x10 /* u8 and so many kinds of descriptors instead of the right ones */
#define ODD_REQUEST 0x20 /* u32 instead of the request */
#define WANT_REPLY  0x40
#define WANT_SYNC   0x80

enum fd_kind { FD_MEMORY, FD_EVENT, FD_PIPE, FD_NULL, FD_SMALL, FD_READ_ONLY, FD_SOCKET, FD_KINDS };

struct message {
	struct {
		uint32_t request, flags, size;
		uint8_t payload[512];
	} m;
	uint32_t n_fds;
	int fds[FDS_MAX];
};

void
front_init(struct front *f, const char *path)
{
	*f = (struct front){ .path = path, .fd = -1 };
	memset(f->memfds, -1, sizeof(f->memfds));
}

bool
front_connect(struct front *f)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	f->deaf = false;
	f->n_asked = 0;
	strncpy(un.sun_path, f->path, sizeof(un.sun_path) - 1);
	f->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	FUZZ_CHECK(f->fd >= 0);
	return connect(f->fd, (struct sockaddr *)&un, sizeof(un)) == 0;
}

/* Reads what is there, waiting for some.  @return bytes; 0: the end; -ETIMEDOUT */
static int
answers_read(struct front *f, int timeout_ms, void *to, size_t size)
{
	struct pollfd p = { .fd = f->fd, .events = POLLIN };
	ssize_t n;
	int rc;

	do
		rc = poll(&p, 1, timeout_ms);
	while (rc < 0 && errno == EINTR);
	if (rc != 1)
		return -ETIMEDOUT;
	n = recv(f->fd, to, size, 0);
	return n < 0 ? 0 : (int)n;
}

bool
front_end(struct front *f)
{
	uint8_t bytes[1024];
	int n;

	if (f->fd < 0)
		return true;
	shutdown(f->fd, SHUT_WR);
	do
		n = answers_read(f, FRONT_DEADLINE_MS, bytes, sizeof(bytes));
	while (n > 0);
	close(f->fd);
	f->fd = -1;
	return n == 0;
}

bool
front_sync(struct front *f, int timeout_ms)
{
	const uint32_t ask[3] = { VHU_GET_FEATURES, VHU_VERSION, 0 };
	uint32_t answer[3];
	uint8_t payload[512];

	if (send(f->fd, ask, sizeof(ask), MSG_NOSIGNAL) != sizeof(ask))
		return false;
	f->n_asked++;
	while (f->n_asked > 0) {
		if (answers_read(f, timeout_ms, answer, sizeof(answer)) != sizeof(answer))
			return false;
		FUZZ_CHECK(answer[2] <= sizeof(payload));
		if (answer[2] > 0 && answers_read(f, timeout_ms, payload, answer[2]) <= 0)
			return false;
		f->n_asked -= answer[0] == VHU_GET_FEATURES;
	}
	return true;
}

/* Who was refused gets no answer, which is found out at once. */
static void
sync_try(struct front *f)
{
	f->deaf = f->deaf || !front_sync(f, GLANCE_MS);
}

void
front_forget(struct front *f)
{
	for (uint32_t i = 0; i < FRONT_REGIONS; i++) {
		if (f->memfds[i] >= 0)
			close(f->memfds[i]);
		f->memfds[i] = -1;
	}
	f->n_regions = 0;
}

static int
file_open(uint64_t size, bool read_only)
{
	char path[64];
	int fd = memfd_create("ferry-fuzz", MFD_CLOEXEC), again;

	FUZZ_CHECK(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
	if (!read_only)
		return fd;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDONLY | O_CLOEXEC);
	close(fd);
	return again;
}

static int
fd_open(enum fd_kind kind)
{
	int pair[2];

	switch (kind) {
	case FD_EVENT:
		return eventfd(0, EFD_CLOEXEC);
	case FD_NULL:
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	case FD_MEMORY:
	case FD_READ_ONLY:
		return file_open(1 << 20, kind == FD_READ_ONLY);
	case FD_SMALL:
		return file_open(100, false);
	default:
		break;
	}
	FUZZ_CHECK((kind == FD_PIPE ? pipe2(pair, O_CLOEXEC) :
		    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) == 0);
	close(pair[0]);
	return pair[1];
}

static void
fd_add(struct message *m, int fd)
{
	FUZZ_CHECK(fd >= 0);
	if (m->n_fds < FDS_MAX)
		m->fds[m->n_fds++] = fd;
	else
		close(fd);
}

static void
put(struct message *m, const void *from, size_t len)
{
	memcpy(m->m.payload + m->m.size, from, len);
	m->m.size += (uint32_t)len;
}

static void
put64(struct message *m, uint64_t v)
{
	put(m, &v, sizeof(v));
}

/* Payloads, request by request. */

static void
say_features(struct front *f, struct message *m, struct fuzz_in *in)
{
	static const uint8_t numbers[] = {
		VIRTIO_F_RING_PACKED, 29 /* event index */, 28 /* indirect */, VIRTIO_F_VERSION_1,
		VIRTIO_NET_F_MRG_RXBUF, VIRTIO_NET_F_MQ, 30 /* protocol features */, 26 /* log */,
	};
	uint8_t bits = fuzz_u8(in);
	uint64_t features = 0;

	for (uint32_t i = 0; i < 8; i++)
		features |= (uint64_t)(bits >> i & 1) << numbers[i];
	put64(m, features);
}

static void
say_u64(struct front *f, struct message *m, struct fuzz_in *in)
{
	put64(m, fuzz_u64(in));
}

static void
say_nothing(struct front *f, struct message *m, struct fuzz_in *in)
{
}

/* Regions one behind the other, each in a file of its own: how many, then for each its pages, the
 * pages in front of it in its file, and the pages of the hole before it in the guest. */
static void
say_memory(struct front *f, struct message *m, struct fuzz_in *in)
{
	uint32_t n = 1 + fuzz_u8(in) % FRONT_REGIONS, head[2] = { n };
	uint64_t gpa = 0;

	front_forget(f);
	put(m, head, sizeof(head));
	for (uint32_t i = 0; i < n; i++) {
		uint8_t spec = fuzz_u8(in);
		uint64_t size = (1 + (spec & 15)) * PAGE, offset = (spec >> 4 & 3) * PAGE;

		gpa += (spec >> 6) * PAGE;
		f->uvas[i] = UVA + gpa;
		put(m, &(struct vhu_region){ gpa, size, f->uvas[i], offset },
		    sizeof(struct vhu_region));
		f->memfds[i] = file_open(offset + size, false);
		fd_add(m, fcntl(f->memfds[i], F_DUPFD_CLOEXEC, 0));
		gpa += size;
	}
	f->n_regions = n;
}

static void
say_ring(struct front *f, struct message *m, struct fuzz_in *in)
{
	uint32_t state[2] = { fuzz_u8(in), fuzz_u16(in) };

	put(m, state, sizeof(state));
}

static void
say_base(struct front *f, struct message *m, struct fuzz_in *in)
{
	uint32_t state[2] = { fuzz_u8(in), fuzz_u32(in) };

	put(m, state, sizeof(state));
}

/* Ring, region, and the three areas in units of 16 bytes. */
static void
say_addr(struct front *f, struct message *m, struct fuzz_in *in)
{
	struct vhost_vring_addr a = { .index = fuzz_u8(in) };
	uint64_t base = f->uvas[fuzz_u8(in) % FRONT_REGIONS];

	a.desc_user_addr = base + fuzz_u16(in) * 16ull;
	a.avail_user_addr = base + fuzz_u16(in) * 16ull;
	a.used_user_addr = base + fuzz_u16(in) * 16ull;
	put(m, &a, sizeof(a));
}

/* Ring; the high bit says that there is no descriptor. */
static void
say_event(struct front *f, struct message *m, struct fuzz_in *in)
{
	uint8_t ring = fuzz_u8(in);

	put64(m, (ring & 0x7f) | (ring & 0x80) << 1);
	if ((ring & 0x80) == 0)
		fd_add(m, fd_open(FD_EVENT));
}

/* Bytes, each good for 8 pages of guest memory; pages in front of it in its file. */
static void
say_log(struct front *f, struct message *m, struct fuzz_in *in)
{
	uint64_t size = fuzz_u8(in), offset = fuzz_u8(in) % 4 * 4096ull;

	put64(m, size);
	put64(m, offset);
	fd_add(m, file_open(offset + size, false));
}

static const struct {
	uint32_t request;
	void (*say)(struct front *f, struct message *m, struct fuzz_in *in);
} sayings[] = {
	{ VHU_GET_FEATURES, say_nothing },      { VHU_SET_FEATURES, say_features },
	{ VHU_SET_OWNER, say_nothing },         { VHU_RESET_OWNER, say_nothing },
	{ VHU_SET_MEM_TABLE, say_memory },      { VHU_SET_VRING_NUM, say_ring },
	{ VHU_SET_VRING_ADDR, say_addr },       { VHU_SET_VRING_BASE, say_base },
	{ VHU_GET_VRING_BASE, say_ring },       { VHU_SET_VRING_KICK, say_event },
	{ VHU_SET_VRING_CALL, say_event },      { VHU_SET_VRING_ERR, say_event },
	{ VHU_GET_PROTOCOL_FEATURES, say_nothing },
	{ VHU_SET_PROTOCOL_FEATURES, say_u64 }, { VHU_GET_QUEUE_NUM, say_nothing },
	{ VHU_SET_VRING_ENABLE, say_ring },     { VHU_SEND_RARP, say_u64 },
	{ VHU_NET_SET_MTU, say_u64 },           { VHU_SET_STATUS, say_u64 },
	{ VHU_GET_STATUS, say_nothing },        { VHU_SET_LOG_BASE, say_log },
};

static void
odd(struct message *m, struct fuzz_in *in, uint8_t how)
{
	uint8_t kinds[256], n;

	if (how & ODD_REQUEST)
		m->m.request = fuzz_u32(in);
	if (how & ODD_FLAGS)
		m->m.flags = fuzz_u32(in);
	if (how & ODD_PAYLOAD) {
		n = fuzz_u8(in);
		fuzz_take(in, m->m.payload, n);
		m->m.size = n > m->m.size ? n : m->m.size;
	}
	if (how & ODD_FDS) {
		while (m->n_fds > 0)
			close(m->fds[--m->n_fds]);
		n = fuzz_u8(in) % (FDS_MAX + 1);
		fuzz_take(in, kinds, n);
		for (uint32_t i = 0; i < n; i++)
			fd_add(m, fd_open(kinds[i] % FD_KINDS));
	}
}

static void
message_send(struct front *f, const struct message *m, size_t len)
{
	char control[CMSG_SPACE(FDS_MAX * sizeof(int))] = { 0 };
	struct iovec iov = { (void *)(uintptr_t)&m->m, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;

	if (m->n_fds > 0) {
		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(m->n_fds * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(m->n_fds * sizeof(int));
		memcpy(CMSG_DATA(c), m->fds, m->n_fds * sizeof(int));
	}
	/* Who was refused cannot say more. */
	(void)!sendmsg(f->fd, &msg, MSG_NOSIGNAL);
	for (uint32_t i = 0; i < m->n_fds; i++)
		close(m->fds[i]);
}

static void
say_message(struct front *f, struct fuzz_in *in, uint32_t which)
{
	struct message m = { .m = { sayings[which].request, VHU_VERSION, 0, { 0 } } };
	uint8_t how = fuzz_u8(in);
	size_t len;

	if (how & WANT_REPLY)
		m.m.flags |= NEED_REPLY;
	sayings[which].say(f, &m, in);
	odd(&m, in, how);
	len = 12 + m.m.size;
	if (how & ODD_SIZE)
		m.m.size = fuzz_u16(in);
	if (how & ODD_CUT) {
		uint8_t kept = fuzz_u8(in);

		len -= kept < len ? kept : len;
	}
	message_send(f, &m, len);
	f->n_asked += which == 0 && how == 0;
	if (how & WANT_SYNC)
		sync_try(f);
}

/* What was said before is done before the guest touches its memory. */
static int
memory_now(struct front *f, struct fuzz_in *in)
{
	sync_try(f);
	return f->memfds[fuzz_u8(in) % FRONT_REGIONS];
}

/* The guest writes its memory: region, offset in units of 2, value. */
static void
say_poke(struct front *f, struct fuzz_in *in)
{
	int fd = memory_now(f, in);
	off_t at = fuzz_u16(in) * 2;
	uint16_t value = fuzz_u16(in);

	if (fd >= 0)
		FUZZ_CHECK(pwrite(fd, &value, sizeof(value), at) == sizeof(value));
}

/* Memory vanishes: region, pages that stay. */
static void
say_shrink(struct front *f, struct fuzz_in *in)
{
	int fd = memory_now(f, in);
	uint8_t pages = fuzz_u8(in);

	if (fd >= 0)
		FUZZ_CHECK(ftruncate(fd, (off_t)(pages % 16 * PAGE)) == 0);
}

void
front_say(struct front *f, struct fuzz_in *in)
{
	uint8_t what = fuzz_u8(in) % 32;

	if (what < sizeof(sayings) / sizeof(sayings[0])) {
		say_message(f, in, what);
	} else if (what == 29) {
		say_poke(f, in);
	} else if (what == 30) {
		say_shrink(f, in);
	} else {
		FUZZ_CHECK(front_end(f));
		FUZZ_CHECK(front_connect(f));
	}
}
