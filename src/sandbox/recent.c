#include "sandbox/recent.h"

#include <stdlib.h>
#include <string.h>

#include "sandbox/routes.h"

enum { MOST_BODY_BYTES = 16384, FIELDS = 8 };

static const char *const FIELD_NAMES[FIELDS] = {
    "method",          "path",         "authorization", "stripe_account", "stripe_version",
    "idempotency_key", "content_type", "traceparent",
};

// An absent header is this byte, which no header can hold.
static const char ABSENT[] = "\x01";

void recent_open(struct recent *recent)
{
    recent->ring = calloc(RECENT_CALLS, sizeof *recent->ring);
    CHECK(recent->ring != NULL);
    recent->total = 0;
}

void recent_close(struct recent *recent)
{
    for (int i = 0; i < RECENT_CALLS; i++)
        text_free(&recent->ring[i].fields);
    free(recent->ring);
}

void recent_forget(struct recent *recent)
{
    recent->total = 0;
}

static void add_field(struct text *fields, const char *value)
{
    text_string(fields, value == NULL ? ABSENT : value);
    text_char(fields, '\0');
}

// Only the scheme of the credentials is kept.
static void add_scheme(struct text *fields, const char *authorization)
{
    if (authorization == NULL)
        text_string(fields, ABSENT);
    else
        text_add(fields, authorization, strcspn(authorization, " "));
    text_char(fields, '\0');
}

void recent_add(struct recent *recent, const struct call *call, const char *method, const char *target,
                const struct incoming *incoming, const char *fault)
{
    struct recent_call *entry = &recent->ring[recent->total++ % RECENT_CALLS];
    struct text *fields = &entry->fields;
    text_clear(fields);
    add_field(fields, method);
    add_field(fields, target);
    add_scheme(fields, incoming->authorization);
    add_field(fields, incoming->account);
    add_field(fields, incoming->version);
    add_field(fields, incoming->key);
    add_field(fields, incoming->content_type);
    add_field(fields, incoming->traceparent);
    entry->body_len = incoming->body_len < MOST_BODY_BYTES ? incoming->body_len : MOST_BODY_BYTES;
    text_add(fields, incoming->body, entry->body_len);
    entry->at_ms = call->now_ms;
    entry->status = call->status;
    entry->fault = fault;
    entry->step = call->route == NULL ? NULL : step_name(call->route->step);
}

static void write_call(struct text *text, const struct recent_call *entry)
{
    const char *field = entry->fields.data;
    text_char(text, '{');
    text_member_int(text, "at_ms", entry->at_ms);
    for (int i = 0; i < FIELDS; i++) {
        text_member_string(text, FIELD_NAMES[i], strcmp(field, ABSENT) == 0 ? NULL : field);
        field += strlen(field) + 1;
    }
    text_member(text, "body");
    text_quoted_bytes(text, field, entry->body_len);
    text_member_int(text, "status", entry->status);
    text_member_string(text, "step", entry->step);
    text_member_string(text, "fault", entry->fault);
    text_char(text, '}');
}

void recent_write(struct text *text, const struct recent *recent, uint64_t limit)
{
    uint64_t kept = recent->total < RECENT_CALLS ? recent->total : RECENT_CALLS;
    uint64_t shown = limit < kept ? limit : kept;
    text_string(text, "{\"total\":");
    text_int(text, (int64_t)recent->total);
    text_string(text, ",\"data\":[");
    for (uint64_t i = recent->total - shown; i < recent->total; i++) {
        if (i > recent->total - shown)
            text_char(text, ',');
        write_call(text, &recent->ring[i % RECENT_CALLS]);
    }
    text_string(text, "]}");
}
