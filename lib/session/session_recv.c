/* SPDX-License-Identifier: BSD-3-Clause */
#include "log.h"
#include "session_impl.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

LOG_USE(session);

/*
 * Before it asks the first hook, the library allocates the ring that a message names.  When there
 * can be no such ring it ends the connection, and forgets to close what came with the message: by
 * connecting again and again a front-end could use up the descriptors of the process.  None of
 * these messages may carry any, so the library is not given them; nobody else uses this socket.
 */

#define HEADER_LEN offsetof(struct vhu_msg_context, payload)

/* Carries descriptors, but it is not offered, and names a number of rings. */
#define SET_INFLIGHT_FD 32

static bool
ring_comes_first(uint32_t request)
{
	switch (request) {
	case VHU_SET_VRING_NUM:
	case VHU_SET_VRING_ADDR:
	case VHU_SET_VRING_BASE:
	case VHU_GET_VRING_BASE:
	case VHU_SET_VRING_ENABLE:
	case SET_INFLIGHT_FD:
		return true;
	}
	return false;
}

static bool
is_session(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && session_map_claimed(st.st_ino);
}

/* Whether a header of the library's was read, with what it would forget. */
static bool
unwanted(int fd, const struct msghdr *msg, ssize_t n)
{
	uint32_t request;

	if (n != HEADER_LEN || msg->msg_iovlen != 1 || msg->msg_iov[0].iov_len != HEADER_LEN ||
	    CMSG_FIRSTHDR(msg) == NULL)
		return false;
	memcpy(&request, msg->msg_iov[0].iov_base, sizeof(request));
	return ring_comes_first(request) && is_session(fd);
}

static void
rights_close(const struct msghdr *msg)
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	const uint8_t *at = CMSG_DATA(c), *end = (const uint8_t *)c + c->cmsg_len;
	int fd;

	if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return;
	for (; at + sizeof(fd) <= end; at += sizeof(fd)) {
		memcpy(&fd, at, sizeof(fd));
		close(fd);
	}
}

/* Stands in front of libc's for the libraries, too: the executable's symbols are found first. */
ssize_t
recvmsg(int fd, struct msghdr *msg, int flags)
{
	ssize_t n = syscall(SYS_recvmsg, fd, msg, flags);

	if (n < 0 || !unwanted(fd, msg, n))
		return n;
	rights_close(msg);
	errno = EPROTO;
	return -1;
}

void
session_recv_check(void)
{
	if (dlsym(RTLD_DEFAULT, "recvmsg") != (void *)recvmsg)
		LOG(WARNING, "librte_vhost reads past us: bad messages may cost descriptors");
}
