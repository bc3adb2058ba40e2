/* SPDX-License-Identifier: BSD-3-Clause */
#include "client.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <linux/virtio_pci.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "vendor.h"

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int) * CLIENT_FDS_MAX)];
};

static int
message_send(struct client *c, const struct exchange *x)
{
	struct vfu_header h = { .id = ++c->id, .command = x->command,
				.size = (uint32_t)sizeof(h) + x->head_len + x->data_len };
	struct iovec iov[3] = {
		{ &h, sizeof(h) },
		{ (void *)(uintptr_t)x->head, x->head_len },
		{ (void *)(uintptr_t)x->data, x->data_len },
	};
	union control control = { 0 };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 3 };
	struct cmsghdr *cm;

	if (x->n_fds > 0) {
		m.msg_control = control.bytes;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * x->n_fds);
		cm = CMSG_FIRSTHDR(&m);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(sizeof(int) * x->n_fds);
		memcpy(CMSG_DATA(cm), x->fds, sizeof(int) * x->n_fds);
	}
	return sendmsg(c->fd, &m, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int
bytes_read(struct client *c, void *to, uint32_t len)
{
	ssize_t n = len == 0 ? 0 : recv(c->fd, to, len, MSG_WAITALL);

	if (n < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	return n == (ssize_t)len ? 0 : -ECONNRESET;
}

/* The header, with the descriptors of the answer. */
static int
header_read(struct client *c, struct vfu_header *h, struct exchange *x)
{
	union control control;
	struct iovec iov = { h, sizeof(*h) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes,
			    .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(c->fd, &m, MSG_WAITALL | MSG_CMSG_CLOEXEC);

	if (n < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	for (struct cmsghdr *cm = CMSG_FIRSTHDR(&m); cm != NULL; cm = CMSG_NXTHDR(&m, cm)) {
		x->n_answer_fds = (unsigned int)((cm->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(x->answer_fds, CMSG_DATA(cm), cm->cmsg_len - CMSG_LEN(0));
	}
	return n == sizeof(*h) ? 0 : -ECONNRESET;
}

int
client_call(struct client *c, struct exchange *x)
{
	struct vfu_header h;
	int rc = message_send(c, x);

	x->n_answer_fds = 0;
	if (rc == 0)
		rc = header_read(c, &h, x);
	if (rc < 0)
		return rc;
	if (h.id != c->id || h.command != x->command || (h.flags & VFU_REPLY) == 0 ||
	    h.size < sizeof(h) || h.size - sizeof(h) > sizeof(x->answer))
		return -EPROTO;
	x->answer_len = h.size - (uint32_t)sizeof(h);
	rc = bytes_read(c, x->answer, x->answer_len);
	return rc < 0 || (h.flags & VFU_ERROR) == 0 ? rc : -(int)h.error;
}

static int
version(struct client *c)
{
	static const char json[] = "{\"capabilities\":{\"max_msg_fds\":64}}";
	struct vfu_version v = { VFU_MAJOR, VFU_MINOR };
	struct exchange x = { .command = VFU_VERSION, .head = &v, .head_len = sizeof(v),
			      .data = json, .data_len = sizeof(json) };

	return client_call(c, &x);
}

int
client_open(struct client *c, const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct timeval wait = { .tv_sec = CLIENT_WAIT_S };
	int rc;

	memset(c, 0, sizeof(*c));
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return -errno;
	setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	rc = connect(c->fd, (struct sockaddr *)&sun, sizeof(sun)) < 0 ? -errno : version(c);
	if (rc < 0)
		client_close(c);
	return rc;
}

void
client_close(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

/* Registers */

int
client_region(struct client *c, bool write, uint32_t region, uint64_t offset, void *bytes,
	      uint32_t len)
{
	struct vfu_access a = { .offset = offset, .region = region, .count = len };
	struct exchange x = { .command = write ? VFU_REGION_WRITE : VFU_REGION_READ, .head = &a,
			      .head_len = sizeof(a), .data = write ? bytes : NULL,
			      .data_len = write ? len : 0 };
	int rc = client_call(c, &x);

	if (rc == 0 && !write && x.answer_len == sizeof(a) + len)
		memcpy(bytes, x.answer + sizeof(a), len);
	return rc;
}

uint64_t
client_read(struct client *c, const struct cap *cap, uint32_t offset, uint32_t len)
{
	uint64_t value = 0;

	if (client_region(c, false, cap->bar, cap->offset + offset, &value, len) < 0)
		memset(&value, 0xff, len);
	return value;
}

void
client_write(struct client *c, const struct cap *cap, uint32_t offset, uint64_t value, uint32_t len)
{
	client_region(c, true, cap->bar, cap->offset + offset, &value, len);
}

static void
cap_read(struct client *c, uint8_t at, const struct virtio_pci_cap *v)
{
	struct cap cap = { .bar = v->bar, .offset = v->offset, .length = v->length };
	struct cap *const places[] = {
		[VIRTIO_PCI_CAP_COMMON_CFG] = &c->common, [VIRTIO_PCI_CAP_NOTIFY_CFG] = &c->notify,
		[VIRTIO_PCI_CAP_ISR_CFG] = &c->isr, [VIRTIO_PCI_CAP_DEVICE_CFG] = &c->config,
		[VENDOR_CFG_TYPE] = &c->vendor,
	};

	if (v->cfg_type == VIRTIO_PCI_CAP_NOTIFY_CFG)
		client_region(c, false, VFIO_PCI_CONFIG_REGION_INDEX, at + sizeof(*v), &cap.step,
			      sizeof(cap.step));
	if (v->cfg_type < sizeof(places) / sizeof(places[0]) && places[v->cfg_type] != NULL)
		*places[v->cfg_type] = cap;
}

int
client_caps(struct client *c)
{
	struct virtio_pci_cap v;
	uint8_t at = 0;
	int rc = client_region(c, false, VFIO_PCI_CONFIG_REGION_INDEX, PCI_CAPABILITY_LIST, &at, 1);

	for (int i = 0; i < 48 && at != 0 && rc == 0; i++) {
		rc = client_region(c, false, VFIO_PCI_CONFIG_REGION_INDEX, at, &v, sizeof(v));
		if (rc == 0 && v.cap_vndr == PCI_CAP_ID_VNDR)
			cap_read(c, at, &v);
		at = v.cap_next;
	}
	if (rc == 0 && (c->common.length == 0 || c->isr.length == 0 || c->config.length == 0 ||
			c->notify.length == 0))
		return -ENOENT;
	return rc;
}

/* Memory, interrupts, doorbells */

int
client_map(struct client *c, int fd, uint64_t offset, uint64_t iova, uint64_t size)
{
	struct vfu_dma_map map = { .argsz = sizeof(map), .flags = VFU_MAP_READ | VFU_MAP_WRITE,
				   .offset = offset, .address = iova, .size = size };
	struct exchange x = { .command = VFU_DMA_MAP, .head = &map, .head_len = sizeof(map),
			      .fds = &fd, .n_fds = fd < 0 ? 0 : 1 };

	return client_call(c, &x);
}

int
client_unmap(struct client *c, uint64_t iova, uint64_t size)
{
	struct vfu_dma_unmap unmap = { .argsz = sizeof(unmap), .address = iova, .size = size };
	struct exchange x = { .command = VFU_DMA_UNMAP, .head = &unmap, .head_len = sizeof(unmap) };

	return client_call(c, &x);
}

int
client_irqs(struct client *c, unsigned int first, const int *fds, unsigned int n)
{
	struct vfu_irq_set set = { .argsz = sizeof(set), .index = VFIO_PCI_MSIX_IRQ_INDEX,
				   .start = first, .count = n };
	struct exchange x = { .command = VFU_SET_IRQS, .head = &set, .head_len = sizeof(set),
			      .fds = fds, .n_fds = n };

	set.flags = (n > 0 ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE) |
		    VFIO_IRQ_SET_ACTION_TRIGGER;
	return client_call(c, &x);
}

int
client_doorbells(struct client *c, int *fds, unsigned int max)
{
	struct vfu_io_fds io = { .argsz = 4096, .index = c->notify.bar };
	struct exchange x = { .command = VFU_GET_REGION_IO_FDS, .head = &io,
			      .head_len = sizeof(io) };
	int rc = client_call(c, &x);

	if (rc < 0)
		return rc;
	for (unsigned int i = 0; i < x.n_answer_fds; i++) {
		if (i < max)
			fds[i] = x.answer_fds[i];
		else
			close(x.answer_fds[i]);
	}
	return (int)(x.n_answer_fds < max ? x.n_answer_fds : max);
}
