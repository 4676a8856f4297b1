// One call of the API: what came in, and the answer being made.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sandbox/form.h"
#include "sandbox/shape.h"
#include "sandbox/store.h"
#include "sandbox/text.h"

enum method { METHOD_GET, METHOD_POST, METHOD_DELETE, METHOD_OTHER };

enum { REQUEST_ID_BYTES = 32, ID_BYTES = 40, MOST_PATH_BYTES = 512, ACCOUNT_BYTES = 128, VERSION_BYTES = 48 };

// What a fault makes of the execution itself; kept in the state file.
enum effect {
    EFFECT_NONE = 0,
    EFFECT_AMOUNT = 1,
    EFFECT_CURRENCY = 2,
    EFFECT_QUANTITY = 4,
    EFFECT_SAVE_500 = 8,
    EFFECT_CARD = 16,
};

struct route;

struct call {
    struct store *store;
    struct scope *scope;
    const struct route *route;
    enum method method;
    bool livemode;
    struct view view;
    unsigned effects;
    uint64_t
        random; // state of this call's own generator: a call replayed from the state file makes the same ids
    int64_t now_ms;             // wall clock
    char path[MOST_PATH_BYTES]; // without the query
    char object_id[MOST_PATH_BYTES];
    char account[ACCOUNT_BYTES];
    char version[VERSION_BYTES];
    char request_id[REQUEST_ID_BYTES];
    const char *key;    // NULL when there is none
    uint64_t digest[2]; // of path and body
    struct form form;
    struct text form_bytes; // what form points into

    int status;
    struct text answer; // packed (shape.h)
    bool executed;      // the answer goes under the key
    bool replayed;      // the answer came from there
    char original_request[REQUEST_ID_BYTES];
    int retry_after_s;        // -1: no header
    const char *should_retry; // NULL: no header
    const char *content_type; // NULL: JSON
    const char *location;     // NULL: no header
};

// Empties a call for its next use; buffers stay.
void call_reset(struct call *call);
void call_free(struct call *call);

static inline int64_t call_now_s(const struct call *call)
{
    return call->now_ms / 1000;
}

// prefix followed by 24 letters and digits; id has room for ID_BYTES.
void call_make_id(struct call *call, const char *prefix, char *id);

// The same in the store's memory.
const char *call_new_id(struct call *call, const char *prefix);

const char *call_keep(struct call *call, const char *string);
const char *call_keep_text(struct call *call, const struct text *text);

// The value of a form field in the store's memory; NULL when absent or empty.
const char *call_keep_field(struct call *call, const char *name);

// Sets a member from the form if the form has it (an empty value unsets it).
void call_update_text(struct call *call, const char *name, const char **member);

// Answers 200 with an object.
void call_answer(struct call *call, enum shape shape, const void *object);
