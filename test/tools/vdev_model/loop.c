/* SPDX-License-Identifier: BSD-3-Clause */
#include "loop.h"

#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define READY_MAX 32

static int epoll_fd = -1;
static uint64_t wake_us = UINT64_MAX;
static struct epoll_event ready[READY_MAX];
static int n_ready;

uint64_t
loop_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

int
loop_init(void)
{
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return epoll_fd < 0 ? -errno : 0;
}

void
loop_fini(void)
{
	close(epoll_fd);
	epoll_fd = -1;
}

int
loop_watch(struct watch *w, int fd, void (*call)(void *arg), void *arg)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = w };

	*w = (struct watch){ .ready = call, .arg = arg, .fd = fd };
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0) {
		w->fd = -1;
		return -errno;
	}
	return 0;
}

void
loop_forget(struct watch *w)
{
	if (w->ready == NULL || w->fd < 0)
		return;
	epoll_ctl(epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
	w->fd = -1;
	/* What was found ready together with the one that is called now is not called any more. */
	for (int i = 0; i < n_ready; i++) {
		if (ready[i].data.ptr == w)
			ready[i].data.ptr = NULL;
	}
}

void
loop_at(uint64_t us)
{
	if (us < wake_us)
		wake_us = us;
}

static int
wait_ms(bool busy)
{
	uint64_t now = loop_now_us();

	if (busy || wake_us <= now)
		return 0;
	return wake_us == UINT64_MAX ? -1 : (int)((wake_us - now + 999) / 1000);
}

int
loop_turn(bool busy)
{
	n_ready = epoll_wait(epoll_fd, ready, READY_MAX, wait_ms(busy));
	if (n_ready < 0)
		return errno == EINTR ? 0 : -errno;
	wake_us = UINT64_MAX;
	for (int i = 0; i < n_ready; i++) {
		struct watch *w = ready[i].data.ptr;

		if (w != NULL)
			w->ready(w->arg);
	}
	n_ready = 0;
	return 0;
}
