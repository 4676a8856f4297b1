/* The whole story of one request or invoice. */
#include <stdio.h>

#include "base/digest.h"
#include "ctl/clean.h"
#include "ctl/commands.h"
#include "ctl/moment.h"
#include "ctl/money.h"
#include "ctl/options.h"
#include "ctl/output.h"
#include "ctl/say.h"
#include "ctl/story.h"
#include "ctl/table.h"
#include "ctl/timeline.h"

#define ID_BYTES_MAX 255

static void put_title(const struct ctl *ctl, const char *title)
{
    printf("\n%s%s%s\n", tone_on(&ctl->terminal, TONE_BOLD), title, tone_off(&ctl->terminal, TONE_BOLD));
}

/* "  name      value", with a word behind it in brackets; nothing when the value is absent. */
static void put_fact(const char *name, struct text value, struct text extra)
{
    if (!value.at)
        return;
    printf("  %-12s ", name);
    clean_put(stdout, value);
    if (extra.length > 0) {
        printf(" (");
        clean_put(stdout, extra);
        printf(")");
    }
    printf("\n");
}

static struct text moment_of(struct ctl *ctl, struct text moment)
{
    char iso[MOMENT_BYTES];
    if (!moment.at)
        return TEXT_NONE;
    moment_iso(moment, iso);
    return arena_copy(&ctl->arena, text_from(iso));
}

static void put_request(struct ctl *ctl, const struct story *story)
{
    const PGresult *request = story->request;
    struct text days = story_field(request, "days_until_due");
    struct text hint = story_field(story->plan, "key_hint");
    put_title(ctl, "request");
    put_fact("id", story_field(request, "request_id"), TEXT_NONE);
    put_fact("created", moment_of(ctl, story_field(request, "created_at")), TEXT_NONE);
    put_fact("finished", moment_of(ctl, story_field(request, "finished_at")), TEXT_NONE);
    put_fact("agency", story_field(request, "agency_id"), story_field(story->plan, "agency_name"));
    put_fact("API key", story_field(request, "key_id"),
             hint.at ? arena_printf(&ctl->arena, "ends in %s", hint.at) : TEXT_NONE);
    put_fact("account", story_field(request, "account_id"), TEXT_NONE);
    put_fact("client", story_field(request, "client_id"), story_field(story->plan, "client_name"));
    put_fact("product", story_field(request, "product_id"), TEXT_NONE);
    put_fact("route", story_field(request, "route"), story_field(request, "mode"));
    put_fact("collection", story_field(request, "collection_method"),
             days.at ? arena_printf(&ctl->arena, "due after %s days", days.at) : TEXT_NONE);
    put_fact("client's key", story_field(request, "idempotency_key"), TEXT_NONE);
    put_fact("detail", story_field(request, "detail"), TEXT_NONE);
}

static void put_plan(struct ctl *ctl, const struct story *story)
{
    const PGresult *plan = story->plan;
    struct text amount = money(&ctl->arena, story_field(plan, "amount_minor"), story_field(plan, "currency"));
    put_title(ctl, "plan");
    put_fact("frozen", moment_of(ctl, story_field(plan, "planned_at")), TEXT_NONE);
    put_fact("customer", story_field(plan, "customer_id"),
             arena_printf(&ctl->arena, "generation %s",
                          story_field(plan, "customer_generation").at
                              ? story_field(plan, "customer_generation").at
                              : "unknown"));
    put_fact("price", story_field(plan, "price_id"), amount);
    put_fact("advances",
             text_is(story_field(plan, "auto_advance"), TEXT("t")) ? TEXT("automatically") : TEXT("no"),
             TEXT_NONE);
    put_fact("upstream", story_field(plan, "upstream_url"), story_field(plan, "upstream_platform"));
    put_fact("version", story_field(plan, "upstream_version"),
             arena_printf(&ctl->arena, "recipe %s", story_field(plan, "recipe").at));
}

static const struct column invoice_columns[] = {
    {"invoice_id", "invoice_id", CELL_TEXT, false},
    {"status", "status", CELL_STATE, false},
    {"number", "number", CELL_TEXT, false},
    {"amount_minor", "amount", CELL_MONEY, false},
    {"customer_id", "customer_id", CELL_TEXT, true},
    {"created_at", "created (UTC)", CELL_MOMENT, false},
    {"refreshed_at", "seen (UTC)", CELL_MOMENT, false},
    COLUMNS_END,
};

static void put_events(struct ctl *ctl, const PGresult *events)
{
    for (int row = 0; row < PQntuples(events); row++) {
        int64_t start_ms = 0;
        struct text start = db_cell(events, row, PQfnumber(events, "start_ms"));
        struct text why = db_cell(events, row, PQfnumber(events, "why"));
        struct text worker = db_cell(events, row, PQfnumber(events, "worker"));
        if (start.at && text_to_int64(start, &start_ms))
            printf("  %10s  ", arena_printf(&ctl->arena, "%s%s", start_ms < 0 ? "" : "+",
                                            story_duration(&ctl->arena, start_ms).at)
                                   .at);
        clean_put(stdout, db_cell(events, row, PQfnumber(events, "what")));
        if (why.at) {
            printf(": ");
            clean_put(stdout, why);
        }
        printf("%s%s\n", worker.at ? ", worker " : "", worker.at ? worker.at : "");
    }
}

