/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRYCTL_WORDS_H
#define FERRYCTL_WORDS_H

/**
 * @file
 * The grammar: `show NOUN [NAME] [key=value...]`, else `NOUN VERB [NAME] [key=value...]`, becomes
 * a method and its parameters, typed by the rows of rpc.show.
 */

#include "client.h"

#include <stdbool.h>

/** A command, understood. */
struct words {
	char method[64];
	json_t *row;      /**< of rpc.show; borrowed */
	json_t *params;
	bool wants_stdout; /**< a parameter that names a file is "-" */
};

/**
 * Understands words.
 *
 * @return  STATUS_OK; STATUS_USAGE or STATUS_NO_FERRYD, told on stderr
 */
enum status words_parse(struct client *c, int n, const char *const *words, struct words *out);
void words_fini(struct words *w);

/** The parameter of a row by its name; NULL: there is none. */
json_t *words_param(const json_t *row, const char *name);

/** Length of the key in front of '='; 0: the word is no key=value. */
size_t words_key(const char *word);

/** Writes the method of the first words; false: there are too few.  `rest` is where the others
 *  begin. */
bool words_method(int n, const char *const *words, char *method, size_t size, int *rest);

#endif
