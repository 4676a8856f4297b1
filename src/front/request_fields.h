/* The fields of both interfaces and their rules. For request*.c alone. */
#ifndef INVOICEGATE_FRONT_REQUEST_FIELDS_H
#define INVOICEGATE_FRONT_REQUEST_FIELDS_H

#include "front/request.h"

/* What one reading of a request works on. */
struct reading {
    const struct request_rules *rules;
    const struct http_request *http;
    struct arena *arena;
    struct request *request;
    bool method_known; /* collection_method is valid, or may be left out */
};

/* Keeps the first refusal of all. */
void refuse(struct refusal *refusal, int status, const char *reason, struct text message);
/* 400 of the body: "<param><rule>". code may be NULL. */
void refuse_param(struct reading *reading, const char *reason, const char *code, struct text param,
                  const char *rule);

enum field_type { FIELD_STRING, FIELD_ENUM, FIELD_INTEGER, FIELD_BOOLEAN, FIELD_DICTIONARY };

/* A value in either spelling. */
struct field_value {
    enum field_type type; /* FIELD_DICTIONARY stands for everything that no field takes */
    struct text text;     /* FIELD_STRING */
    int64_t integer;      /* FIELD_INTEGER; FIELD_BOOLEAN: 0 or 1 */
};

struct field;

/* NULL when there is no such field. */
const struct field *field_find(enum shape shape, struct text name);
/* The fields of an interface one by one: the next one, or NULL; begin with NULL. */
const struct field *field_next(enum shape shape, const struct field *field);
const char *field_name(const struct field *field);
const char *field_reason(const struct field *field);
enum field_type field_type(const struct field *field);

/* Keeps the value, or refuses it. */
void field_take(struct reading *reading, const struct field *field, struct field_value value);
/* Refuses the request where it needs this field. */
void field_missing(struct reading *reading, const struct field *field);
/* The one rule between two fields. */
void fields_check_days(struct reading *reading);

/* The body, after everything else, and its fingerprint where it is good. False when memory is out. */
MUST_CHECK bool request_read_json(struct reading *reading);
MUST_CHECK bool request_read_form(struct reading *reading);
/* The query of a GET. False when memory is out. */
MUST_CHECK bool request_read_query(struct reading *reading);

#endif