static void print_text(struct ctl *ctl, const struct story *story)
{
    enum tone tone;
    struct text verdict = clean(&ctl->arena, story_verdict(ctl, story, &tone));
    printf("%s%s%s\n", tone_on(&ctl->terminal, tone), verdict.at ? verdict.at : "",
           tone_off(&ctl->terminal, tone));
    put_request(ctl, story);
    if (!text_is(story_field(story->request, "state"), TEXT("refused")))
        put_plan(ctl, story);
    if (PQntuples(story->invoices) > 0) {
        put_title(ctl, "invoice");
        table_print_all(ctl, story->invoices, invoice_columns);
    }
    if (PQntuples(story->calls) > 0) {
        put_title(ctl, "upstream calls");
        timeline_print(ctl, story->calls);
    }
    if (PQntuples(story->events) > 0) {
        put_title(ctl, "events");
        put_events(ctl, story->events);
    }
}

static void print_json(struct ctl *ctl, const struct story *story)
{
    enum tone tone;
    struct json_object *object = json_row(story->request, 0);
    json_object_object_add(object, "verdict", json_string(story_verdict(ctl, story, &tone)));
    json_object_object_add(object, "plan", PQntuples(story->plan) ? json_row(story->plan, 0) : NULL);
    json_object_object_add(object, "work", PQntuples(story->work) ? json_row(story->work, 0) : NULL);
    json_object_object_add(object, "invoices", json_rows(story->invoices));
    json_object_object_add(object, "upstream_calls", json_rows(story->calls));
    json_object_object_add(object, "events", json_rows(story->events));
    json_print(object);
}

/* An invoice's key leads with agency, account and upstream: each of those is tried, which is an index look-up
 * each. */
static PGresult *find_invoice(struct ctl *ctl, const char *invoice_id)
{
    return DB_QUERY(
        &ctl->db,
        "select i.request_id, i.account_id from gateway.accounts a cross join gateway.upstreams u "
        "join gateway.invoices i on (i.agency_id, i.account_id, i.mode, i.upstream_id, i.invoice_id) "
        "                         = (a.agency_id, a.account_id, u.mode, u.upstream_id, $1) "
        "order by 1",
        db_text(invoice_id));
}

/* The request that made the invoice. */
static enum ctl_exit request_of_invoice(struct ctl *ctl, const char *invoice_id, const char **request_id)
{
    PGresult *rows = find_invoice(ctl, invoice_id);
    if (!rows)
        return CTL_DATABASE;
    enum ctl_exit end = CTL_DONE;
    if (PQntuples(rows) == 0) {
        say_error("there is no request and no invoice '%s'; 'invoicegatectl requests' lists them",
                  invoice_id);
        end = CTL_NOT_FOUND;
    } else if (PQntuples(rows) > 1) {
        say_error("%d invoices are called %s, the first by request %s; name one by its request",
                  PQntuples(rows), invoice_id, PQgetvalue(rows, 0, 0));
        end = CTL_FAILED;
    } else
        *request_id = arena_copy(&ctl->arena, db_cell(rows, 0, 0)).at;
    PQclear(rows);
    return end;
}

static enum ctl_exit show_request(struct ctl *ctl, const char *request_id)
{
    struct story story;
    enum ctl_exit end = CTL_DONE;
    if (!story_load(ctl, request_id, &story))
        end = CTL_DATABASE;
    else if (PQntuples(story.request) == 0) {
        say_error("there is no request %s; 'invoicegatectl requests' lists them", request_id);
        end = CTL_NOT_FOUND;
    } else if (ctl->json)
        print_json(ctl, &story);
    else
        print_text(ctl, &story);
    story_free(&story);
    return end;
}

static enum ctl_exit show(struct ctl *ctl)
{
    uint8_t uuid[UUID_BYTES];
    const char *request_id = ctl->arguments[0];
    if (!check_plain(ctl, "the id", request_id, ID_BYTES_MAX))
        return CTL_USAGE;
    if (!db_open(&ctl->db))
        return CTL_DATABASE;
    enum ctl_exit end = CTL_DONE;
    if (!uuid_from_text(text_from(request_id), uuid))
        end = request_of_invoice(ctl, request_id, &request_id);
    return end == CTL_DONE ? show_request(ctl, request_id) : end;
}

static const struct option show_options[] = {
    OPTIONS_END,
};

const struct command show_commands[] = {
    {"show", NULL, "REQUEST_ID|INVOICE_ID", 1, 1, "show the whole story of one request or invoice",
     "What came of it in one sentence; the request and its frozen plan; every upstream call on a line of "
     "time; the\n"
     "history.",
     show_options,
     "  invoicegatectl show 01951d3e-7c1a-7000-8000-0242ac120002\n"
     "  invoicegatectl show in_1MtHbELkdIwHu7ixl4OzzPMv --json | jq .events\n",
     show},
    COMMANDS_END,
};
