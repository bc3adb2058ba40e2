/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_RPC_TEST_H
#define FERRY_RPC_TEST_H

/* What the two files of this test share: the methods that they call, and texts. */

#include "check.h"
#include "rpc.h"

#define MIB (1024 * 1024)

#define OK(id, result) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"result\":" result "}"
#define FAILED(id, code, text) \
	"{\"jsonrpc\":\"2.0\",\"id\":" id ",\"error\":{\"code\":" code ",\"message\":\"" text "\"}}"
#define WRONG(id, code, text, member) \
	"{\"jsonrpc\":\"2.0\",\"id\":" id ",\"error\":{\"code\":" code ",\"message\":\"" text \
	"\",\"data\":{\"member\":\"" member "\"}}}"
#define REQ(method, params) \
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"" method "\",\"params\":" params "}"
#define BAD_PARAM(text, member) WRONG("1", "-32602", member ": " text, member)

extern const struct rpc_method rpc_test_methods[];

/* rpc_server_test.c: clients that behave badly. */
void rpc_server_test(void);

#endif
