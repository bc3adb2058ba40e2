/* SPDX-License-Identifier: BSD-3-Clause */
#include "log.h"

#include <errno.h>
#include <string.h>

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
	rte_log_set_level_pattern(pattern, (uint32_t)n);
	return 0;
}
