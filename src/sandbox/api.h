// From a call's headers and body to its answer, without any network.
#pragma once

#include "sandbox/call.h"
#include "sandbox/options.h"

// As they came; any may be NULL.
struct incoming {
    const char *authorization;
    const char *account;
    const char *version;
    const char *key;
    const char *content_type;
    const char *traceparent; // only shown
    const char *query;
    const char *body;
    size_t body_len;
};

// Who, where, which route, and the form. The call's method, path, random, now_ms and store are set. False
// when the call has been answered with an error, without anything being executed.
bool api_admit(struct call *call, const struct options *options, const struct incoming *incoming) MUST_CHECK;

// Executes a call of the state file again: path, account, version, mode, method, key, random and now_ms are
// set. False when it names no route.
bool api_resume(struct call *call, const char *body, size_t body_len) MUST_CHECK;

// Checks parameters, executes, and saves the answer under the key.
void api_execute(struct call *call);
