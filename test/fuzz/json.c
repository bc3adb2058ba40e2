/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * JSON: lines of a client through the server to the methods of a real switch, and configurations.
 *
 * An input is lines for the socket, or a configuration when it begins with CONFIG.  Of the methods
 * that reach out of the process (files, sockets, devices, the end) only the rows are real: their
 * parameters are checked, and then they are refused.
 */
#include "fuzz.h"

#include "../unit/rpc_switch_rig.h"

#include <errno.h>
#include <rte_eal.h>
#include <unistd.h>

#define CONFIG    "#config\n"
#define ROWS_MAX  64
#define LINES_MAX 16

enum { REACH_PARSE, REACH_REQUEST, REACH_METHOD, REACH_PARAMS, REACH_FAILED, REACH_RESULT,
       REACH_BATCH, REACH_NOTIFICATION, REACH_CONFIG, REACH_NO_CONFIG };

const char *fuzz_names[] = {
	"parse", "request", "method", "params", "failed", "result", "batch", "notification", "config",
	"no_config",
};
const size_t fuzz_n_names = RTE_DIM(fuzz_names);

const char *const fuzz_tokens[] = {
	"{", "}", "[", "]", ":", ",", "\"", "null", "true", "false", "-1", "0", "1e9", "65536",
	"9223372036854775807", "9223372036854775808", "\\u0000", "\\ud800", "\\u00e4", "\xc3\xa4", "\xff",
	"\n", CONFIG, "\"jsonrpc\":\"2.0\"", "\"id\":", "\"method\":", "\"params\":{",
	"\"name\":", "\"port\":", "\"socket\":", "\"type\":", "\"vhost-user\"", "\"ethdev\"",
	"\"devargs\":", "\"role\":", "\"client\"", "\"queues\":", "\"mtu\":", "\"group\":", "\"mode\":",
	"\"mac\":", "\"02:00:00:00:00:01\"", "\"vlan\":", "\"limit\":", "\"ring\":", "\"worker\":",
	"\"vm1\"", "\"vm2\"", "\"workers\":{\"cpus\":", "\"1,3-5\"", "\"0\"", "\"ports\":[", "\"fdb\":{",
	"\"entries\":[", "\"log\":{", "\"levels\":{", "\"age\":", "\"quota\":", "\"eal\":", "\"rpc\":{",
	"\"port.show\"", "\"port.add\"", "\"port.del\"", "\"fdb.show\"", "\"fdb.add\"", "\"fdb.del\"",
	"\"fdb.flush\"", "\"fdb.stats\"", "\"fdb.set\"", "\"worker.show\"", "\"queue.move\"",
	"\"stats.show\"", "\"capture.start\"", "\"capture.stop\"", "\"capture.show\"", "\"event.show\"",
	"\"log.show\"", "\"log.set\"", "\"config.show\"", "\"config.save\"", "\"config.load\"",
	"\"ferryd.version\"", "\"ferryd.quit\"", "\"rpc.show\"", NULL,
};

static struct rpc *rpc;
static struct rpc_method rows[ROWS_MAX];

static int
refuse(void *arg, json_t *params, json_t **result, struct rpc_error *err)
{
	return rpc_fail(err, -EPERM, NULL, "not under test");
}

static bool
reaches_out(const char *method)
{
	static const char *const names[] = {
		"port.add", "port.del", "capture.start", "capture.stop", "log.set", "config.save",
		"config.load", "ferryd.quit",
	};

	for (uint32_t i = 0; i < RTE_DIM(names); i++)
		if (strcmp(names[i], method) == 0)
			return true;
	return false;
}

static void
methods_add(void)
{
	static const struct rpc_method *const tables[] = {
		port_rpc, fdb_rpc, worker_rpc, queue_rpc, stats_rpc, capture_rpc, config_rpc, log_rpc,
		event_rpc, ferryd_rpc,
	};
	uint32_t n = 0;

	for (uint32_t i = 0; i < RTE_DIM(tables); i++)
		for (const struct rpc_method *m = tables[i]; m->name != NULL; m++) {
			FUZZ_CHECK(n < ROWS_MAX - 1);
			rows[n] = *m;
			if (reaches_out(m->name))
				rows[n].fn = refuse;
			n++;
		}
	rpc_add(rpc, rows, &rig.sw);
}

static void
leave(void)
{
	rpc_destroy(rpc);
	rig_stop();
	rmdir(folder);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char *eal[] = { (*argv)[0], "--no-huge", "--no-shconf", "--no-pci", "--no-telemetry",
			"-m", "64", "-l", "0", "--log-level", "*:emergency" };

	FUZZ_CHECK(rte_eal_init(RTE_DIM(eal), eal) >= 0 && mkdtemp(folder) != NULL);
	rig_start();
	does("port.add", "{\"name\":\"vm1\",\"type\":\"vhost-user\",\"socket\":\"@/vm1.sock\"}");
	does("port.add", "{\"name\":\"vm2\",\"type\":\"vhost-user\",\"socket\":\"@/vm2.sock\"}");
	FUZZ_CHECK(checks_failed == 0);
	FUZZ_CHECK(rpc_create(NULL, NULL, &rpc) == 0);
	methods_add();
	atexit(leave);
	return 0;
}

