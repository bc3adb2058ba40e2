/* SPDX-License-Identifier: BSD-3-Clause */
#include "guestio.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* One connection: what it sends, what it receives, and whether each came to its proper end. */
struct conn {
	const struct options *o;
	int fd;
	uint16_t flow;
	struct tally sent, received;
	bool sent_all, received_all;
	pthread_t sender, receiver;
};

static struct conn conns[FLOWS_MAX];
static int listen_fd = -1;
static volatile sig_atomic_t given_up, last_wanted;

static bool
write_all(int fd, const uint8_t *buf, size_t size)
{
	while (size > 0) {
		ssize_t n = send(fd, buf, size, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		buf += n;
		size -= (size_t)n;
	}
	return true;
}

/* Fills buf; returns how much there was before the end of the stream or an error. */
static size_t
read_all(int fd, uint8_t *buf, size_t size)
{
	size_t got = 0;

	while (got < size) {
		ssize_t n = recv(fd, buf + got, size - got, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		got += (size_t)n;
	}
	return got;
}

static bool
conn_sent_all(const struct options *o, uint64_t seq, uint64_t start)
{
	return last_wanted != 0 ||
		(o->count != 0 ? seq == o->count : now_ns() - start >= o->duration_ns);
}

static void *
conn_send(void *arg)
{
	struct conn *c = arg;
	const struct options *o = c->o;
	uint64_t start = now_ns();
	uint8_t *buf = malloc(o->size);

	for (uint64_t seq = 0; buf != NULL; seq++) {
		if (conn_sent_all(o, seq, start)) {
			c->sent_all = shutdown(c->fd, SHUT_WR) == 0;
			break;
		}
		pace(start, seq * o->flows, o->rate);
		record_make(buf, o->size, c->flow, seq);
		if (!write_all(c->fd, buf, o->size))
			break;
		tally_add(&c->sent, buf, o->size);
	}
	free(buf);
	return NULL;
}

/* Reads records up to the end of the stream; only an end between two records is a proper one. */
static void *
conn_recv(void *arg)
{
	struct conn *c = arg;
	uint8_t *buf = malloc(RECORD_MAX);
	struct record head;

	while (buf != NULL) {
		size_t got = read_all(c->fd, buf, sizeof(head));

		if (got < sizeof(head)) {
			c->received_all = got == 0;
			break;
		}
		memcpy(&head, buf, sizeof(head));
		if (head.size < sizeof(head) || head.size > RECORD_MAX) {
			c->received.corrupt++;
			break;
		}
		got += read_all(c->fd, buf + sizeof(head), head.size - sizeof(head));
		tally_add(&c->received, buf, got);
		if (got < head.size)
			break;
	}
	free(buf);
	return NULL;
}

/* The side that only sends also waits for the peer's end, which says that all was read. */
static void
conn_start(struct conn *c, bool sends)
{
	if (sends)
		pthread_create(&c->sender, NULL, conn_send, c);
	pthread_create(&c->receiver, NULL, conn_recv, c);
}

static int
conns_finish(uint16_t n, const char *role, bool sends, bool receives)
{
	static struct tally tallies[FLOWS_MAX];
	bool complete = true;

	for (uint16_t i = 0; i < n; i++) {
		struct conn *c = &conns[i];

		if (sends)
			pthread_join(c->sender, NULL);
		pthread_join(c->receiver, NULL);
		close(c->fd);
		complete = complete && c->received_all && (!sends || c->sent_all);
		tallies[i] = receives ? c->received : c->sent;
	}
	return tally_print("stream", role, tallies, n, complete && given_up == 0);
}

/* Whichever thread the signal hits: the shut sockets end the waits of all of them. */
static void
give_up(int sig)
{
	(void)sig;
	given_up = 1;
	if (listen_fd >= 0)
		shutdown(listen_fd, SHUT_RDWR);
	for (uint16_t i = 0; i < FLOWS_MAX; i++) {
		if (conns[i].fd > 0)
			shutdown(conns[i].fd, SHUT_RDWR);
	}
}

/* Receivers do not wait for ever: after the time given, what was received is printed as incomplete. */
static void
arm(uint64_t ns)
{
	struct sigaction sa = { .sa_handler = give_up };

	sigaction(SIGALRM, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	alarm((unsigned int)(ns / 1000000000u) + 1);
}

static void
end_in_order(int sig)
{
	(void)sig;
	last_wanted = 1;
}

int
stream_send(const struct options *o)
{
	struct sockaddr_storage sa;
	unsigned int len = address_parse(o, &sa);

	signal(SIGUSR1, end_in_order);
	for (uint16_t i = 0; i < o->flows; i++) {
		struct conn *c = &conns[i];

		c->o = o;
		c->flow = i;
		c->fd = socket(sa.ss_family, SOCK_STREAM, 0);
		if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&sa, len) < 0) {
			perror("guestio: connect");
			return 1;
		}
		conn_start(c, true);
	}
	return conns_finish(o->flows, "send", true, o->duplex);
}

static int
listen_on(uint16_t port)
{
	struct sockaddr_in6 sa = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int fd = socket(AF_INET6, SOCK_STREAM, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(fd, FLOWS_MAX) < 0) {
		perror("guestio: listen");
		exit(1);
	}
	return fd;
}

int
stream_recv(const struct options *o)
{
	uint16_t n;

	listen_fd = listen_on(o->port);
	arm(o->duration_ns);
	for (n = 0; n < o->flows; n++) {
		struct conn *c = &conns[n];

		c->o = o;
		c->flow = n;
		c->fd = accept(listen_fd, NULL, NULL);
		if (c->fd < 0)
			break;
		conn_start(c, o->duplex);
	}
	return conns_finish(n, "recv", o->duplex, true) || n < o->flows;
}
