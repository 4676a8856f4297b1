// The command line.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sandbox/check.h"

enum { HOST_BYTES = 64, KEY_BYTES = 256 };

struct options {
    char host[HOST_BYTES];
    uint16_t port; // 0: any free one
    const char *port_file;
    const char *live_key;
    const char *test_key;
    const char *state_file;
    const char *tls_cert;
    const char *tls_key;
    int64_t latency_ms;
    int64_t jitter_ms;
    int64_t idempotency_ttl_s;
};

enum options_result { OPTIONS_RUN, OPTIONS_HELP, OPTIONS_WRONG };

// On OPTIONS_WRONG the reason is on standard error; on OPTIONS_HELP the help is on standard output. The
// strings belong to argv.
enum options_result options_read(struct options *options, int argc, char **argv) MUST_CHECK;
