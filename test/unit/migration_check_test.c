/* SPDX-License-Identifier: BSD-3-Clause */
/* The preflight: two good offers, and one member of either changed. */
#include "migration_check.h"

#include "check.h"

#include <stdlib.h>

static const char good[] =
	"{'version': '1', 'dpdk': 'D', 'regions_max': 8, 'ports': [{"
	"'name': 'vm1', 'type': 'vhost-user', 'group': '', 'mtu': 1500, 'queues': 4,"
	"'queues_used': 2, 'connected': true, 'running': false, 'park': true, 'regions': 2,"
	"'offered': ['csum', 'mq', 'log_all', 'ring_packed'],"
	"'features': ['csum', 'mq', 'ring_packed'],"
	"'protocol_offered': ['mq', 'rarp', 'log_shmfd'], 'protocol_features': ['mq']}]}";

/* Findings are "severity what", in their order. */
static const struct {
	const char *story, *ours, *theirs, *findings;
} rows[] = {
	{ "all is well", "{}", "{}", "" },
	{ "other versions", "{}", "{'version': '2', 'dpdk': 'E'}", "note version, note dpdk" },
	{ "no such port", "{}", "{'port': {'name': 'vm2'}}", "fails port" },
	{ "an uplink", "{}", "{'port': {'type': 'ethdev'}}", "fails type" },
	{ "a guest is there", "{}", "{'port': {'running': true}}", "fails busy" },
	{ "a feature is missing", "{}",
	  "{'port': {'offered': ['mq', 'log_all', 'ring_packed']}}", "fails features" },
	{ "a feature that is not used is missing", "{'port': {'features': ['mq', 'ring_packed']}}",
	  "{'port': {'offered': ['mq', 'log_all', 'ring_packed']}}", "note features" },
	{ "split rings only", "{}", "{'port': {'offered': ['csum', 'mq', 'log_all']}}",
	  "fails features, fails format" },
	{ "nobody is connected", "{'port': {'connected': false}}", "{}", "note guest" },
	{ "nobody is connected, and less is offered", "{'port': {'connected': false,"
	  "'features': []}}", "{'port': {'offered': ['mq', 'log_all', 'ring_packed']}}",
	  "note guest, fails features" },
	{ "too few queues", "{}", "{'port': {'queues': 1}}", "fails queues" },
	{ "fewer queues, but enough", "{}", "{'port': {'queues': 2}}", "note queues" },
	{ "no multiqueue", "{}", "{'port': {'protocol_offered': ['rarp', 'log_shmfd']}}",
	  "fails queues" },
	{ "no multiqueue for a guest of one pair", "{'port': {'queues_used': 1}}",
	  "{'port': {'protocol_offered': ['rarp', 'log_shmfd']}}", "" },
	{ "a smaller MTU", "{}", "{'port': {'mtu': 1400}}", "loses mtu" },
	{ "an MTU where there was none", "{'port': {'mtu': 0}}", "{}", "loses mtu" },
	{ "a larger MTU", "{}", "{'port': {'mtu': 9000}}", "note mtu" },
	{ "no limit there", "{}", "{'port': {'mtu': 0}}", "note mtu" },
	{ "too many regions", "{'port': {'regions': 9}}", "{}", "fails memory" },
	{ "no log here", "{'port': {'offered': ['csum', 'mq', 'ring_packed']}}", "{}",
	  "fails logging" },
	{ "no log memory here", "{'port': {'protocol_offered': ['mq', 'rarp']}}", "{}",
	  "fails logging" },
	{ "no log there", "{}", "{'port': {'protocol_offered': ['mq', 'rarp']}}", "note logging" },
	{ "not parked here", "{'port': {'park': false}}", "{}", "loses park" },
	{ "not parked there", "{}", "{'port': {'park': false}}", "note park" },
	{ "nobody announces", "{}", "{'port': {'protocol_offered': ['mq', 'log_shmfd']}}",
	  "loses announce" },
	{ "the guest announces itself",
	  "{'port': {'features': ['guest_announce'], 'offered': ['guest_announce', 'log_all']}}",
	  "{'port': {'protocol_offered': ['mq', 'log_shmfd'],"
	  "'offered': ['guest_announce', 'log_all']}}", "" },
	{ "another group", "{}", "{'port': {'group': 'a'}}", "note group" },
	{ "no port here", "{'port': {'type': 'ethdev'}}", "{}", "" },
};

