/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_FUZZ_POISON_H
#define FERRY_FUZZ_POISON_H

/**
 * @file
 * Bytes that nobody may touch, where the address sanitizer is on.
 *
 * Threads  any
 */

#if defined(__SANITIZE_ADDRESS__)
#define POISON_KNOWN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISON_KNOWN 1
#endif
#endif

#ifdef POISON_KNOWN
#include <sanitizer/asan_interface.h>
#define POISON(p, len)   ASAN_POISON_MEMORY_REGION(p, len)
#define UNPOISON(p, len) ASAN_UNPOISON_MEMORY_REGION(p, len)
#else
#define POISON(p, len)   ((void)(p), (void)(len))
#define UNPOISON(p, len) ((void)(p), (void)(len))
#endif

#endif
