/* SPDX-License-Identifier: BSD-3-Clause */
#include "dirty_fault.h"

#ifdef FERRY_FAULTS

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum dirty_fault dirty_fault;

static const char *const texts[DIRTY_FAULT_N] = {
#define X(id, text) [DIRTY_FAULT_##id] = text,
	DIRTY_FAULTS(X)
#undef X
};

static void
list(void)
{
	for (int i = 1; i < DIRTY_FAULT_N; i++)
		printf("%d %s\n", i, texts[i]);
	exit(0);
}

void
dirty_fault_init(void)
{
	const char *which = getenv("FERRY_FAULT");
	unsigned long n;
	char *end;

	if (which == NULL)
		return;
	if (strcmp(which, "list") == 0)
		list();
	n = strtoul(which, &end, 10);
	if (*end != '\0' || n >= DIRTY_FAULT_N) {
		fprintf(stderr, "FERRY_FAULT=%s: expected \"list\" or 0 to %d\n", which,
			DIRTY_FAULT_N - 1);
		exit(2);
	}
	dirty_fault = (enum dirty_fault)n;
	fprintf(stderr, "seeded fault %lu: %s\n", n, texts[n]);
}

#endif
