/* SPDX-License-Identifier: BSD-3-Clause */
#include "vdev.h"

#include <errno.h>

int
vdev_start(struct vdev *dev, const struct vdev_cfg *cfg)
{
	if (cfg->mem == NULL || cfg->rings == NULL || cfg->n_rings == 0)
		return -EINVAL;
	if (cfg->n_rings > VDEV_RINGS_MAX || cfg->n_rings > 2 * dev->n_pairs_max)
		return -EINVAL;
	return dev->ops->start(dev, cfg);
}

void
vdev_stop(struct vdev *dev, struct vring_pos *pos)
{
	dev->ops->stop(dev, pos);
}

int
vdev_ring_set(struct vdev *dev, uint16_t qid, const struct vdev_ring_set *how)
{
	return dev->ops->ring_set(dev, qid, how);
}

int
vdev_log_set(struct vdev *dev, const struct dirty *log)
{
	if (!dev->can_log)
		return -ENOTSUP;
	return dev->ops->log_set(dev, log);
}

void
vdev_kick_all(struct vdev *dev)
{
	dev->ops->kick_all(dev);
}

int
vdev_stats(const struct vdev *dev, uint16_t qid, struct vdev_ring_stats *out)
{
	return dev->ops->stats(dev, qid, out);
}

void
vdev_destroy(struct vdev *dev)
{
	if (dev != NULL)
		dev->ops->destroy(dev);
}
