/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `vmm bases`: how long GET_VRING_BASE takes while all rings are busy, and whether it is the
 * barrier that it has to be: what a ring looks like at its reply, it looks like for good.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"
#include "fast.h"

#define BURST 64
#define SILENCE_US 50000
#define NAP_NS 20000

struct bases {
	struct cmd *cmd;
	struct vmm_guest *guests[2];    /* the one that is stopped, and who sends to it */
	struct fast tx[2][VMM_PAIRS_MAX], rx[2][VMM_PAIRS_MAX];
	pthread_t thread;
	bool stop;
	int64_t *times;
	uint32_t n_times;
	uint32_t n_busy;                /* of them, rings that had chains left at the reply */
};

static int
fast_open(struct bases *b, unsigned int x)
{
	struct vmm_guest *from = b->guests[x], *to = b->guests[1 - x];
	uint8_t bytes[VMM_FRAME_MAX + sizeof(struct virtio_net_hdr_v1)] = { 0 };
	int rc = 0;

	for (unsigned int i = 0; i < from->conf.pairs && rc == 0; i++) {
		struct vmm_frame f = { .flow = i, .len = b->cmd->size_min };

		memcpy(f.src, from->mac, 6);
		memcpy(f.dst, to->mac, 6);
		vmm_frame_build(bytes + from->hdr_len, &f);
		rc = fast_init_tx(&b->tx[x][i], from, i, bytes, from->hdr_len + f.len);
		if (rc == 0)
			rc = fast_init_rx(&b->rx[x][i], from, i);
	}
	return rc;
}

static void
fast_turn(struct bases *b, unsigned int x)
{
	for (unsigned int i = 0; i < b->guests[x]->conf.pairs; i++) {
		fast_take(&b->tx[x][i]);
		fast_offer(&b->tx[x][i], BURST);
		fast_offer(&b->rx[x][i], fast_take(&b->rx[x][i]));
	}
}

/*
 * Keeps every ring of both guests busy, those that are stopped too: what is offered lasts for longer
 * than the nap.  Without naps it would have its processor to the end of a tick while the other
 * end of the socket, or we, wait for it: what is measured is to be the answer.
 */
static void *
traffic_run(void *arg)
{
	const struct timespec nap = { .tv_nsec = NAP_NS };
	struct bases *b = arg;

	prctl(PR_SET_TIMERSLACK, 1UL);
	while (!__atomic_load_n(&b->stop, __ATOMIC_ACQUIRE)) {
		fast_turn(b, 0);
		fast_turn(b, 1);
		nanosleep(&nap, NULL);
	}
	return NULL;
}

/* Where the device stands in a ring, by what it has left there. */
static uint16_t
device_pos(struct fast *f)
{
	fast_take(f);
	return vmm_ring_pos(f->ring);
}

static int
positions_check(struct bases *b, const char *when)
{
	struct vmm_guest *g = b->guests[0];

	for (unsigned int i = 0; i < g->n_queues; i++) {
		struct fast *f = i & 1 ? &b->tx[0][i / 2] : &b->rx[0][i / 2];
		uint16_t pos = device_pos(f);

		if ((g->queues[i].base & 0xffff) != pos)
			return vmm_fault_set(&b->cmd->fault, "%s: base was 0x%x, %s the device is"
					     " at 0x%x", f->ring->name, g->queues[i].base, when,
					     pos);
	}
	return 0;
}

/* The device had something to do in a ring that it was to stop: or the barrier costs nothing. */
static bool
ring_busy(struct bases *b, unsigned int i)
{
	const struct vmm_ring *r = b->guests[0]->queues[i].ring;
	uint16_t avail = r->avail_idx | (r->conf.packed && r->avail_wrap ? 1 << 15 : 0);

	return avail != (uint16_t)b->guests[0]->queues[i].base;
}

static int
stop_measured(struct bases *b)
{
	struct vmm_guest *g = b->guests[0];
	int rc = 0;

	for (unsigned int i = 0; i < g->n_queues && rc == 0; i++) {
		int64_t start = cmd_now_us();

		rc = vmm_front_ask_base(g->front, i, &g->queues[i].base);
		b->times[b->n_times++] = cmd_now_us() - start;
		b->n_busy += ring_busy(b, i);
	}
	return rc;
}

/* Busy for `ms`, stopped, silent, and started again. */
static int
round_run(struct bases *b)
{
	int rc;

	b->stop = false;
	rc = -pthread_create(&b->thread, NULL, traffic_run, b);
	if (rc < 0)
		return rc;
	usleep((b->cmd->ms != 0 ? b->cmd->ms : 20) * 1000);
	rc = stop_measured(b);
	usleep(2000);
	__atomic_store_n(&b->stop, true, __ATOMIC_RELEASE);
	pthread_join(b->thread, NULL);
	if (rc == 0)
		rc = positions_check(b, "at the reply");
	usleep(SILENCE_US);
	if (rc == 0)
		rc = positions_check(b, "50 ms later");
	return rc < 0 ? rc : vmm_guest_start(b->guests[0]);
}

static int
time_compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void
result_print(struct bases *b)
{
	uint32_t n = b->n_times;

	qsort(b->times, n, sizeof(*b->times), time_compare);
	printf("{\"rings\": %u, \"replies\": %u, \"median_us\": %" PRId64 ", \"p99_us\": %" PRId64
	       ", \"max_us\": %" PRId64 ", \"busy\": %u}\n", b->guests[0]->n_queues, n,
	       b->times[n / 2], b->times[(n * 99 + 99) / 100 - 1], b->times[n - 1], b->n_busy);
}

static int
bases_open(struct bases *b)
{
	int rc = 0;

	for (unsigned int x = 0; x < 2 && rc == 0; x++) {
		rc = cmd_guest(b->cmd, b->cmd->args[x], x, &b->guests[x]);
		if (rc == 0)
			rc = vmm_guest_open(b->guests[x]);
	}
	for (unsigned int x = 0; x < 2 && rc == 0; x++)
		rc = vmm_guest_announce(b->guests[x]);
	for (unsigned int x = 0; x < 2 && rc == 0; x++)
		rc = fast_open(b, x);
	if (rc == 0)
		b->times = calloc((size_t)b->cmd->count * b->guests[0]->n_queues,
				  sizeof(*b->times));
	return rc == 0 && b->times == NULL ? -ENOMEM : rc;
}

static void
bases_close(struct bases *b)
{
	for (unsigned int x = 0; x < 2; x++) {
		for (unsigned int i = 0; i < VMM_PAIRS_MAX; i++) {
			fast_fini(&b->tx[x][i]);
			fast_fini(&b->rx[x][i]);
		}
		vmm_guest_destroy(b->guests[x]);
	}
	free(b->times);
}

int
cmd_bases(struct cmd *cmd)
{
	static struct bases b;
	int rc;

	if (cmd->n_args != 2 || cmd->count == 0)
		return CMD_USAGE;
	cmd->conf.segs = 1;
	b.cmd = cmd;
	rc = bases_open(&b);
	for (uint32_t i = 0; i < cmd->count && rc == 0; i++)
		rc = round_run(&b);
	if (rc == 0)
		result_print(&b);
	bases_close(&b);
	return rc < 0 ? cmd_fail(cmd, "bases", rc) : CMD_OK;
}
