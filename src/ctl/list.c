/* Requests and invoices, newest first, in pages, with the totals of everything that was chosen. */
#include <stdio.h>

#include "ctl/commands.h"
#include "ctl/filter.h"
#include "ctl/options.h"
#include "ctl/output.h"
#include "ctl/page.h"
#include "ctl/say.h"
#include "ctl/table.h"

/* What differs between the two lists. */
struct listing {
    const char *page_sql;   /* parameters of the filter */
    const char *totals_sql; /* the first seven of them */
    const struct column *columns;
    const struct column *total_columns;
    const char *empty;
};

static const struct column request_columns[] = {
    {"request_id", "request_id", CELL_TEXT, false},
    {"created_at", "created (UTC)", CELL_MOMENT, false},
    {"state", "state", CELL_STATE, false},
    {"http_status", "answer", CELL_NUMBER, false},
    {"amount_minor", "amount", CELL_MONEY, false},
    {"mode", "mode", CELL_TEXT, false},
    {"agency_id", "agency", CELL_NUMBER, false},
    {"account_id", "account_id", CELL_TEXT, true},
    {"client_id", "client_id", CELL_TEXT, true},
    {"product_id", "product_id", CELL_TEXT, true},
    {"invoice_id", "invoice_id", CELL_TEXT, false},
    {"reason", "reason", CELL_TEXT, true},
    COLUMNS_END,
};

static const struct column request_total_columns[] = {
    {"mode", "mode", CELL_TEXT, false},
    {"state", "state", CELL_STATE, false},
    {"count", "requests", CELL_NUMBER, false},
    {"amount_minor", "amount", CELL_MONEY, false},
    COLUMNS_END,
};

static const struct listing requests_listing = {
    "select request_id, created_at, finished_at, agency_id, account_id, client_id, product_id, route, mode, "
    "state, "
    "       reason, http_status, invoice_id, amount_minor, currency, detail, idempotency_key, key_id "
    "from audit.requests where " FILTER_CONDITION("state") FILTER_PARTITIONS FILTER_PAGE,
    "select mode, currency, state, count(*), sum(amount_minor) as amount_minor from audit.requests "
    "where " FILTER_CONDITION("state") FILTER_PARTITIONS
    "group by mode, currency, state order by mode, currency, state",
    request_columns,
    request_total_columns,
    "no requests were chosen",
};

static const struct column invoice_columns[] = {
    {"invoice_id", "invoice_id", CELL_TEXT, false}, {"created_at", "created (UTC)", CELL_MOMENT, false},
    {"status", "status", CELL_STATE, false},        {"number", "number", CELL_TEXT, false},
    {"amount_minor", "amount", CELL_MONEY, false},  {"mode", "mode", CELL_TEXT, false},
    {"agency_id", "agency", CELL_NUMBER, false},    {"account_id", "account_id", CELL_TEXT, true},
    {"client_id", "client_id", CELL_TEXT, true},    {"customer_id", "customer_id", CELL_TEXT, true},
    {"request_id", "request_id", CELL_TEXT, false}, COLUMNS_END,
};

static const struct column invoice_total_columns[] = {
    {"mode", "mode", CELL_TEXT, false},
    {"status", "status", CELL_STATE, false},
    {"count", "invoices", CELL_NUMBER, false},
    {"amount_minor", "amount", CELL_MONEY, false},
    COLUMNS_END,
};

static const struct listing invoices_listing = {
    "select invoice_id, request_id, agency_id, account_id, client_id, customer_id, status, number, "
    "amount_minor, "
    "       currency, mode, created_at, refreshed_at "
    "from audit.invoices where " FILTER_CONDITION("status") FILTER_PAGE,
    "select mode, currency, status, count(*), sum(amount_minor) as amount_minor from audit.invoices "
    "where " FILTER_CONDITION("status") "group by mode, currency, status order by mode, currency, status",
    invoice_columns,
    invoice_total_columns,
    "no invoices were chosen",
};

/* The limit, and what belongs to the last request of the page. */
static int shown_rows(const PGresult *rows, int64_t limit)
{
    int count = PQntuples(rows);
    int id = PQfnumber(rows, "request_id");
    int shown = count > limit ? (int)limit : count;
    while (shown > 0 && shown < count && text_is(db_cell(rows, shown, id), db_cell(rows, shown - 1, id)))
        shown++;
    return shown;
}

static void print_page(struct ctl *ctl, const struct listing *listing, const struct page *page,
                       const PGresult *totals)
{
    if (ctl->json) {
        page_print_json(page, totals ? json_rows(totals) : NULL);
        return;
    }
    if (page->shown == 0)
        say_note("%s", listing->empty);
    table_print(ctl, page->rows, page->shown, listing->columns);
    if (totals && PQntuples(totals) > 0) {
        printf("\n");
        table_print_all(ctl, totals, listing->total_columns);
    }
    page_print_hint(ctl, page);
}

static enum ctl_exit list(struct ctl *ctl, const struct listing *listing)
{
    struct filter filter;
    enum ctl_exit end = CTL_DATABASE;
    if (!filter_read(ctl, &filter))
        return CTL_USAGE;
    if (!db_open(&ctl->db))
        return CTL_DATABASE;
    bool wants_totals = !option_given(ctl, "no-totals");
    PGresult *totals = NULL;
    PGresult *rows = db_query_params(&ctl->db, listing->page_sql, filter.params, FILTER_PARAMS);
    if (wants_totals)
        totals = db_query_params(&ctl->db, listing->totals_sql, filter.params, FILTER_AFTER);
    if (!ctl->db.failed) {
        int shown = shown_rows(rows, filter.limit);
        struct page page = {rows, shown, shown < PQntuples(rows), "request_id"};
        print_page(ctl, listing, &page, totals);
        end = CTL_DONE;
    }
    PQclear(rows);
    PQclear(totals);
    return end;
}

static enum ctl_exit requests(struct ctl *ctl)
{
    return list(ctl, &requests_listing);
}

static enum ctl_exit invoices(struct ctl *ctl)
{
    return list(ctl, &invoices_listing);
}

static const struct option request_options[] = {
    FILTER_OPTIONS("open unresolved created failed refused"),
    OPTIONS_END,
};

static const struct option invoice_options[] = {
    FILTER_OPTIONS("draft open paid void uncollectible"),
    OPTIONS_END,
};

const struct command list_commands[] = {
    {"requests", NULL, "", 0, 0, "list requests, newest first, with totals per currency",
     "Amounts are the frozen price of one unit. The totals are of everything chosen, not of the page alone.",
     request_options,
     "  invoicegatectl requests --agency 1 --state failed --since 2026-01-31\n"
     "  invoicegatectl requests --client client_77 --mode live --limit 500 --json\n",
     requests},
    {"invoices", NULL, "", 0, 0, "list invoices that stand upstream, newest first, with totals per currency",
     "The totals are of everything chosen, not of the page alone.", invoice_options,
     "  invoicegatectl invoices --account acct_demo --since 2026-01-01 --until 2026-02-01\n"
     "  invoicegatectl invoices --agency 1 --state draft --json | jq .totals\n",
     invoices},
    COMMANDS_END,
};
