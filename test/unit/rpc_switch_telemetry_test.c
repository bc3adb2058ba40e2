/* SPDX-License-Identifier: BSD-3-Clause */
/* DPDK telemetry, asked as its clients ask. */
#include "rpc_switch_rig.h"

#include <rte_eal.h>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int
telemetry_fd(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%.80s/dpdk_telemetry.v2",
		 rte_eal_get_runtime_dir());
	CHECK(connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0);
	return fd;
}

/* What a client of DPDK's socket gets, while control runs its loop. */
static void
ask(int fd, const char *command, char *out, size_t size)
{
	ssize_t n = -1;

	CHECK(send(fd, command, strlen(command), 0) > 0);
	for (int i = 0; i < 5000 && n < 0; i++) {
		pump(1);
		n = recv(fd, out, size - 1, MSG_DONTWAIT);
	}
	out[n > 0 ? n : 0] = '\0';
}

static void
test_telemetry(void)
{
	int fd = telemetry_fd();
	static char text[65536];
	json_t *r;

	CHECK(recv(fd, text, sizeof(text), 0) > 0);
	ask(fd, "/ferry/port/list", text, sizeof(text));
	CHECK_STR("ports", text, "{\"/ferry/port/list\":[\"vm1\",\"vm2\"]}");
	ask(fd, "/ferry/worker/list", text, sizeof(text));
	CHECK_STR("workers", text, "{\"/ferry/worker/list\":[0,1]}");
	ask(fd, "/ferry/port/stats,vm1", text, sizeof(text));
	r = json_loads(text, 0, NULL);
	check_member("counters", json_object_get(r, "/ferry/port/stats"), "rx.frames", "0");
	check_member("drops", json_object_get(r, "/ferry/port/stats"), "drops.no_desc", "0");
	json_decref(r);
	ask(fd, "/ferry/port/info,vm2", text, sizeof(text));
	r = json_loads(text, 0, NULL);
	check_member("state", json_object_get(r, "/ferry/port/info"), "state", "\"waiting\"");
	json_decref(r);
	ask(fd, "/ferry/worker/stats,1", text, sizeof(text));
	r = json_loads(text, 0, NULL);
	check_member("worker", json_object_get(r, "/ferry/worker/stats"), "index", "1");
	json_decref(r);
	ask(fd, "/ferry/fdb/stats", text, sizeof(text));
	r = json_loads(text, 0, NULL);
	check_member("fdb", json_object_get(r, "/ferry/fdb/stats"), "static", "2");
	json_decref(r);
	ask(fd, "/ferry/port/stats", text, sizeof(text));
	CHECK_STR("no name", text, "{\"/ferry/port/stats\":null}");
	ask(fd, "/ferry/port/stats,nobody", text, sizeof(text));
	CHECK_STR("no such port", text, "{\"/ferry/port/stats\":null}");
	close(fd);
}

/* Control does not answer: the client gets nothing, soon, and later ones are served. */
static void
test_telemetry_alone(void)
{
	int fd = telemetry_fd(), other = telemetry_fd();
	char text[16384];
	ssize_t n;

	CHECK(recv(fd, text, sizeof(text), 0) > 0 && recv(other, text, sizeof(text), 0) > 0);
	CHECK(send(fd, "/ferry/port/list", 16, 0) == 16);
	CHECK(send(other, "/ferry/port/list", 16, 0) == 16);
	n = recv(fd, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	CHECK_STR("control is busy", text, "{\"/ferry/port/list\":null}");
	n = recv(other, text, sizeof(text) - 1, 0);
	ask(fd, "/ferry/port/list", text, sizeof(text));
	CHECK_STR("control is back", text, "{\"/ferry/port/list\":[\"vm1\",\"vm2\"]}");
	close(fd);
	close(other);
}

void
rpc_switch_telemetry_test(void)
{
	test_telemetry();
	test_telemetry_alone();
}
