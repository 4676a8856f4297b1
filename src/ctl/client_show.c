#include <stdio.h>

#include "ctl/clean.h"
#include "ctl/client.h"
#include "ctl/output.h"
#include "ctl/table.h"

struct portrait {
    PGresult *client;
    PGresult *members;
    PGresult *customers;
    PGresult *requests;
    PGresult *invoices;
};

static const struct column member_columns[] = {
    {"member_id", "member_id", CELL_NUMBER, false}, {"name", "name", CELL_TEXT, true},
    {"email", "e-mail", CELL_TEXT, true},           {"is_admin", "admin", CELL_YES, false},
    {"chosen", "addressed", CELL_YES, false},       COLUMNS_END,
};

static const struct column customer_columns[] = {
    {"account_id", "account_id", CELL_TEXT, false},
    {"mode", "mode", CELL_TEXT, false},
    {"customer_id", "customer_id", CELL_TEXT, false},
    {"name", "name", CELL_TEXT, true},
    {"email", "e-mail", CELL_TEXT, true},
    {"generation", "generation", CELL_NUMBER, false},
    {"url", "upstream", CELL_TEXT, true},
    COLUMNS_END,
};

static const struct column request_columns[] = {
    {"mode", "mode", CELL_TEXT, false},
    {"state", "state", CELL_STATE, false},
    {"count", "requests", CELL_NUMBER, false},
    {"newest_at", "newest (UTC)", CELL_MOMENT, false},
    COLUMNS_END,
};

static const struct column invoice_columns[] = {
    {"mode", "mode", CELL_TEXT, false},
    {"status", "status", CELL_STATE, false},
    {"count", "invoices", CELL_NUMBER, false},
    {"amount_minor", "amount", CELL_MONEY, false},
    COLUMNS_END,
};

static bool load(struct ctl *ctl, int64_t agency_id, const char *client_id, struct portrait *portrait)
{
    struct db *db = &ctl->db;
    struct db_param agency = db_int(agency_id);
    struct db_param client = db_text(client_id);
    portrait->client = DB_QUERY(db,
                                "select agency_id, client_id, name, created_at from gateway.clients "
                                "where agency_id = $1 and client_id = $2",
                                agency, client);
    /* The first admin, one with an address before one without, is the one that the worker chooses. */
    portrait->members =
        DB_QUERY(db,
                 "select member_id, name, email, is_admin, created_at, is_admin and row_number() over "
                 "       (order by not is_admin, email is null, member_id) = 1 as chosen "
                 "from gateway.members where agency_id = $1 and client_id = $2 order by member_id",
                 agency, client);
    portrait->customers =
        DB_QUERY(db,
                 "select account_id, mode, customer_id, generation, name, email, url, c.created_at "
                 "from gateway.customers c join gateway.upstreams u using (upstream_id) "
                 "where agency_id = $1 and client_id = $2 order by account_id, mode, generation",
                 agency, client);
    portrait->requests =
        DB_QUERY(db,
                 "select mode, state, count(*), max(created_at) as newest_at from audit.requests "
                 "where agency_id = $1 and client_id = $2 group by 1, 2 order by 1, 2",
                 agency, client);
    portrait->invoices = DB_QUERY(
        db,
        "select mode, status, currency, count(*), sum(amount_minor) as amount_minor from audit.invoices "
        "where agency_id = $1 and client_id = $2 group by 1, 2, 3 order by 1, 2, 3",
        agency, client);
    return !db->failed;
}

static void print_section(struct ctl *ctl, const char *title, const PGresult *rows,
                          const struct column *columns)
{
    if (PQntuples(rows) == 0) {
        printf("\nno %s\n", title);
        return;
    }
    printf("\n%s%s%s\n", tone_on(&ctl->terminal, TONE_BOLD), title, tone_off(&ctl->terminal, TONE_BOLD));
    table_print_all(ctl, rows, columns);
}

static void print_text(struct ctl *ctl, const struct portrait *portrait)
{
    printf("client ");
    clean_put(stdout, db_cell(portrait->client, 0, 1));
    printf(" of agency %s: ", PQgetvalue(portrait->client, 0, 0));
    clean_put(stdout, db_cell(portrait->client, 0, 2));
    printf(", since %.19s UTC\n", PQgetvalue(portrait->client, 0, 3));
    print_section(ctl, "members", portrait->members, member_columns);
    print_section(ctl, "upstream customers", portrait->customers, customer_columns);
    print_section(ctl, "requests", portrait->requests, request_columns);
    print_section(ctl, "invoices", portrait->invoices, invoice_columns);
}

static void print_json(const struct portrait *portrait)
{
    struct json_object *object = json_row(portrait->client, 0);
    json_object_object_add(object, "members", json_rows(portrait->members));
    json_object_object_add(object, "customers", json_rows(portrait->customers));
    json_object_object_add(object, "requests", json_rows(portrait->requests));
    json_object_object_add(object, "invoices", json_rows(portrait->invoices));
    json_print(object);
}

enum ctl_exit client_show(struct ctl *ctl)
{
    struct portrait portrait = {.client = NULL};
    int64_t agency_id;
    enum ctl_exit end = client_required(ctl, ctl->arguments[0], &agency_id);
    if (end != CTL_DONE)
        return end;
    if (!load(ctl, agency_id, ctl->arguments[0], &portrait))
        end = CTL_DATABASE;
    else if (PQntuples(portrait.client) == 0)
        end = client_missing(agency_id, ctl->arguments[0]);
    else if (ctl->json)
        print_json(&portrait);
    else
        print_text(ctl, &portrait);
    PQclear(portrait.client);
    PQclear(portrait.members);
    PQclear(portrait.customers);
    PQclear(portrait.requests);
    PQclear(portrait.invoices);
    return end;
}
