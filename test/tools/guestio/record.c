/* SPDX-License-Identifier: BSD-3-Clause */
#include "guestio.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RECORD_MAGIC 0x66657279u
#define NS_PER_S 1000000000ull
#define SEEN_MAX (1ull << 28)

uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

void
pace(uint64_t start_ns, uint64_t n, uint64_t rate)
{
	struct timespec ts;
	uint64_t due;

	if (rate == 0)
		return;
	due = start_ns + n / rate * NS_PER_S + n % rate * NS_PER_S / rate;
	ts = (struct timespec){ .tv_sec = (time_t)(due / NS_PER_S), .tv_nsec = (long)(due % NS_PER_S) };
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

/* Cheap under emulation, and a single wrong, moved or missing byte changes it. */
static uint64_t
checksum(const uint8_t *buf, size_t size)
{
	uint64_t h = size, word;

	for (size_t i = 0; i < size; i += sizeof(word)) {
		size_t n = size - i < sizeof(word) ? size - i : sizeof(word);

		word = 0;
		memcpy(&word, buf + i, n);
		h = (h ^ word) * 0x9e3779b97f4a7c15ull;
		h ^= h >> 29;
	}
	return h;
}

static uint64_t
record_sum(const void *buf, size_t size)
{
	struct record head;

	memcpy(&head, buf, sizeof(head));
	head.sum = 0;
	return checksum((const uint8_t *)&head, sizeof(head)) ^
		checksum((const uint8_t *)buf + sizeof(head), size - sizeof(head));
}

void
record_make(void *buf, uint32_t size, uint16_t flow, uint64_t seq)
{
	struct record head = { .magic = RECORD_MAGIC, .flow = flow, .seq = seq, .size = size };
	uint64_t x = (seq + 1) * 0xbf58476d1ce4e5b9ull ^ flow;
	uint8_t *payload = (uint8_t *)buf + sizeof(head);

	for (size_t i = 0; i < size - sizeof(head); i += sizeof(x)) {
		size_t left = size - sizeof(head) - i;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(payload + i, &x, left < sizeof(x) ? left : sizeof(x));
	}
	memcpy(buf, &head, sizeof(head));
	head.sum = record_sum(buf, size);
	memcpy(buf, &head, sizeof(head));
}

bool
record_intact(const void *buf, size_t size)
{
	struct record head;

	if (size < sizeof(head))
		return false;
	memcpy(&head, buf, sizeof(head));
	return head.magic == RECORD_MAGIC && head.size == size && head.flow < FLOWS_MAX &&
		head.sum == record_sum(buf, size);
}

/* Sets the number's bit; true where it was set before. */
static bool
seen_before(struct tally *t, uint64_t seq)
{
	size_t word = seq / 64;
	uint64_t bit = 1ull << (seq % 64);
	bool before;

	if (word >= t->seen_words) {
		size_t words = (word + 1) * 2;

		t->seen = realloc(t->seen, words * sizeof(*t->seen));
		if (t->seen == NULL)
			abort();
		memset(t->seen + t->seen_words, 0, (words - t->seen_words) * sizeof(*t->seen));
		t->seen_words = words;
	}
	before = (t->seen[word] & bit) != 0;
	t->seen[word] |= bit;
	return before;
}

static void
tally_time(struct tally *t)
{
	uint64_t now = now_ns();

	if (t->first_ns == 0)
		t->first_ns = now;
	else if (now - t->last_ns > t->longest_gap_ns)
		t->longest_gap_ns = now - t->last_ns;
	t->last_ns = now;
}

void
tally_add(struct tally *t, const void *buf, size_t size)
{
	struct record head;

	tally_time(t);
	if (!record_intact(buf, size)) {
		t->corrupt++;
		return;
	}
	memcpy(&head, buf, sizeof(head));
	if (head.seq >= SEEN_MAX) {
		t->corrupt++;
		return;
	}
	if (seen_before(t, head.seq)) {
		t->duplicates++;
		return;
	}
	if (head.seq < t->highest)
		t->reordered++;
	else
		t->highest = head.seq + 1;
	t->records++;
	t->bytes += size;
}

static void
tally_fold(struct tally *sum, const struct tally *t)
{
	sum->records += t->records;
	sum->bytes += t->bytes;
	sum->duplicates += t->duplicates;
	sum->reordered += t->reordered;
	sum->corrupt += t->corrupt;
	sum->socket_drops += t->socket_drops;
	sum->highest += t->highest;
	if (t->longest_gap_ns > sum->longest_gap_ns)
		sum->longest_gap_ns = t->longest_gap_ns;
	if (t->first_ns != 0 && (sum->first_ns == 0 || t->first_ns < sum->first_ns))
		sum->first_ns = t->first_ns;
	if (t->last_ns > sum->last_ns)
		sum->last_ns = t->last_ns;
}

int
tally_print(const char *kind, const char *role, const struct tally *tallies, uint16_t n, bool complete)
{
	struct tally sum = { 0 };
	unsigned int flows = 0;

	for (uint16_t i = 0; i < n; i++) {
		tally_fold(&sum, &tallies[i]);
		flows += tallies[i].records > 0;
	}
	printf("{\"kind\": \"%s\", \"role\": \"%s\", \"complete\": %s, \"flows\": %u, \"records\": %llu, "
	       "\"bytes\": %llu, \"lost\": %llu, \"duplicates\": %llu, \"reordered\": %llu, "
	       "\"corrupt\": %llu, \"socket_drops\": %llu, \"seconds\": %.3f, \"longest_gap_ms\": %.3f}\n",
	       kind, role, complete ? "true" : "false", flows, (unsigned long long)sum.records,
	       (unsigned long long)sum.bytes, (unsigned long long)(sum.highest - sum.records),
	       (unsigned long long)sum.duplicates, (unsigned long long)sum.reordered,
	       (unsigned long long)sum.corrupt,
	       (unsigned long long)sum.socket_drops, (double)(sum.last_ns - sum.first_ns) / NS_PER_S,
	       (double)sum.longest_gap_ns / 1e6);
	return complete && sum.corrupt == 0 ? 0 : 1;
}
