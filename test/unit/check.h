/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_CHECK_H
#define FERRY_CHECK_H

/**
 * @file
 * Checks of unit tests: a failing one prints where it stands and what it saw, the others go on,
 * and check_done() makes the exit status of all of them.
 */

#include <stdio.h>
#include <string.h>

/* Weak, so that the files of one test count together; callbacks of other threads check, too. */
__attribute__((weak)) unsigned int checks_run, checks_failed;

#define CHECK(cond) do { \
	__atomic_add_fetch(&checks_run, 1, __ATOMIC_RELAXED); \
	if (!(cond)) { \
		__atomic_add_fetch(&checks_failed, 1, __ATOMIC_RELAXED); \
		fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #cond); \
	} \
} while (0)

/** Compares two strings of a row, either may be NULL; `story` names the row. */
#define CHECK_STR(story, got, expected) \
	check_str(__FILE__, __LINE__, story, got, expected)

static inline void
check_str(const char *file, int line, const char *story, const char *got, const char *expected)
{
	const char *g = got == NULL ? "(nothing)" : got;
	const char *e = expected == NULL ? "(nothing)" : expected;

	__atomic_add_fetch(&checks_run, 1, __ATOMIC_RELAXED);
	if (strcmp(g, e) == 0)
		return;
	__atomic_add_fetch(&checks_failed, 1, __ATOMIC_RELAXED);
	fprintf(stderr, "%s:%d: %s\n  got:      %s\n  expected: %s\n", file, line, story, g, e);
}

/** @return  what main() returns */
static inline int
check_done(const char *word)
{
	printf("%s: %u checks, %u failed\n", word, checks_run, checks_failed);
	return checks_failed > 0;
}

#endif
