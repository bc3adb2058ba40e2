/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRYCTL_MEMBER_H
#define FERRYCTL_MEMBER_H

/**
 * @file
 * Members of what ferryd has answered, which a later ferryd may leave out.
 */

#include <jansson.h>

/** "" where there is no such text. */
static inline const char *
text_of(const json_t *o, const char *member)
{
	const char *text = json_string_value(json_object_get(o, member));

	return text == NULL ? "" : text;
}

/** 0 where there is no such number. */
static inline double
number_of(const json_t *o, const char *member)
{
	return json_number_value(json_object_get(o, member));
}

#endif
