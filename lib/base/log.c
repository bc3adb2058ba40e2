/* SPDX-License-Identifier: BSD-3-Clause */
#include "log.h"

#include <stdatomic.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

bool
log_rl_pass(struct log_rl *rl)
{
	uint64_t now = clock_ns() / NS_PER_S + 1;

	if (atomic_exchange_explicit(&rl->second, now, memory_order_relaxed) != now)
		atomic_store_explicit(&rl->lines, 0, memory_order_relaxed);
	return atomic_fetch_add_explicit(&rl->lines, 1, memory_order_relaxed) < LOG_RL_PER_S;
}

int
log_open(const char *path)
{
	static FILE *open_file;
	FILE *f = NULL;

	if (path != NULL) {
		f = fopen(path, "ae");
		if (f == NULL)
			return -errno;
		setvbuf(f, NULL, _IOLBF, 0);
	}
	rte_openlog_stream(f);
	if (open_file != NULL)
		fclose(open_file);
	open_file = f;
	return 0;
}

static int
level_find(const char *name)
{
	static const char *const names[] = {
		[RTE_LOG_EMERG] = "emerg", [RTE_LOG_ALERT] = "alert", [RTE_LOG_CRIT] = "critical",
		[RTE_LOG_ERR] = "error", [RTE_LOG_WARNING] = "warning", [RTE_LOG_NOTICE] = "notice",
		[RTE_LOG_INFO] = "info", [RTE_LOG_DEBUG] = "debug",
	};

	for (int i = RTE_LOG_EMERG; i <= (int)RTE_LOG_DEBUG; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -EINVAL;
}

int
log_set(const char *pattern, const char *level)
{
	int n = level_find(level);

	if (n < 0)
		return n;
	return rte_log_set_level_pattern(pattern, (uint32_t)n) < 0 ? -ENOENT : 0;
}
