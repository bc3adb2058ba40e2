/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRYCTL_VIEW_H
#define FERRYCTL_VIEW_H

/**
 * @file
 * Which members of an answer people see in a table: constants, no logic.  What has no row here is
 * shown with all its plain members.
 */

#include <stdbool.h>
#include <stddef.h>

enum format {
	FORMAT_PLAIN,
	FORMAT_YES,      /**< true: its title; false: nothing */
	FORMAT_COUNTS,   /**< object of numbers: those that are not 0, by name */
	FORMAT_LIST,     /**< array: its items */
	FORMAT_LENGTH,   /**< array: how many */
	FORMAT_SI,       /**< number with k, M, G */
	FORMAT_PERCENT,
};

struct column {
	const char *title;
	const char *path;    /**< "rx.frames" */
	enum format format;
};

struct view {
	const char *method;
	const char *member;  /**< array inside of one object; NULL: the answer itself */
	const struct column *columns; /**< ends with a row without title */
	const char *fails;   /**< member that is a number, 0 when all is well: else exit status 1 */
	const char *again;   /**< member that is null until ferryd has measured for a moment: ask
				  once more */
	bool json;           /**< it is a file's format: as JSON, with indentation */
};

/** What to do with a method whose file parameter is "-": our stdout. */
struct stream {
	const char *method;
	const char *stop;    /**< method that ends it */
	const char *key;     /**< member of the answer that the stop method is given */
};

extern const struct view views[];
extern const struct stream streams[];

/** The row of a method or of an array inside of its answer; NULL: none. */
const struct view *view_find(const char *method, const char *member);

/** NULL: the method cannot write to our stdout. */
const struct stream *stream_find(const char *method);

#endif
