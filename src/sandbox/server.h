// HTTP by libevent: listening, requests in, answers out.
#pragma once

#include "sandbox/sandbox.h"

// False with a line on standard error.
bool server_open(struct sandbox *sandbox) MUST_CHECK;

// Until SIGTERM or SIGINT.
void server_run(struct sandbox *sandbox);

void server_close(struct sandbox *sandbox);

// Closes the listening socket and opens it again after so long.
void server_refuse(struct sandbox *sandbox, int64_t duration_ms);
