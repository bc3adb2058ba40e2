/* SPDX-License-Identifier: BSD-3-Clause */
#include "owner.h"
#include "rpc_param.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>

#define MODE_MAX 0777

int
owner_mode(json_t *o, const char *where, const char *name, mode_t *out, struct rpc_error *err)
{
	const json_t *value = json_object_get(o, name);
	const char *text = json_string_value(value);
	char member[sizeof(err->member)], *end;
	unsigned long n;

	*out = 0;
	if (value == NULL)
		return 0;
	n = text == NULL ? 0 : strtoul(text, &end, 8);
	if (n > 0 && n <= MODE_MAX && *end == '\0' && text[0] >= '0' && text[0] <= '7') {
		*out = (mode_t)n;
		return 0;
	}
	rpc_member(member, sizeof(member), where, name);
	return rpc_expected(err, member, "a mode in octal as \"0660\"", value);
}

int
owner_group(json_t *o, const char *where, const char *name, gid_t *out, struct rpc_error *err)
{
	const json_t *value = json_object_get(o, name);
	const char *text = json_string_value(value);
	const struct group *g;
	char member[sizeof(err->member)], *end;
	unsigned long n;

	*out = (gid_t)-1;
	if (value == NULL)
		return 0;
	g = text == NULL ? NULL : getgrnam(text);
	if (g != NULL) {
		*out = g->gr_gid;
		return 0;
	}
	n = text == NULL ? 0 : strtoul(text, &end, 10);
	if (text != NULL && text[0] >= '0' && text[0] <= '9' && *end == '\0' && n < UINT32_MAX) {
		*out = (gid_t)n;
		return 0;
	}
	rpc_member(member, sizeof(member), where, name);
	return rpc_expected(err, member, "a group of this system", value);
}

json_t *
owner_mode_json(mode_t mode)
{
	return json_sprintf("%04o", (unsigned int)mode);
}

json_t *
owner_group_json(gid_t group)
{
	const struct group *g = getgrgid(group);

	return g != NULL ? json_string(g->gr_name) : json_sprintf("%u", (unsigned int)group);
}
