/* SPDX-License-Identifier: BSD-3-Clause */
#include "peer_rpc.h"
#include "rpc_param.h"
#include "rpc_switch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int
config_show(void *arg, json_t *params, json_t **result, struct rpc_error *err)
{
	*result = config_now(arg);
	peer_rpc_hide(*result);
	return 0;
}

/* Sections that only a start can apply must be what they are. */
static int
check_start_only(const struct rpc_switch *sw, const struct config *c, struct rpc_error *err)
{
	for (const char *const *name = config_start_only; *name != NULL; name++) {
		json_t *given = json_object_get(c->json, *name);

		if (given != NULL && !json_equal(given, json_object_get(sw->config->json, *name)))
			return rpc_fail(err, -EBUSY, *name,
					"cannot change while ferryd runs: start it with this file");
	}
	return 0;
}

static int
config_load(void *arg, json_t *params, json_t **result, struct rpc_error *err)
{
	struct rpc_switch *sw = arg;
	struct config *c = NULL;
	json_t *json = NULL;
	int rc = config_read(rpc_text_of(params, "file"), &json, err);

	if (rc == 0)
		rc = config_parse(json, &c, err);
	if (rc == 0)
		rc = check_start_only(sw, c, err);
	if (rc == 0)
		rc = config_apply(sw, c, err);
	config_destroy(c);
	json_decref(json);
	return rc;
}

static mode_t
mode_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_mode & 07777 : 0644;
}

static int
write_synced(int fd, json_t *json)
{
	FILE *f = fdopen(fd, "w");
	int rc = 0;

	if (f == NULL) {
		rc = -errno;
		close(fd);
		return rc;
	}
	if (json_dumpf(json, f, JSON_INDENT(2)) < 0 || fputc('\n', f) == EOF ||
	    fflush(f) == EOF || fsync(fd) < 0)
		rc = errno == 0 ? -EIO : -errno;
	fclose(f);
	return rc;
}

/* Whoever reads the path sees the old file or the new one, whole; a key in it, only its owner. */
static int
file_replace(const char *path, json_t *json)
{
	mode_t mode = peer_rpc_secret(json) ? mode_of(path) & ~077u : mode_of(path);
	char *temp = NULL;
	int fd, rc;

	if (asprintf(&temp, "%s.XXXXXX", path) < 0)
		return -ENOMEM;
	errno = 0;
	fd = mkostemp(temp, O_CLOEXEC);
	if (fd < 0) {
		rc = -errno;
		free(temp);
		return rc;
	}
	rc = fchmod(fd, mode) < 0 ? -errno : 0;
	if (rc == 0)
		rc = write_synced(fd, json);
	else
		close(fd);
	if (rc == 0 && rename(temp, path) < 0)
		rc = -errno;
	if (rc < 0)
		unlink(temp);
	free(temp);
	return rc;
}

static int
config_save(void *arg, json_t *params, json_t **result, struct rpc_error *err)
{
	const char *file = rpc_text_of(params, "file");
	char *real = realpath(file, NULL); /* a link stays a link */
	json_t *now = config_now(arg);
	int rc = file_replace(real == NULL ? file : real, now);

	json_decref(now);
	free(real);
	return rc < 0 ? rpc_fail(err, rc, "file", "%s: %s", file, strerror(-rc)) : 0;
}

static const struct rpc_param file_params[] = {
	{ "file", RPC_STRING, true, 1, 4000, .completes = "file", .help = "path" },
	{ 0 },
};

const struct rpc_method config_rpc[] = {
	{ "config.show", config_show, NULL, NULL, "the configuration that recreates what runs" },
	{ "config.save", config_save, file_params, "file", "write it to a file" },
	{ "config.load", config_load, file_params, "file",
	  "make what runs what a file says; other ports go, equal ones are not touched" },
	{ 0 },
};
