/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest that moves between the sockets of ferryds as one that QEMU migrates does, and counts what
 * a station on the network sends to it; and that station.
 *
 *   mover guest SOCKET...    on each line "move" of standard input it goes to the next socket (and
 *                            from the last to the first), "stay": leaves and comes back, "end": tells
 *   mover station IFACE      sends to the guest until "end"
 *
 * Both print one line of JSON at the end.
 */
#include "vmm.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define GUEST_ID   0x11
#define FLOW       7
#define FRAME_LEN  300
#define RATE       2000        /* frames per second */
#define HELLO_MS   100         /* the guest says that it is there */
#define BLACKOUT_US 150000     /* how long the guest is nowhere */
#define SETTLE_MS  500

static const uint8_t station_mac[6] = { 0x52, 0x54, 0, 0, 0, 0xfe };
static struct vmm_flow flow = { .id = FLOW, .sent = UINT64_MAX };

static void
die(const char *what, const struct vmm_fault *fault, int rc)
{
	fprintf(stderr, "mover: %s: %s (%s)\n", what, strerror(-rc), fault == NULL ? "" : fault->text);
	exit(1);
}

static uint64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* A line of standard input, if there is one. */
static bool
line_read(char *line, int size)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
	int n = 0;

	if (poll(&p, 1, 0) <= 0)
		return false;
	while (n < size - 1 && read(STDIN_FILENO, &line[n], 1) == 1 && line[n] != '\n')
		n++;
	line[n] = '\0';
	if (n == 0)
		strcpy(line, "end");
	return true;
}

/* the guest */

struct mover {
	struct vmm_guest *guest;
	struct vmm_fault fault;
	int n_paths, at;
	char **paths;
	uint64_t others;   /* frames that are not the station's to us */
	uint64_t moved;
};

static void
receive(struct mover *m)
{
	uint8_t bytes[2048];
	struct vmm_frame f;
	int len;

	while ((len = vmm_guest_recv(m->guest, 0, bytes, sizeof(bytes), NULL)) > 0) {
		if (memcmp(bytes, m->guest->mac, 6) != 0 || !vmm_frame_ours(bytes, (uint32_t)len)) {
			m->others++;
			continue;
		}
		if (vmm_frame_parse(&f, bytes, (uint32_t)len, &m->fault) < 0 ||
		    vmm_flow_received(&flow, &f, &m->fault) < 0)
			die("a frame", &m->fault, -EPROTO);
	}
	if (len < 0 || vmm_guest_flush(m->guest) < 0)
		die("rings", &m->fault, len);
}

static void
hello_send(struct mover *m)
{
	struct vmm_frame f = { .len = 60, .raw = true };
	uint8_t bytes[60];

	memcpy(f.dst, station_mac, 6);
	memcpy(f.src, m->guest->mac, 6);
	vmm_frame_build(bytes, &f);
	vmm_guest_reclaim(m->guest);
	vmm_guest_send(m->guest, 0, bytes, f.len, NULL);
	vmm_guest_flush(m->guest);
}

/* The dirty log is switched on as QEMU does; what is marked in it is another test's subject. */
static void
logging_on(struct mover *m)
{
	struct vmm_front *f = m->guest->front;
	uint64_t size = 1 << 20;
	int fd = memfd_create("log", MFD_CLOEXEC), rc;

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		die("log", &m->fault, -errno);
	rc = vmm_front_send_log(f, fd, size, 0);
	if (rc == 0)
		rc = vmm_front_send_u64(f, VMM_SET_FEATURES, f->features | 1ULL << VMM_F_LOG_ALL);
	close(fd);
	if (rc < 0)
		die("log", &m->fault, rc);
}

static void
open_here(struct mover *m)
{
	uint64_t mac = 0;
	int rc;

	snprintf(m->guest->front->path, sizeof(m->guest->front->path), "%s", m->paths[m->at]);
	rc = vmm_guest_open(m->guest);
	memcpy(&mac, m->guest->mac, 6);
	if (rc == 0 && m->moved > 0)
		rc = vmm_front_send_u64(m->guest->front, VMM_SEND_RARP, mac);
	if (rc < 0)
		die(m->paths[m->at], &m->fault, rc);
}

