/* SPDX-License-Identifier: BSD-3-Clause */
#include "peer_rpc.h"
#include "rpc_param.h"
#include "rpc_switch.h"

#include <openssl/crypto.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ADDRESS "an address as \"10.0.0.2:4798\", \"[fe80::1]:4798\" or \"unix:/run/ferry/peer\""
#define HIDDEN  "(not shown)"

const struct rpc_param peer_rpc_params[] = {
	{ "listen", RPC_STRING, .help = "address on which peers call: IP:PORT, [IPv6]:PORT, unix:PATH" },
	{ "peers", RPC_ARRAY, .help = "addresses of peers that are called" },
	{ "key", RPC_STRING, .help = "what all of them have been given, and nobody else" },
	{ "key_file", RPC_STRING, .min = 1, .max = 4000, .completes = "file",
	  .help = "file with the key, in place of it" },
	{ 0 },
};

/* A key as it is used; a file's last newlines are not part of it. */
struct key {
	uint8_t bytes[PEER_KEY_MAX + 2];
	size_t len;
};

static int
key_read(const char *file, struct key *k)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, k->bytes, sizeof(k->bytes));
	close(fd);
	if (n < 0)
		return -errno;
	while (n > 0 && (k->bytes[n - 1] == '\n' || k->bytes[n - 1] == '\r'))
		n--;
	k->len = (size_t)n;
	return n < PEER_KEY_MIN || n > PEER_KEY_MAX ? -EINVAL : 0;
}

/* What it is not is not told: it may be nearly a key. */
static int
key_refused(const char *where, struct rpc_error *err)
{
	char member[sizeof(err->member)];

	rpc_member(member, sizeof(member), where, "key");
	return rpc_fail(err, -EINVAL, member, "expected a key of %d to %d bytes", PEER_KEY_MIN,
			PEER_KEY_MAX);
}

static int
key_of(json_t *o, const char *where, struct key *k, struct rpc_error *err)
{
	const char *text = rpc_text_of(o, "key"), *file = rpc_text_of(o, "key_file");
	char member[sizeof(err->member)];
	int rc;

	if (text != NULL) {
		k->len = strlen(text);
		if (k->len < PEER_KEY_MIN || k->len > PEER_KEY_MAX)
			return key_refused(where, err);
		memcpy(k->bytes, text, k->len);
		return 0;
	}
	rpc_member(member, sizeof(member), where, "key_file");
	rc = key_read(file, k);
	if (rc == -EINVAL)
		return rpc_fail(err, rc, member, "%s: expected a key of %d to %d bytes", file,
				PEER_KEY_MIN, PEER_KEY_MAX);
	return rc < 0 ? rpc_fail(err, -EINVAL, member, "%s: %s", file, strerror(-rc)) : 0;
}

static int
check_peers(const json_t *list, const char *where, struct rpc_error *err)
{
	char member[sizeof(err->member)], name[32];
	const json_t *value;
	size_t i;

	json_array_foreach(list, i, value) {
		const char *text = json_string_value(value);

		snprintf(name, sizeof(name), "peers[%zu]", i);
		rpc_member(member, sizeof(member), where, name);
		if (i >= PEER_CALLED_MAX)
			return rpc_fail(err, -EINVAL, member, "expected at most %d peers",
					PEER_CALLED_MAX);
		if (text == NULL || peer_address_check(text) < 0)
			return rpc_expected(err, member, ADDRESS, value);
	}
	return 0;
}

static bool
empty(const json_t *o)
{
	return json_object_get(o, "listen") == NULL &&
	       json_array_size(json_object_get(o, "peers")) == 0;
}

/* There is one key, said in one way. */
static int
check_key(json_t *o, const char *where, struct rpc_error *err)
{
	bool text = json_object_get(o, "key") != NULL, file = json_object_get(o, "key_file") != NULL;
	char member[sizeof(err->member)];
	struct key k;
	int rc;

	rpc_member(member, sizeof(member), where, text && file ? "key_file" : "key");
	if (text && file)
		return rpc_fail(err, -EINVAL, member, "there is \"key\" already");
	if (!text && !file)
		return empty(o) ? 0 : rpc_fail(err, -EINVAL, member,
				"missing: without a key, here or in \"key_file\", nobody is a peer");
	rc = key_of(o, where, &k, err);
	OPENSSL_cleanse(&k, sizeof(k));
	return rc;
}