/* JSON with single quotes, for the reader's sake. */
static json_t *
json_of(const char *text)
{
	char *copy = strdup(text);
	json_t *json;

	for (char *c = copy; *c != '\0'; c++)
		*c = *c == '\'' ? '"' : *c;
	json = json_loads(copy, 0, NULL);
	CHECK(json != NULL);
	free(copy);
	return json;
}

static json_t *
changed(const char *change)
{
	json_t *offer = json_of(good), *c = json_of(change);
	json_t *port = json_array_get(json_object_get(offer, "ports"), 0);
	struct rpc_error err;

	if (json_object_get(c, "port") != NULL)
		json_object_update(port, json_object_get(c, "port"));
	json_object_del(c, "port");
	json_object_update(offer, c);
	json_decref(c);
	CHECK(migration_offer_check(offer, "peer", &err) == 0);
	return offer;
}

static const char *
text_of(const json_t *o, const char *member)
{
	return json_string_value(json_object_get(o, member));
}

static void
findings_text(const json_t *result, char *out, size_t size)
{
	const json_t *f;
	size_t i, n = 0;

	out[0] = '\0';
	json_array_foreach(json_object_get(result, "findings"), i, f)
		n += (size_t)snprintf(out + n, size - n, "%s%s %s", i == 0 ? "" : ", ",
				      text_of(f, "severity"), text_of(f, "what"));
}

static unsigned int
count_of(const char *text, const char *word)
{
	unsigned int n = 0;

	for (; (text = strstr(text, word)) != NULL; text++)
		n++;
	return n;
}

static void
check_row(const char *story, const json_t *result, const char *expected)
{
	static const char *const members[][2] = {
		{ "fails", "fails" }, { "loses", "loses" }, { "notes", "note " },
	};
	char text[256];

	findings_text(result, text, sizeof(text));
	CHECK_STR(story, text, expected);
	for (int i = 0; i < 3; i++)
		CHECK(json_integer_value(json_object_get(result, members[i][0])) ==
		      count_of(text, members[i][1]));
	if (strcmp(story, "no port here") == 0)
		CHECK_STR(story, text_of(result, "verdict"),
			  "there is no vhost-user port to migrate from");
	else
		CHECK_STR(story, text_of(result, "verdict"), strstr(text, "fails") != NULL ?
			  "a migration fails" : strstr(text, "loses") != NULL ?
			  "a migration loses something" : "nothing stands against a migration");
}

static void
comparisons(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *ours = changed(rows[i].ours), *theirs = changed(rows[i].theirs);
		json_t *result = migration_check(ours, theirs, NULL, NULL);

		check_row(rows[i].story, result, rows[i].findings);
		json_decref(result);
		json_decref(ours);
		json_decref(theirs);
	}
}

/* The text names what it is about. */
static void
texts(void)
{
	json_t *ours = json_of(good), *theirs = changed("{'port': {'name': 'vm2', 'offered':"
							"['log_all', 'ring_packed']}}");
	json_t *result = migration_check(ours, theirs, "vm1", "vm2");
	const json_t *f = json_array_get(json_object_get(result, "findings"), 0);

	CHECK_STR("names", text_of(f, "text"),
		  "the guest uses csum, mq, which the peer does not offer");
	CHECK_STR("names", text_of(f, "port"), "vm1");
	CHECK_STR("names", text_of(f, "peer_port"), "vm2");
	json_decref(result);
	json_decref(ours);
	json_decref(theirs);
}

int
main(void)
{
	comparisons();
	texts();
	return check_done("migration_check");
}
