/* SPDX-License-Identifier: BSD-3-Clause */
#include "migration_impl.h"

#define SHORTEST_PER_S 20

/* Every other one, so that a long migration has fewer, but from all of its time. */
static void
thin_out(struct history *h, struct migration *m)
{
	m->n_samples /= 2;
	for (uint32_t i = 0; i < m->n_samples; i++)
		m->samples[i] = m->samples[2 * i + 1];
	h->stride *= 2;
}

void
history_sample(struct history *h, uint64_t tsc, bool always)
{
	struct migration *m = history_newest(h);

	if (!always && ++h->skipped < h->stride)
		return;
	h->skipped = 0;
	/* A rate over less says nothing: this one takes the last one's place. */
	if (m->n_samples > 0 && tsc - m->samples[m->n_samples - 1].tsc < m->hz / SHORTEST_PER_S)
		m->n_samples--;
	if (m->n_samples == MIGRATION_SAMPLES)
		thin_out(h, m);
	m->samples[m->n_samples++] = (struct migration_sample){
		.tsc = tsc,
		.pages = m->now.pages - m->before.pages,
		.rounds = m->now.rounds - m->before.rounds,
	};
}

bool
migration_round_next(const struct migration *m, uint32_t *iter, struct migration_round *out)
{
	const struct migration_sample *last = *iter == 0 ? NULL : &m->samples[*iter - 1];
	uint64_t rounds = last == NULL ? 0 : last->rounds;
	uint32_t i = *iter;

	if (i == m->n_samples)
		return false;
	while (i < m->n_samples - 1 && m->samples[i].rounds == rounds)
		i++;
	out->tsc = last == NULL ? m->moments[0].tsc : last->tsc;
	out->cycles = m->samples[i].tsc - RTE_MIN(out->tsc, m->samples[i].tsc);
	out->pages = m->samples[i].pages - (last == NULL ? 0 : last->pages);
	out->rounds = m->samples[i].rounds - rounds;
	*iter = i + 1;
	return true;
}

double
migration_rate(const struct migration *m, uint64_t pages, uint64_t cycles)
{
	return cycles == 0 ? 0 : (double)pages * (double)m->hz / (double)cycles;
}
