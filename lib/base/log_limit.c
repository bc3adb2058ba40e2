/* SPDX-License-Identifier: BSD-3-Clause */
#include "log_limit.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Steps over the rest of a number, as people and pointers write it. */
static const char *
number_end(const char *text)
{
	while (isxdigit((unsigned char)*text) || *text == 'x')
		text++;
	return text;
}

/* FNV-1a of the text, where every number behind the second word counts as one digit. */
static uint64_t
kind_hash(uint32_t type, const char *line)
{
	uint64_t hash = 0xcbf29ce484222325ULL ^ type;
	int words = 0;

	while (*line != '\0') {
		unsigned char c = (unsigned char)*line++;

		words += c == ' ';
		if (isdigit(c) && words >= 2) {
			line = number_end(line);
			c = '0';
		}
		hash = (hash ^ c) * 0x100000001b3ULL;
	}
	return hash;
}

static bool
kind_over(const struct log_kind *k, uint64_t now_ns)
{
	return now_ns >= k->until_ns;
}

static void
kind_start(struct log_kind *k, uint64_t hash, const char *line, uint64_t now_ns)
{
	k->hash = hash;
	k->until_ns = now_ns + LOG_LIMIT_PERIOD_NS;
	k->lines = 0;
	snprintf(k->sample, sizeof(k->sample), "%.*s", (int)strcspn(line, "\n"), line);
}

/* A kind whose period is over makes room for another one once it is told how much it lost. */
static struct log_kind *
kind_find(struct log_limit *l, uint64_t hash, const char *line, uint64_t now_ns)
{
	struct log_kind *room = &l->kinds[0];

	for (uint32_t i = 1; i < LOG_LIMIT_KINDS; i++) {
		struct log_kind *k = &l->kinds[i];
		bool over = kind_over(k, now_ns);

		if (k->hash == hash && !over)
			return k;
		if (over && k->suppressed == 0)
			room = k;
	}
	if (kind_over(room, now_ns))
		kind_start(room, hash, line, now_ns);
	return room;
}

bool
log_limit_pass(struct log_limit *l, uint32_t type, const char *line, uint64_t now_ns)
{
	struct log_kind *k = kind_find(l, kind_hash(type, line), line, now_ns);

	if (k->lines++ < LOG_LIMIT_LINES)
		return true;
	k->suppressed++;
	return false;
}

uint64_t
log_limit_next(struct log_limit *l, uint64_t now_ns, char sample[LOG_LIMIT_SAMPLE])
{
	for (uint32_t i = 0; i < LOG_LIMIT_KINDS; i++) {
		struct log_kind *k = &l->kinds[i];
		uint64_t n = k->suppressed;

		if (n == 0 || !kind_over(k, now_ns))
			continue;
		k->suppressed = 0;
		memcpy(sample, k->sample, LOG_LIMIT_SAMPLE);
		return n;
	}
	return 0;
}
