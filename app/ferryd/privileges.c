/* SPDX-License-Identifier: BSD-3-Clause */
#include "ferryd.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BIT(cap) (1ULL << (cap))

/*
 * What a switch does as root: tap devices and af_packet sockets, its sockets' owner and mode in
 * folders of others, QEMU's sockets, memory that a device may reach, a worker's priority.  A DPDK
 * driver that needs more than that is why "privileges": "keep" exists.
 */
#define KEPT \
	(BIT(CAP_NET_ADMIN) | BIT(CAP_NET_RAW) | BIT(CAP_CHOWN) | BIT(CAP_FOWNER) | \
	 BIT(CAP_DAC_OVERRIDE) | BIT(CAP_IPC_LOCK) | BIT(CAP_SYS_NICE))

/* What is not in the bounding set does not come back with an exec, not even as root. */
static void
bounds_drop(void)
{
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		if ((KEPT & BIT(cap)) == 0)
			prctl(PR_CAPBSET_DROP, cap);
}

/*
 * Before any other thread is there: capabilities are a thread's, and those that DPDK starts
 * inherit ours.
 */
int
privileges_init(struct ferryd *d)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (geteuid() != 0 || d->config->privileges_keep)
		return 0;
	bounds_drop();
	memset(data, 0, sizeof(data));
	data[0].effective = data[0].permitted = (uint32_t)KEPT;
	data[1].effective = data[1].permitted = (uint32_t)(KEPT >> 32);
	if (syscall(SYS_capset, &header, data) < 0)
		return -errno;
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return 0;
}

int
descriptors_init(struct ferryd *d)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0)
		return -errno;
	r.rlim_cur = r.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &r) < 0 ? -errno : 0;
}