int
peer_rpc_check(json_t *o, const char *where, struct rpc_error *err)
{
	const json_t *listen = json_object_get(o, "listen");
	char member[sizeof(err->member)];
	int rc = rpc_params_check(peer_rpc_params, o, where, err);

	rpc_member(member, sizeof(member), where, "listen");
	if (rc == 0 && listen != NULL && peer_address_check(json_string_value(listen)) < 0)
		rc = rpc_expected(err, member, ADDRESS, listen);
	if (rc == 0)
		rc = check_peers(json_object_get(o, "peers"), where, err);
	return rc < 0 ? rc : check_key(o, where, err);
}

static int
configure(struct rpc_switch *sw, json_t *o, const char *where, struct rpc_error *err)
{
	const json_t *list = json_object_get(o, "peers"), *value;
	struct peer_opts opts = { .listen = rpc_text_of(o, "listen") };
	char member[sizeof(err->member)];
	struct key k;
	size_t i;
	int rc;

	if (empty(o))
		return peer_set_configure(sw->peers, NULL);
	rc = key_of(o, where, &k, err);
	if (rc < 0)
		return rc;
	json_array_foreach(list, i, value)
		opts.called[opts.n_called++] = json_string_value(value);
	opts.key = k.bytes;
	opts.key_len = k.len;
	rc = peer_set_configure(sw->peers, &opts);
	OPENSSL_cleanse(&k, sizeof(k));
	rpc_member(member, sizeof(member), where, "listen");
	return rc < 0 ? rpc_fail(err, rc, member, "%s: %s", opts.listen == NULL ? "" : opts.listen,
				 strerror(-rc)) : 0;
}

/* What was there before is there again when this cannot be; that it could be once is known. */
int
peer_rpc_apply(struct rpc_switch *sw, json_t *o, const char *where, struct rpc_error *err)
{
	struct rpc_error other;
	int rc;

	if (sw->migration != NULL && json_equal(sw->migration, o))
		return 0;
	rc = configure(sw, o, where, err);
	if (rc < 0) {
		if (sw->migration != NULL)
			configure(sw, sw->migration, where, &other);
		return rc;
	}
	json_decref(sw->migration);
	sw->migration = json_deep_copy(o);
	return 0;
}

bool
peer_rpc_secret(const json_t *config)
{
	return json_object_get(json_object_get(config, "migration"), "key") != NULL;
}

void
peer_rpc_hide(json_t *config)
{
	if (peer_rpc_secret(config))
		json_object_set_new(json_object_get(config, "migration"), "key", json_string(HIDDEN));
}

static json_t *
peer_json(const struct peer_info *i)
{
	char instance[17];

	snprintf(instance, sizeof(instance), "%016" PRIx64, i->instance);
	return json_pack("{s:s, s:s, s:s, s:o, s:s, s:s, s:I, s:I, s:I, s:o}",
		"address", i->address, "direction", i->called ? "called" : "caller",
		"state", peer_state_names[i->state], "reason", rpc_text(i->reason),
		"host", i->host, "instance", i->instance == 0 ? "" : instance,
		"frames_in", (json_int_t)i->frames_in, "frames_out", (json_int_t)i->frames_out,
		"waiting", (json_int_t)i->bytes_waiting,
		"seen_us", i->seen ? json_integer((json_int_t)i->seen_us) : json_null());
}

static int
peer_show(void *arg, json_t *params, json_t **result, struct rpc_error *err)
{
	const struct rpc_switch *sw = arg;
	struct peer_info info;
	uint32_t iter = 0;

	*result = json_array();
	while (peer_next(sw->peers, &iter, &info) == 0)
		json_array_append_new(*result, peer_json(&info));
	return 0;
}

static int
peer_set_method(void *arg, json_t *params, json_t **result, struct rpc_error *err)
{
	int rc = peer_rpc_check(params, "", err);

	return rc < 0 ? rc : peer_rpc_apply(arg, params, "", err);
}

const struct rpc_method peer_rpc[] = {
	{ "peer.show", peer_show, NULL, NULL, "ferryds of other hosts, and how it stands with them" },
	{ "peer.set", peer_set_method, peer_rpc_params, NULL,
	  "who they are from now on; nothing given: nobody" },
	{ 0 },
};
