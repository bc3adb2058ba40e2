/* SPDX-License-Identifier: BSD-3-Clause */
#include "driver.h"

#include <errno.h>
#include <stdlib.h>

#include "fast.h"

struct driver {
	uint32_t n;
	struct vmm_guest *sender;
	struct fast lanes[]; /* the sender's transmit ring, then receive rings */
};

int
driver_create(struct vmm_guest *const *guests, uint32_t n, const void *bytes, uint32_t len,
	      struct driver **out)
{
	struct driver *d = calloc(1, sizeof(*d) + n * sizeof(d->lanes[0]));
	int rc;

	if (d == NULL)
		return -ENOMEM;
	d->n = n;
	d->sender = guests[0];
	rc = fast_init_tx(&d->lanes[0], guests[0], 0, bytes, len);
	for (uint32_t i = 1; rc == 0 && i < n; i++)
		rc = fast_init_rx(&d->lanes[i], guests[i], 0);
	if (rc < 0) {
		driver_destroy(d);
		return rc;
	}
	*out = d;
	return 0;
}

void
driver_destroy(struct driver *d)
{
	for (uint32_t i = 0; d != NULL && i < d->n; i++)
		fast_fini(&d->lanes[i]);
	free(d);
}

void
driver_take(struct driver *d)
{
	fast_take(&d->lanes[0]);
}

void
driver_rewrite(struct driver *d, uint32_t n, void (*fn)(void *arg, uint8_t *frame), void *arg)
{
	const struct fast *f = &d->lanes[0];

	for (uint32_t i = 0; i < n && i < f->n_held; i++) {
		uint64_t gpa = f->addrs[f->held[f->n_held - 1 - i]] + d->sender->hdr_len;

		fn(arg, vmm_mem_host(d->sender->mem, gpa, 6));
	}
}

void
driver_send(struct driver *d, uint32_t n)
{
	fast_offer(&d->lanes[0], n);
}

uint32_t
driver_receive(struct driver *d)
{
	uint32_t n = 0;

	for (uint32_t i = 1; i < d->n; i++)
		n += fast_offer(&d->lanes[i], fast_take(&d->lanes[i]));
	return n;
}
