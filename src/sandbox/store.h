// Everything the sandbox remembers: scopes by account and mode, and the counters of calls.
#pragma once

#include "sandbox/objects.h"
#include "sandbox/steps.h"

struct store {
    struct arena arena;
    struct table scopes;
    struct list scope_list;
    int64_t calls[STEP_COUNT];
};

// The scope of an account in a mode; made with its first products when it is new.
struct scope *store_scope(struct store *store, const char *account, bool livemode);

// Forgets everything.
void store_free(struct store *store);

// Marks every idempotency key as forgotten.
void store_forget_keys(struct store *store);
