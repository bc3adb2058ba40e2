/* SPDX-License-Identifier: BSD-3-Clause */
#include "guestio.h"

#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What the last echoes may take. */
#define ECHO_WAIT_NS 10000000000u

static volatile sig_atomic_t stopped;

static void
stop(int sig)
{
	(void)sig;
	stopped = 1;
}

static uint16_t
internet_checksum(const uint8_t *buf, size_t size)
{
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < size; i += 2)
		sum += (uint32_t)(buf[i] << 8 | buf[i + 1]);
	if (size % 2 != 0)
		sum += (uint32_t)(buf[size - 1] << 8);
	sum = (sum >> 16) + (sum & 0xffff);
	sum += sum >> 16;
	return htons((uint16_t)~sum);
}

static int
ping_open(const struct options *o)
{
	struct sockaddr_storage sa;
	unsigned int len = address_parse(o, &sa);
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP), space = 1 << 20;

	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, len) < 0) {
		perror("guestio: ping");
		exit(1);
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &space, sizeof(space));
	return fd;
}

/* A request that was not sent is not counted: its number goes out with the next one. */
static bool
request(int fd, const struct options *o, uint64_t seq)
{
	static uint8_t buf[sizeof(struct icmphdr) + RECORD_MAX];
	struct icmphdr head = { .type = ICMP_ECHO };
	size_t size = sizeof(head) + o->size;

	head.un.echo.id = htons((uint16_t)getpid());
	head.un.echo.sequence = htons((uint16_t)seq);
	memcpy(buf, &head, sizeof(head));
	record_make(buf + sizeof(head), o->size, 0, seq);
	head.checksum = internet_checksum(buf, size);
	memcpy(buf, &head, sizeof(head));
	return send(fd, buf, size, 0) == (ssize_t)size;
}

/* Enters an echo of ours; whatever else the raw socket hears is ignored. */
static void
echo(int fd, struct tally *t)
{
	static uint8_t buf[RECORD_MAX];
	ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
	struct icmphdr head;
	size_t at;

	if (n < (ssize_t)sizeof(struct iphdr))
		return;
	at = (size_t)(buf[0] & 15) * 4;
	if ((size_t)n < at + sizeof(head))
		return;
	memcpy(&head, buf + at, sizeof(head));
	at += sizeof(head);
	if (head.type == ICMP_ECHOREPLY && head.un.echo.id == htons((uint16_t)getpid()))
		tally_add(t, buf + at, (size_t)n - at);
}

/* Listens until a point in time, or until all that was asked for has come. */
static void
listen_until(int fd, struct tally *t, uint64_t end_ns, uint64_t wanted)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t now;

	while (t->records < wanted && (now = now_ns()) < end_ns) {
		if (poll(&p, 1, (int)((end_ns - now + 999999) / 1000000)) > 0)
			echo(fd, t);
	}
}

int
ping(const struct options *o)
{
	uint64_t interval_ns = 1000000000u / (o->rate == 0 ? 1 : o->rate), start = now_ns(), sent = 0;
	struct tally t = { 0 };
	int fd = ping_open(o);

	signal(SIGTERM, stop);
	signal(SIGUSR1, stop);
	for (uint64_t n = 1; stopped == 0; n++) {
		if (o->count != 0 ? sent == o->count : now_ns() - start >= o->duration_ns)
			break;
		sent += request(fd, o, sent);
		listen_until(fd, &t, start + n * interval_ns, UINT64_MAX);
	}
	listen_until(fd, &t, now_ns() + ECHO_WAIT_NS, sent);
	t.highest = sent;
	return tally_print("ping", "echo", &t, 1, sent > 0);
}
