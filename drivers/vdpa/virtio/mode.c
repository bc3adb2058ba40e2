/* SPDX-License-Identifier: BSD-3-Clause */
#include "mode.h"

#include <stddef.h>

/* Why the device cannot be on the guest's rings; NULL: it can. */
static const char *
obstacle(const struct mode_facts *f)
{
	if (f->kept)
		return "direct mode has failed for this guest";
	if (!f->ring_features)
		return "the guest's ring features are not the device's";
	if (!f->sizes)
		return "the guest's rings are larger than the device's";
	if (f->packed && !f->positions)
		return "the device does not tell positions of packed rings";
	if (!f->fresh && !f->positions)
		return "the rings are under way and the device takes no position";
	if (f->logging && !f->log)
		return "the guest is logged and the device does not log";
	return NULL;
}

enum mode
mode_choose(const struct mode_facts *f, const char **why)
{
	*why = f->wanted == MODE_SHADOW ? "shadow mode is asked for" : obstacle(f);
	if (*why != NULL)
		return f->wanted == MODE_DIRECT ? MODE_AUTO : MODE_SHADOW;
	*why = "the device can be on the guest's rings";
	return MODE_DIRECT;
}
