/* SPDX-License-Identifier: BSD-3-Clause */
#include "guestio.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

/* What a receiver still waits for a straggler once it was told that no more is sent. */
#define STRAGGLER_NS 1000000000u

static struct tally tallies[FLOWS_MAX];
static volatile sig_atomic_t stopped, last_sent;

static void
stop(int sig)
{
	(void)sig;
	stopped = 1;
}

static void
no_more_is_sent(int sig)
{
	(void)sig;
	last_sent = 1;
}

static void
dgram_connect(const struct options *o, int fds[])
{
	struct sockaddr_storage sa;
	unsigned int len = address_parse(o, &sa);

	for (uint16_t i = 0; i < o->flows; i++) {
		fds[i] = socket(sa.ss_family, SOCK_DGRAM, 0);
		if (fds[i] < 0 || connect(fds[i], (struct sockaddr *)&sa, len) < 0) {
			perror("guestio: connect");
			exit(1);
		}
	}
}

/*
 * A full socket or an absent peer is no reason to stop: what was not sent is not counted, and its
 * number goes out with the next try.
 */
static bool
send_one(int fd, const void *buf, uint32_t size)
{
	ssize_t n;

	do {
		n = send(fd, buf, size, 0);
	} while (n < 0 && errno == EINTR && stopped == 0);
	return n == (ssize_t)size;
}

int
dgram_send(const struct options *o)
{
	uint64_t start, total = 0, seq[FLOWS_MAX] = { 0 };
	static uint8_t buf[RECORD_MAX];
	int fds[FLOWS_MAX];

	signal(SIGTERM, stop);
	signal(SIGUSR1, stop);
	dgram_connect(o, fds);
	start = now_ns();
	while (stopped == 0) {
		uint16_t flow = total % o->flows;

		if (o->count != 0 ? total == o->count * o->flows : now_ns() - start >= o->duration_ns)
			break;
		pace(start, total, o->rate);
		record_make(buf, o->size, flow, seq[flow]);
		total++;
		if (!send_one(fds[flow], buf, o->size))
			continue;
		tally_add(&tallies[flow], buf, o->size);
		seq[flow]++;
	}
	return tally_print("dgram", "send", tallies, o->flows, true);
}

static int
bind_to(uint16_t port)
{
	struct sockaddr_in6 sa = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct timeval tick = { .tv_usec = 20000 };
	int fd = socket(AF_INET6, SOCK_DGRAM, 0), space = 8 << 20;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tick, sizeof(tick));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &space, sizeof(space)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &space, sizeof(space));
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		perror("guestio: bind");
		exit(1);
	}
	return fd;
}

static uint16_t
flow_of(const void *buf, size_t size)
{
	struct record head;

	if (!record_intact(buf, size))
		return 0;
	memcpy(&head, buf, sizeof(head));
	return head.flow;
}

/* Over when all that was announced is here, after a silence, at the deadline or on SIGTERM. */
static bool
dgram_over(const struct options *o, uint64_t start, uint64_t last, uint64_t records)
{
	uint64_t now = now_ns();

	return stopped != 0 || now - start >= o->duration_ns ||
		(o->count != 0 && records >= o->count * o->flows) ||
		(last != 0 && now - last >= (last_sent != 0 ? STRAGGLER_NS : o->idle_ns));
}

/* Datagrams that found the socket's buffer full. */
static uint64_t
socket_drops(int fd)
{
	uint32_t info[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(info);

	if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len) < 0) {
		perror("guestio: SO_MEMINFO");
		exit(1);
	}
	return info[SK_MEMINFO_DROPS];
}

int
dgram_recv(const struct options *o)
{
	uint64_t start = now_ns(), last = 0, records = 0;
	static uint8_t buf[RECORD_MAX];
	int fd = bind_to(o->port);

	signal(SIGTERM, stop);
	signal(SIGUSR1, no_more_is_sent);
	while (!dgram_over(o, start, last, records)) {
		ssize_t n = recv(fd, buf, sizeof(buf), 0);

		if (n < 0)
			continue;
		last = now_ns();
		records++;
		tally_add(&tallies[flow_of(buf, (size_t)n)], buf, (size_t)n);
	}
	tallies[0].socket_drops = socket_drops(fd);
	return tally_print("dgram", "recv", tallies, FLOWS_MAX, records > 0);
}
