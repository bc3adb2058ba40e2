/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Counted traffic from inside a guest: streams, datagrams and echoes made of numbered, checked records.
 *
 * Life     one run of the program, which ends with one line of JSON.
 * Threads  one per connection and direction; a struct tally belongs to one of them.
 * Units    bytes, nanoseconds of CLOCK_MONOTONIC.
 * Source   none; the record is our own.
 */
#ifndef GUESTIO_H
#define GUESTIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLOWS_MAX 64
#define RECORD_MAX 65536

/** What precedes each record's payload; host byte order, as both ends are of one kind. */
struct record {
	uint32_t magic;
	uint16_t flow;          /* 0..FLOWS_MAX - 1 */
	uint16_t reserved;
	uint64_t seq;           /* from 0, per flow */
	uint32_t size;          /* of the record with this header */
	uint32_t pad;
	uint64_t sum;           /* over the whole record, taken with sum = 0 */
};

/** The command line. */
struct options {
	const char *address;
	uint16_t port;
	uint64_t count;         /* records per flow; 0: until the time is over */
	uint64_t rate;          /* records a second over all flows; 0: as fast as it goes */
	uint32_t size;          /* of a record */
	uint16_t flows;
	uint64_t duration_ns;   /* sender: how long to send; receiver: when to give up */
	uint64_t idle_ns;       /* datagrams: the receiver ends after so long a silence; UINT64_MAX: never */
	bool duplex;            /* streams: both ends send and receive */
};

/** What one direction of one flow has seen. */
struct tally {
	uint64_t records;       /* intact and not seen before */
	uint64_t bytes;
	uint64_t duplicates;
	uint64_t reordered;     /* arrived after a later one */
	uint64_t corrupt;
	uint64_t socket_drops;  /* found the receiver's buffer full */
	uint64_t highest;       /* one past the highest number seen */
	uint64_t longest_gap_ns;
	uint64_t first_ns, last_ns;
	uint64_t *seen;         /* one bit a number */
	size_t seen_words;
};

uint64_t now_ns(void);

/** Sleeps until record n of a paced flow is due; returns at once where there is no rate. */
void pace(uint64_t start_ns, uint64_t n, uint64_t rate);

/** Fills buf with record seq of a flow: header, pseudo-random payload, checksum. */
void record_make(void *buf, uint32_t size, uint16_t flow, uint64_t seq);

/** True where buf holds one whole and intact record of this size. */
bool record_intact(const void *buf, size_t size);

/** Enters a record that has arrived; corrupt ones are counted and otherwise ignored. */
void tally_add(struct tally *t, const void *buf, size_t size);

/** Prints the result as one line of JSON; returns the exit status. */
int tally_print(const char *kind, const char *role, const struct tally *tallies, uint16_t n, bool complete);

/* Each runs one command and returns the exit status. */
int stream_send(const struct options *o);
int stream_recv(const struct options *o);
int dgram_send(const struct options *o);
int dgram_recv(const struct options *o);
int ping(const struct options *o);

/** Sets how many queue pairs a network interface uses (ETHTOOL_SCHANNELS). */
int queues_set(const char *iface, unsigned int n);

/** An address of either family for a text; exits with a message where it is none. */
struct sockaddr_storage;
unsigned int address_parse(const struct options *o, struct sockaddr_storage *sa);

#endif
