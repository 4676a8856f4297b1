#include "sandbox/control_rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_MS = 3600000, LEAST_STATUS = 200, MOST_STATUS = 599 };

#define MOST_COUNT 1000000000000LL

// False when the member is there but is no number in range.
static bool read_number(json_object *object, const char *name, int64_t least, int64_t most, int64_t *number)
{
    json_object *member = NULL;
    if (!json_object_object_get_ex(object, name, &member) || member == NULL)
        return true;
    int64_t value = json_object_get_int64(member);
    if (!json_object_is_type(member, json_type_int) || value < least || value > most)
        return false;
    *number = value;
    return true;
}

static const char *read_string(json_object *object, const char *name)
{
    json_object *member = NULL;
    json_object_object_get_ex(object, name, &member);
    return json_object_is_type(member, json_type_string) ? json_object_get_string(member) : NULL;
}

static bool is_known_member(const char *name)
{
    static const char *const known[] = {"fault", "step",          "account",  "probability", "count",
                                        "skip",  "retry_after_s", "delay_ms", "status",      "bytes",
                                        "raw"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i], name) == 0)
            return true;
    }
    return false;
}

static bool check_members(json_object *object, struct text *problem)
{
    json_object_object_foreach(object, name, value)
    {
        (void)value;
        if (!is_known_member(name)) {
            text_format(problem, "A fault rule has no member '%.100s'.", name);
            return false;
        }
    }
    return true;
}

static bool read_names(json_object *object, struct fault_rule *rule, struct text *problem)
{
    const char *fault = read_string(object, "fault");
    const char *step = read_string(object, "step");
    const char *account = read_string(object, "account");
    rule->kind = fault == NULL ? NULL : fault_kind_find(fault);
    rule->step = step == NULL ? STEP_ANY : step_by_name(step);
    if (rule->kind == NULL)
        text_format(problem, "There is no fault '%.100s'; GET /_sandbox/faults lists the names.",
                    fault == NULL ? "" : fault);
    else if (rule->step == STEP_COUNT)
        text_format(problem, "There is no step '%.100s'.", step);
    else if (account != NULL && strlen(account) >= sizeof rule->account)
        text_string(problem, "The account's name is too long.");
    else if (account != NULL)
        (void)snprintf(rule->account, sizeof rule->account, "%s", account);
    return problem->len == 0;
}

static bool read_probability(json_object *object, struct fault_rule *rule)
{
    json_object *member = NULL;
    if (!json_object_object_get_ex(object, "probability", &member))
        return true;
    bool number = json_object_is_type(member, json_type_double) || json_object_is_type(member, json_type_int);
    rule->probability = json_object_get_double(member);
    return number && rule->probability >= 0 && rule->probability <= 1;
}

static bool read_numbers(json_object *object, struct fault_rule *rule, struct text *problem)
{
    int64_t retry_after_s = -1;
    int64_t status = 0;
    json_object *raw = NULL;
    bool good = read_probability(object, rule) && read_number(object, "count", 0, MOST_COUNT, &rule->count) &&
                read_number(object, "skip", 0, MOST_COUNT, &rule->skip) &&
                read_number(object, "retry_after_s", 0, MOST_MS, &retry_after_s) &&
                read_number(object, "delay_ms", 0, MOST_MS, &rule->delay_ms) &&
                read_number(object, "status", LEAST_STATUS, MOST_STATUS, &status) &&
                read_number(object, "bytes", 0, MOST_COUNT, &rule->bytes);
    if (!good)
        text_string(problem, "A number of the rule is not a number or out of range.");
    rule->retry_after_s = (int)retry_after_s;
    rule->status = (int)status;
    rule->raw = json_object_object_get_ex(object, "raw", &raw) && json_object_get_boolean(raw);
    return good;
}

struct fault_rule *control_read_rule(json_object *object, struct text *problem)
{
    struct fault_rule *rule = calloc(1, sizeof *rule);
    CHECK(rule != NULL);
    rule->probability = 1;
    rule->count = -1;
    rule->delay_ms = -1;
    rule->bytes = -1;
    if (check_members(object, problem) && read_names(object, rule, problem) &&
        read_numbers(object, rule, problem))
        return rule;
    free(rule);
    return NULL;
}

bool control_read_latency(json_object *object, int64_t *latency_ms, int64_t *jitter_ms)
{
    return read_number(object, "latency_ms", 0, MOST_MS, latency_ms) &&
           read_number(object, "jitter_ms", 0, MOST_MS, jitter_ms);
}
