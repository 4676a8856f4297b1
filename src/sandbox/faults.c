#include "sandbox/faults.h"

#include <stdlib.h>
#include <string.h>

#include "sandbox/routes.h"

enum { HANG_MS = 120000, REFUSE_MS = 1000, DRIP_MS = 10 };

// Not named: not before, no effects, nothing altered, sent plainly.
static const struct fault_kind KINDS[] = {
    {.name = "refuse_connection", .before = true, .how = WIRE_REFUSE, .delay_ms = REFUSE_MS},
    {.name = "reset_before", .before = true, .how = WIRE_RESET},
    {.name = "reset_after", .how = WIRE_RESET},
    {.name = "status_409", .before = true, .alter = ALTER_STATUS, .status = 409},
    {.name = "status_424", .before = true, .alter = ALTER_STATUS, .status = 424},
    {.name = "status_429", .before = true, .alter = ALTER_STATUS, .status = 429},
    {.name = "status_500_before", .before = true, .alter = ALTER_STATUS, .status = 500},
    {.name = "status_500_after", .alter = ALTER_STATUS, .status = 500},
    {.name = "status_500_saved", .effects = EFFECT_SAVE_500},
    {.name = "status_503_html", .before = true, .alter = ALTER_HTML, .status = 503},
    {.name = "redirect", .before = true, .alter = ALTER_REDIRECT, .status = 302},
    {.name = "garbage", .alter = ALTER_GARBAGE},
    {.name = "nul_in_string", .alter = ALTER_NUL},
    {.name = "cut_body", .how = WIRE_CUT},
    {.name = "endless_body", .how = WIRE_ENDLESS},
    {.name = "slow_drip", .how = WIRE_DRIP, .delay_ms = DRIP_MS},
    {.name = "hang", .how = WIRE_HANG, .delay_ms = HANG_MS},
    {.name = "hang_before", .before = true, .how = WIRE_HANG, .delay_ms = HANG_MS},
    {.name = "delay"},
    {.name = "should_retry_true",
     .before = true,
     .alter = ALTER_STATUS,
     .status = 400,
     .should_retry = "true"},
    {.name = "should_retry_false",
     .before = true,
     .alter = ALTER_STATUS,
     .status = 500,
     .should_retry = "false"},
    {.name = "status", .before = true, .alter = ALTER_STATUS, .status = 500},
    {.name = "unauthorized", .before = true, .alter = ALTER_STATUS, .status = 401},
    {.name = "forbidden", .before = true, .alter = ALTER_STATUS, .status = 403},
    {.name = "card_error", .effects = EFFECT_CARD},
    {.name = "wrong_amount", .effects = EFFECT_AMOUNT, .alter = ALTER_AMOUNT},
    {.name = "wrong_currency", .effects = EFFECT_CURRENCY, .alter = ALTER_CURRENCY},
    {.name = "wrong_quantity", .effects = EFFECT_QUANTITY, .alter = ALTER_QUANTITY},
    {.name = "wrong_id", .alter = ALTER_WRONG_ID},
    {.name = "no_id", .alter = ALTER_NO_ID},
    {.name = "not_object", .alter = ALTER_NOT_OBJECT},
    {.name = "idempotency_error", .before = true, .alter = ALTER_IDEMPOTENCY, .status = 400},
};

const struct fault_kind *fault_kind_find(const char *name)
{
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        if (strcmp(KINDS[i].name, name) == 0)
            return &KINDS[i];
    }
    return NULL;
}

void fault_kinds_write(struct text *text)
{
    text_char(text, '[');
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        if (i > 0)
            text_char(text, ',');
        text_quoted(text, KINDS[i].name);
    }
    text_char(text, ']');
}

static double next_fraction(uint64_t *random)
{
    *random = *random * 6364136223846793005ULL + 1442695040888963407ULL;
    return (double)(*random >> 11) / 9007199254740992.0;
}

static bool fires(struct fault_rule *rule, const struct call *call, uint64_t *random)
{
    if ((rule->step != STEP_ANY && rule->step != call->route->step) ||
        (rule->account[0] != '\0' && strcmp(rule->account, call->account) != 0))
        return false;
    rule->matched++;
    if (rule->matched <= rule->skip || (rule->count >= 0 && rule->fired >= rule->count) ||
        (rule->probability < 1 && next_fraction(random) >= rule->probability))
        return false;
    rule->fired++;
    return true;
}

const struct fault_rule *faults_pick(struct faults *faults, const struct call *call, uint64_t *random)
{
    for (struct fault_rule *rule = faults->first; rule != NULL; rule = rule->next) {
        if (fires(rule, call, random))
            return rule;
    }
    return NULL;
}

void faults_add(struct faults *faults, struct fault_rule *rule)
{
    struct fault_rule **end = &faults->first;
    while (*end != NULL)
        end = &(*end)->next;
    rule->id = ++faults->next_id;
    rule->next = NULL;
    *end = rule;
}

int64_t faults_remove(struct faults *faults, int64_t id)
{
    int64_t removed = 0;
    for (struct fault_rule **at = &faults->first; *at != NULL;) {
        struct fault_rule *rule = *at;
        if (id != 0 && rule->id != id) {
            at = &rule->next;
            continue;
        }
        *at = rule->next;
        free(rule);
        removed++;
    }
    return removed;
}

static void write_rule(struct text *text, const struct fault_rule *rule)
{
    text_char(text, '{');
    text_member_int(text, "id", rule->id);
    text_member_string(text, "fault", rule->kind->name);
    text_member_string(text, "step", step_name(rule->step));
    text_member_string(text, "account", rule->account[0] == '\0' ? NULL : rule->account);
    text_member(text, "probability");
    text_format(text, "%g", rule->probability);
    text_member(text, "count");
    if (rule->count < 0)
        text_string(text, "null");
    else
        text_int(text, rule->count);
    text_member_int(text, "skip", rule->skip);
    text_member_int(text, "matched", rule->matched);
    text_member_int(text, "fired", rule->fired);
    text_char(text, '}');
}

void faults_write(struct text *text, const struct faults *faults)
{
    text_char(text, '[');
    for (const struct fault_rule *rule = faults->first; rule != NULL; rule = rule->next) {
        if (rule != faults->first)
            text_char(text, ',');
        write_rule(text, rule);
    }
    text_char(text, ']');
}