static void
move(struct mover *m)
{
	logging_on(m);
	for (uint64_t until = now_us() + 20000; now_us() < until; usleep(500))
		receive(m);
	if (vmm_guest_stop(m->guest) < 0)
		die("stop", &m->fault, -EIO);
	receive(m);
	usleep(BLACKOUT_US);
	vmm_guest_disconnect(m->guest);
	m->at = (m->at + 1) % m->n_paths;
	m->moved++;
	open_here(m);
	printf("moved\n");
	fflush(stdout);
}

static int
guest(int n_paths, char **paths)
{
	struct mover m = { .n_paths = n_paths, .paths = paths };
	struct vmm_guest_conf conf;
	uint64_t hello = 0;
	char line[32];

	vmm_guest_conf_init(&conf);
	conf.path = paths[0];
	conf.mac_id = GUEST_ID;
	conf.size = 2048;
	conf.n_bufs = 2000;
	conf.deadline_ms = 5000;
	if (vmm_guest_create(&m.guest, &conf, &m.fault) < 0)
		die("guest", &m.fault, -ENOMEM);
	open_here(&m);
	for (;;) {
		receive(&m);
		if (now_us() - hello > HELLO_MS * 1000) {
			hello_send(&m);
			hello = now_us();
		}
		if (!line_read(line, sizeof(line))) {
			vmm_guest_wait(&m.guest, 1, 2);
			continue;
		}
		if (strcmp(line, "move") == 0)
			move(&m);
		else
			break;
	}
	printf("{\"received\": %llu, \"missing\": %llu, \"others\": %llu, \"moved\": %llu}\n",
	       (unsigned long long)flow.received, (unsigned long long)flow.missing,
	       (unsigned long long)m.others, (unsigned long long)m.moved);
	vmm_guest_destroy(m.guest);
	return 0;
}

/* the station */

static int
packet_open(const char *iface)
{
	struct sockaddr_ll sa = {
		.sll_family = AF_PACKET, .sll_protocol = htons(0x0003),
		.sll_ifindex = (int)if_nametoindex(iface),
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(0x0003));

	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		die(iface, NULL, -errno);
	return fd;
}

static int
station(const char *iface)
{
	struct vmm_frame f = { .flow = FLOW, .len = FRAME_LEN };
	uint64_t next = now_us(), heard = 0;
	int fd = packet_open(iface);
	uint8_t bytes[2048];
	char line[32];

	memcpy(f.dst, (uint8_t[]){ 0x52, 0x54, 0, 0xfe, 0, GUEST_ID }, 6);
	memcpy(f.src, station_mac, 6);
	while (!line_read(line, sizeof(line))) {
		while (recv(fd, bytes, sizeof(bytes), 0) > 0)
			heard += memcmp(bytes + 6, f.dst, 6) == 0;
		/* the guest has spoken: everybody knows where it is */
		for (; heard > 0 && now_us() >= next; next += 1000000 / RATE) {
			vmm_frame_build(bytes, &f);
			if (send(fd, bytes, f.len, 0) != (ssize_t)f.len)
				die("send", NULL, -errno);
			f.seq++;
		}
		if (heard == 0)
			next = now_us();
		usleep(200);
	}
	printf("{\"sent\": %llu, \"heard\": %llu}\n", (unsigned long long)f.seq,
	       (unsigned long long)heard);
	return 0;
}

int
main(int argc, char **argv)
{
	if (argc >= 3 && strcmp(argv[1], "guest") == 0)
		return guest(argc - 2, argv + 2);
	if (argc == 3 && strcmp(argv[1], "station") == 0)
		return station(argv[2]);
	fprintf(stderr, "usage: mover guest SOCKET... | mover station IFACE\n");
	return 2;
}
