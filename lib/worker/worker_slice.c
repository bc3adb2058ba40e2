/* SPDX-License-Identifier: BSD-3-Clause */
#include "worker_impl.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SLICE_NS 100000 /* the shortest that the kernel gives */

/* `struct sched_attr` of sched_setattr(2) in its first version; the C library has none yet. */
struct attr {
	uint32_t size;
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime;
	uint64_t deadline;
	uint64_t period;
};

/*
 * A worker that has traffic never sleeps.  Where it is not alone on its processor, whoever wakes up
 * there waits for the end of its slice, which is told by a tick, and that may be the very thread that
 * is to answer a front-end.  With a short slice it waits no longer than for that.  Kernels before
 * 6.12 do not listen; who has chosen another class for us knows better.
 */
void
worker_slice_set(void)
{
	struct attr a = { .size = sizeof(a) };

	if (syscall(SYS_sched_getattr, 0, &a, sizeof(a), 0) < 0 || a.policy != SCHED_OTHER)
		return;
	a.size = sizeof(a);
	a.runtime = SLICE_NS;
	syscall(SYS_sched_setattr, 0, &a, 0);
}
