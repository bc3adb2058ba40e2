/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRYCTL_HELP_H
#define FERRYCTL_HELP_H

/**
 * @file
 * Help, made from the rows of rpc.show.
 */

#include "client.h"

#include <stdio.h>

/** `help [NOUN [VERB]]`.  @return STATUS_OK; STATUS_USAGE; STATUS_NO_FERRYD */
enum status help_print(struct client *c, int n, const char *const *words, FILE *out);

/** Says on stderr which nouns or verbs there are in place of what was typed. */
void help_unknown(struct client *c, int n, const char *const *words);

/**
 * Nouns, or a noun's verbs: an array of strings in the order of rpc.show.
 *
 * @param noun  NULL: the nouns
 * @param verb  with noun NULL: only nouns that have this verb; NULL: all
 */
json_t *help_words(struct client *c, const char *noun, const char *verb);

#endif
