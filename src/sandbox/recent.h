// The latest requests, for tests that want to see what was really sent.
#pragma once

#include <stdint.h>

#include "sandbox/api.h"

enum { RECENT_CALLS = 10000 };

struct recent_call {
    struct text fields; // NUL after each; see recent.c
    size_t body_len;
    int64_t at_ms;
    int status; // 0 when nothing was answered
    const char *fault;
    const char *step;
};

struct recent {
    struct recent_call *ring; // owned, RECENT_CALLS of them
    uint64_t total;
};

void recent_open(struct recent *recent);
void recent_close(struct recent *recent);
void recent_forget(struct recent *recent);

// target is the path with its query.
void recent_add(struct recent *recent, const struct call *call, const char *method, const char *target,
                const struct incoming *incoming, const char *fault);

// A JSON object with the last `limit`, oldest first.
void recent_write(struct text *text, const struct recent *recent, uint64_t limit);
