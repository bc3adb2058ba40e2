/* SPDX-License-Identifier: BSD-3-Clause */
#include "session_impl.h"

#include <errno.h>
#include <string.h>

/* librte_vhost polls 1024 descriptors: its own pipe, listening sockets and connections. */
#define SESSIONS_MAX 1000

/*
 * Callbacks of the library bring a vid or a path.  A session that such a callback has found stays
 * allocated as long as the callback runs: session_destroy() frees it after
 * rte_vhost_driver_unregister(), which waits for the callbacks of its path.
 *
 * Order of locks: a session's, then this one; session_map_lock() lets go of this one in between.
 */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static LIST_HEAD(, session) sessions = LIST_HEAD_INITIALIZER(sessions);
static uint32_t n_sessions;

static struct {
	struct session *session;
	ino_t ino;
} vids[RTE_MAX_VHOST_DEVICE];

static struct session *
find(const char *path)
{
	struct session *s;

	LIST_FOREACH(s, &sessions, entry)
		if (strcmp(s->opts.path, path) == 0)
			return s;
	return NULL;
}

int
session_map_add(struct session *s)
{
	int rc = 0;

	pthread_mutex_lock(&lock);
	if (find(s->opts.path) != NULL) {
		rc = -EADDRINUSE;
	} else if (n_sessions == SESSIONS_MAX) {
		rc = -ENOSPC;
	} else {
		LIST_INSERT_HEAD(&sessions, s, entry);
		n_sessions++;
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

void
session_map_del(struct session *s)
{
	pthread_mutex_lock(&lock);
	LIST_REMOVE(s, entry);
	n_sessions--;
	pthread_mutex_unlock(&lock);
}

struct session *
session_map_path(const char *path)
{
	struct session *s;

	pthread_mutex_lock(&lock);
	s = find(path);
	pthread_mutex_unlock(&lock);
	return s;
}

void
session_map_bind(int vid, struct session *s, ino_t ino)
{
	pthread_mutex_lock(&lock);
	vids[vid].session = s;
	vids[vid].ino = ino;
	pthread_mutex_unlock(&lock);
}

void
session_map_unbind(int vid)
{
	session_map_bind(vid, NULL, 0);
}

struct session *
session_map_lock(int vid)
{
	struct session *s;

	if (vid < 0 || vid >= RTE_MAX_VHOST_DEVICE)
		return NULL;
	pthread_mutex_lock(&lock);
	s = vids[vid].session;
	pthread_mutex_unlock(&lock);
	if (s == NULL)
		return NULL;
	pthread_mutex_lock(s->opts.lock);
	if (s->vid == vid && !s->dying)
		return s;
	pthread_mutex_unlock(s->opts.lock);
	return NULL;
}

bool
session_map_claimed(ino_t ino)
{
	bool claimed = false;

	pthread_mutex_lock(&lock);
	for (int i = 0; i < RTE_MAX_VHOST_DEVICE; i++)
		if (vids[i].session != NULL && vids[i].ino == ino)
			claimed = true;
	pthread_mutex_unlock(&lock);
	return claimed;
}