/* A message is one line that says something, and names its member when that is what is wrong. */
static void
error_check(const json_t *error)
{
	const char *text = json_string_value(json_object_get(error, "message"));
	json_t *data = json_object_get(error, "data");
	const char *member = json_string_value(json_object_get(data, "member"));

	FUZZ_CHECK(text != NULL && text[0] != '\0' && strchr(text, '\n') == NULL);
	switch (json_integer_value(json_object_get(error, "code"))) {
	case RPC_ERROR_PARSE:
		fuzz_reach(REACH_PARSE);
		break;
	case RPC_ERROR_REQUEST:
		fuzz_reach(REACH_REQUEST);
		break;
	case RPC_ERROR_METHOD:
		fuzz_reach(REACH_METHOD);
		break;
	case RPC_ERROR_PARAMS:
		FUZZ_CHECK(member != NULL && strncmp(text, member, strlen(member)) == 0);
		fuzz_reach(REACH_PARAMS);
		break;
	case RPC_ERROR_FAILED:
		fuzz_reach(REACH_FAILED);
		break;
	default:
		FUZZ_CHECK(!"a code that is known");
	}
}

/* @return  whether it is an error */
static bool
answer_check(const json_t *answer)
{
	const char *version = json_string_value(json_object_get(answer, "jsonrpc"));
	const json_t *error = json_object_get(answer, "error");

	FUZZ_CHECK(version != NULL && strcmp(version, "2.0") == 0);
	FUZZ_CHECK(json_object_get(answer, "id") != NULL);
	FUZZ_CHECK((error == NULL) != (json_object_get(answer, "result") == NULL));
	if (error != NULL)
		error_check(error);
	else
		fuzz_reach(REACH_RESULT);
	return error != NULL;
}

/* @return  whether all of it was refused */
static bool
answers_check(const json_t *answers)
{
	const json_t *one;
	bool refused = true;
	size_t i;

	if (!json_is_array(answers))
		return answer_check(answers);
	FUZZ_CHECK(json_array_size(answers) > 0);
	fuzz_reach(REACH_BATCH);
	json_array_foreach(answers, i, one)
		refused &= answer_check(one);
	return refused;
}

static char *
state_now(void)
{
	json_t *now = config_now(&rig.sw);
	char *text = json_dumps(now, JSON_COMPACT);

	FUZZ_CHECK(text != NULL);
	json_decref(now);
	return text;
}

/* What was refused has changed nothing.  (A batch may hold what is not answered.) */
static void
unchanged_check(const char *before, const json_t *answers)
{
	char *now = state_now();

	FUZZ_CHECK(json_is_array(answers) || strcmp(before, now) == 0);
	free(now);
}

static void
line_run(const char *line, size_t len)
{
	char *before = state_now(), *text = rpc_handle_line(rpc, line, len);
	json_t *answers;

	if (text == NULL) {
		fuzz_reach(REACH_NOTIFICATION);
	} else {
		FUZZ_CHECK(strchr(text, '\n') == NULL);
		answers = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
		FUZZ_CHECK(answers != NULL);
		if (answers_check(answers))
			unchanged_check(before, answers);
		json_decref(answers);
	}
	free(text);
	free(before);
}

/* What was taken is taken again; what was not says why. */
static void
config_run(const char *text, size_t len)
{
	json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
	struct config *config = NULL, *again = NULL;
	struct rpc_error err = { 0 };
	int rc;

	if (json == NULL)
		return;
	rc = config_parse(json, &config, &err);
	if (rc == 0) {
		FUZZ_CHECK(config != NULL && config->n_cpus <= CONFIG_CPUS_MAX);
		FUZZ_CHECK(config_parse(config->json, &again, &err) == 0);
		fuzz_reach(REACH_CONFIG);
	} else {
		FUZZ_CHECK(config == NULL && err.message[0] != '\0');
		FUZZ_CHECK(memchr(err.message, '\0', sizeof(err.message)) != NULL);
		FUZZ_CHECK(strchr(err.message, '\n') == NULL);
		FUZZ_CHECK(!json_is_object(json) || err.member[0] != '\0');
		fuzz_reach(REACH_NO_CONFIG);
	}
	config_destroy(config);
	config_destroy(again);
	json_decref(json);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *at = (const char *)data, *end = at + size;

	if (size >= strlen(CONFIG) && memcmp(data, CONFIG, strlen(CONFIG)) == 0) {
		config_run(at + strlen(CONFIG), size - strlen(CONFIG));
		return 0;
	}
	for (uint32_t i = 0; i < LINES_MAX && at < end; i++) {
		const char *eol = memchr(at, '\n', (size_t)(end - at));

		if (eol == NULL)
			eol = end;
		line_run(at, (size_t)(eol - at));
		at = eol + 1;
	}
	return 0;
}
