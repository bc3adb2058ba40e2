/* SPDX-License-Identifier: BSD-3-Clause */
#include "telemetry.h"

#include <rte_common.h>
#include <rte_telemetry.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_S 2

static const struct row {
	const char *command;
	const char *method;
	const char *param;   /* what stands after the comma; NULL: nothing may */
	const char *list;    /* only this member of each object */
	const char *help;
} rows[] = {
	{ "/ferry/port/list", "port.show", NULL, "name", "Names of ports" },
	{ "/ferry/port/info", "port.show", "name", NULL, "State of a port. Parameter: its name" },
	{ "/ferry/port/stats", "stats.show", "port", NULL,
	  "Counters and rates of a port. Parameter: its name" },
	{ "/ferry/worker/list", "worker.show", NULL, "index", "Numbers of workers" },
	{ "/ferry/worker/stats", "worker.show", "index", NULL,
	  "Load and counters of a worker. Parameter: its number" },
	{ "/ferry/vdpa/list", "vdpa.show", NULL, "name", "Names of devices that can move rings" },
	{ "/ferry/vdpa/info", "vdpa.show", "name", NULL,
	  "What such a device can do, and who has it. Parameter: its name" },
	{ "/ferry/fdb/stats", "fdb.stats", NULL, NULL, "Figures of the forwarding database" },
};

enum slot_state { SLOT_FREE, SLOT_ASKED, SLOT_ANSWERING, SLOT_ANSWERED };

/* Everything below is under the lock, but for what only control touches. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct {
	bool running;
	enum slot_state state;
	uint64_t number;     /* of the question: an answer that comes too late is nobody's */
	const struct row *row;
	json_t *params;
	json_t *result;      /* NULL: the method failed */
	int bell;
} slot;

static struct rpc *rpc;                 /* control only */
static struct loop_watch *watch;        /* control only */

/* JSON to DPDK's tree; what that cannot hold (null, tables) is left out. */

static void dict_fill(struct rte_tel_data *d, const json_t *o);

static void
real_add(struct rte_tel_data *d, const char *key, double n)
{
	char text[32];

	snprintf(text, sizeof(text), "%.6g", n);
	rte_tel_data_add_dict_string(d, key, text);
}

static void
container_add(struct rte_tel_data *d, const char *key, const json_t *value)
{
	struct rte_tel_data *inner = rte_tel_data_alloc();
	const json_t *item;
	size_t i;

	if (inner == NULL)
		return;
	if (json_is_object(value)) {
		rte_tel_data_start_dict(inner);
		dict_fill(inner, value);
	} else {
		rte_tel_data_start_array(inner, RTE_TEL_STRING_VAL);
		json_array_foreach(value, i, item)
			rte_tel_data_add_array_string(inner, json_string_value(item));
	}
	if (rte_tel_data_add_dict_container(d, key, inner, 0) < 0)
		rte_tel_data_free(inner);
}

static void
member_add(struct rte_tel_data *d, const char *key, const json_t *value)
{
	if (json_is_string(value))
		rte_tel_data_add_dict_string(d, key, json_string_value(value));
	else if (json_is_integer(value) && json_integer_value(value) >= 0)
		rte_tel_data_add_dict_u64(d, key, (uint64_t)json_integer_value(value));
	else if (json_is_integer(value))
		rte_tel_data_add_dict_int(d, key, (int)json_integer_value(value));
	else if (json_is_boolean(value))
		rte_tel_data_add_dict_int(d, key, json_is_true(value));
	else if (json_is_real(value))
		real_add(d, key, json_real_value(value));
	else if (json_is_object(value) || json_is_string(json_array_get(value, 0)))
		container_add(d, key, value);
}

static void
dict_fill(struct rte_tel_data *d, const json_t *o)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)o, key, value)
		member_add(d, key, value);
}

static void
list_fill(struct rte_tel_data *d, const json_t *list, const char *member)
{
	bool text = json_is_string(json_object_get(json_array_get(list, 0), member));
	const json_t *o;
	size_t i;

	rte_tel_data_start_array(d, text ? RTE_TEL_STRING_VAL : RTE_TEL_INT_VAL);
	json_array_foreach(list, i, o) {
		const json_t *value = json_object_get(o, member);

		if (text)
			rte_tel_data_add_array_string(d, json_string_value(value));
		else
			rte_tel_data_add_array_int(d, (int)json_integer_value(value));
	}
}

/* DPDK's threads */

