// Answers saved under idempotency keys, by account and mode.
#pragma once

#include "sandbox/call.h"

struct idempotency_clock {
    int64_t monotonic_ms;
    int64_t ttl_s;
};

// True when the key decides the answer: a replay, a conflict or a misuse. False when the call is to be
// executed.
bool idempotency_answers(struct call *call, struct idempotency_clock clock) MUST_CHECK;

// Saves the answer of a call that was executed under its key.
void idempotency_save(struct call *call);

// Until then the call counts as being worked on.
void idempotency_set_busy(struct call *call, int64_t until_monotonic_ms);
