/* SPDX-License-Identifier: BSD-3-Clause */
#include "failure.h"

const char *const failure_names[FAILURE_N] = {
#define X(id, name, text) name,
	FAILURES(X)
#undef X
};

const char *const failure_texts[FAILURE_N] = {
#define X(id, name, text) text,
	FAILURES(X)
#undef X
};