static json_t *
params_of(const struct row *row, const char *text)
{
	size_t digits = strspn(text == NULL ? "" : text, "0123456789");

	if (row->param == NULL)
		return json_object();
	if (text == NULL)
		return NULL;
	if (digits > 0 && text[digits] == '\0' && strcmp(row->param, "index") == 0)
		return json_pack("{s:I}", row->param, (json_int_t)strtoll(text, NULL, 10));
	return json_pack("{s:s}", row->param, text);
}

static bool
wait_changed(const struct timespec *until)
{
	return pthread_cond_clockwait(&changed, &lock, CLOCK_MONOTONIC, until) == 0;
}

/* The answer to a question; NULL: none came in time, or an error did. */
static json_t *
ask(const struct row *row, json_t *params)
{
	struct timespec until;
	uint64_t number;
	json_t *result = NULL;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ANSWER_S;
	pthread_mutex_lock(&lock);
	while (slot.running && slot.state != SLOT_FREE && wait_changed(&until))
		;
	if (!slot.running || slot.state != SLOT_FREE) {
		pthread_mutex_unlock(&lock);
		json_decref(params);
		return NULL;
	}
	number = ++slot.number;
	slot.row = row;
	slot.params = params;
	slot.state = SLOT_ASKED;
	eventfd_write(slot.bell, 1);
	while (slot.running && slot.state != SLOT_ANSWERED && wait_changed(&until))
		;
	if (slot.number == number && slot.state == SLOT_ANSWERED) {
		result = slot.result;
		slot.result = NULL;
		slot.state = SLOT_FREE;
	} else if (slot.number == number && slot.state == SLOT_ASKED) {
		json_decref(slot.params);
		slot.params = NULL;
		slot.state = SLOT_FREE;
	} else {
		slot.number++; /* control drops what it is making */
	}
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	return result;
}

static const struct row *
row_find(const char *command)
{
	for (size_t i = 0; i < RTE_DIM(rows); i++)
		if (strcmp(rows[i].command, command) == 0)
			return &rows[i];
	return NULL;
}

static int
handle(const char *command, const char *text, struct rte_tel_data *d)
{
	const struct row *row = row_find(command);
	json_t *params = row == NULL ? NULL : params_of(row, text), *result;

	if (params == NULL)
		return -EINVAL;
	result = ask(row, params);
	if (result == NULL)
		return -EAGAIN;
	if (row->list != NULL) {
		list_fill(d, result, row->list);
	} else {
		rte_tel_data_start_dict(d);
		dict_fill(d, result);
	}
	json_decref(result);
	return 0;
}

/* control */

static void
on_bell(void *arg)
{
	struct rpc_error err;
	const struct row *row;
	json_t *params, *result = NULL;
	uint64_t number;
	eventfd_t n;

	if (eventfd_read(slot.bell, &n) < 0)
		return;
	pthread_mutex_lock(&lock);
	if (slot.state != SLOT_ASKED) {
		pthread_mutex_unlock(&lock);
		return;
	}
	number = slot.number;
	row = slot.row;
	params = slot.params;
	slot.params = NULL;
	slot.state = SLOT_ANSWERING;
	pthread_mutex_unlock(&lock);

	if (rpc_call(rpc, row->method, params, &result, &err) < 0)
		result = NULL;
	json_decref(params);

	pthread_mutex_lock(&lock);
	if (slot.number == number) {
		slot.result = result;
		slot.state = SLOT_ANSWERED;
	} else {
		json_decref(result);
		slot.state = SLOT_FREE;
	}
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

static void
commands_register(void)
{
	static bool registered;

	for (size_t i = 0; !registered && i < RTE_DIM(rows); i++)
		rte_telemetry_register_cmd(rows[i].command, handle, rows[i].help);
	registered = true;
}

int
telemetry_init(struct loop *l, struct rpc *r)
{
	int bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), rc;

	if (bell < 0)
		return -errno;
	rc = loop_read(l, bell, on_bell, NULL, &watch);
	if (rc < 0) {
		close(bell);
		return rc;
	}
	rpc = r;
	pthread_mutex_lock(&lock);
	slot.bell = bell;
	slot.state = SLOT_FREE;
	slot.running = true;
	pthread_mutex_unlock(&lock);
	commands_register();
	return 0;
}

void
telemetry_fini(void)
{
	loop_watch_destroy(watch);
	watch = NULL;
	pthread_mutex_lock(&lock);
	if (slot.running)
		close(slot.bell);
	json_decref(slot.params);
	json_decref(slot.result);
	slot.params = slot.result = NULL;
	slot.state = SLOT_FREE;
	slot.running = false;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}
