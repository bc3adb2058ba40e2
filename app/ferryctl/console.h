/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRYCTL_CONSOLE_H
#define FERRYCTL_CONSOLE_H

/**
 * @file
 * The console on a terminal: prompt, history, completion.
 */

#include "command.h"

/** Reads commands until Ctrl-D or `quit`; errors do not end it, but that nobody answers.
 *  @return STATUS_OK; STATUS_FAILED: no terminal to edit on; STATUS_NO_FERRYD */
enum status console_run(struct shell *s);

/**
 * What can stand at the end of a line: an array of strings, sorted as ferryd lists them.  A
 * candidate that ends with '=' or '/' goes on, any other one is a whole word.
 *
 * @param words  the words before it
 * @param begun  what is typed of it
 */
json_t *complete_words(struct client *c, int n, const char *const *words, const char *begun);

#endif
