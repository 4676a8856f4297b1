/* One request with everything that belongs to it. */
#include <stdio.h>

#include "base/digest.h"
#include "ctl/clean.h"
#include "ctl/commands.h"
#include "ctl/options.h"
#include "ctl/output.h"
#include "ctl/say.h"

struct story {
    PGresult *request;
    PGresult *invoices;
    PGresult *calls;
    PGresult *events;
};

static bool load(struct ctl *ctl, const char *request_id, struct story *story)
{
    struct db_param id = db_text(request_id);
    story->request = DB_QUERY(&ctl->db, "select * from audit.requests where request_id = $1::uuid", id);
    story->invoices = DB_QUERY(&ctl->db, "select * from audit.invoices where request_id = $1::uuid", id);
    story->calls = DB_QUERY(&ctl->db,
                            "select * from audit.upstream_calls where request_id = $1::uuid "
                            "order by started_at, fence, attempt",
                            id);
    story->events = DB_QUERY(
        &ctl->db, "select * from audit.events where request_id = $1::uuid order by at, event_id", id);
    return !ctl->db.failed;
}

static void print_rows(const PGresult *rows, const char *title)
{
    printf("\n%s\n", title);
    for (int row = 0; row < PQntuples(rows); row++)
        for (int column = 0; column < PQnfields(rows); column++) {
            if (PQgetisnull(rows, row, column))
                continue;
            printf("  %-20s ", PQfname(rows, column));
            clean_put(stdout, db_cell(rows, row, column));
            printf("\n");
        }
}

static void print_story(const struct ctl *ctl, const struct story *story)
{
    if (!ctl->json) {
        print_rows(story->request, "request");
        print_rows(story->invoices, "invoice");
        print_rows(story->calls, "upstream calls");
        print_rows(story->events, "events");
        return;
    }
    struct json_object *object = json_row(story->request, 0);
    json_object_object_add(object, "invoices", json_rows(story->invoices));
    json_object_object_add(object, "upstream_calls", json_rows(story->calls));
    json_object_object_add(object, "events", json_rows(story->events));
    json_print(object);
}

static enum ctl_exit show(struct ctl *ctl)
{
    struct story story = {.request = NULL};
    uint8_t uuid[UUID_BYTES];
    const char *request_id = ctl->arguments[0];
    enum ctl_exit end = CTL_DATABASE;
    if (!uuid_from_text(text_from(request_id), uuid))
        return usage_error(ctl, "'%s' is no request id", request_id);
    if (!db_open(&ctl->db) || !load(ctl, request_id, &story))
        goto done;
    end = PQntuples(story.request) == 1 ? CTL_DONE : CTL_NOT_FOUND;
    if (end == CTL_DONE)
        print_story(ctl, &story);
    else
        say_error("there is no request %s", request_id);
done:
    PQclear(story.request);
    PQclear(story.invoices);
    PQclear(story.calls);
    PQclear(story.events);
    return end;
}

static const struct option show_options[] = {
    OPTIONS_END,
};

const struct command show_commands[] = {
    {"show", NULL, "REQUEST_ID", 1, 1, "show one request with everything that belongs to it", NULL,
     show_options,
     "  invoicegatectl show 01951d3e-7c1a-7000-8000-0242ac120002\n"
     "  invoicegatectl show 01951d3e-7c1a-7000-8000-0242ac120002 --json | jq .events\n",
     show},
    COMMANDS_END,
};
