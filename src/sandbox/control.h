// The paths below /_sandbox: faults, ledger, latency.
#pragma once

#include "sandbox/sandbox.h"

// Answers the request at once. query may be NULL; body is not NUL-terminated.
void control_handle(struct sandbox *sandbox, struct evhttp_request *request, enum method method,
                    const char *path, const char *query, const char *body, size_t body_len);
