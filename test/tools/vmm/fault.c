/* SPDX-License-Identifier: BSD-3-Clause */
#include "vmm_fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int
vmm_fault_set(struct vmm_fault *fault, const char *fmt, ...)
{
	va_list args;

	if (vmm_fault_found(fault))
		return -EPROTO;
	va_start(args, fmt);
	vsnprintf(fault->text, sizeof(fault->text), fmt, args);
	va_end(args);
	return -EPROTO;
}
