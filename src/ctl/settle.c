/* An operator's word on a request that the gateway could not settle itself. */
#include <stdio.h>

#include "base/digest.h"
#include "ctl/commands.h"
#include "ctl/event.h"
#include "ctl/options.h"
#include "ctl/output.h"
#include "ctl/say.h"

#define ID_BYTES_MAX 255
#define NAME_BYTES_MAX 100
#define WHY_BYTES_MAX 500

/* Locks the request's row of work, so that nobody takes it over or finishes it meanwhile. */
static PGresult *lock(struct ctl *ctl, const char *request_id)
{
    return DB_QUERY(
        &ctl->db,
        "select r.state, w.request_id is not null as unfinished, "
        "       w.parked_at is null and coalesce(k.ended_at is null and k.lease_until >= now(), false) "
        "           as being_worked_on, "
        "       w.worker_id, gateway.makes_invoice(r.route) as makes_invoice, r.route "
        "from gateway.invoice_requests r "
        "left join (select * from gateway.work where request_id = $1::uuid for update) w using (request_id) "
        "left join gateway.workers k on k.worker_id = w.worker_id where r.request_id = $1::uuid",
        db_text(request_id));
}

/* --as created says which invoice was made, or that an act on an invoice that is known was done. */
static enum ctl_exit check_meaning(const PGresult *rows, const char *request_id, bool created, bool named)
{
    enum ctl_exit end = CTL_FAILED;
    bool makes_invoice = db_cell_bool(rows, 0, 4);
    if (created && makes_invoice && !named)
        say_error("request %s was to make an invoice: name the one that stands with --invoice", request_id);
    else if (!makes_invoice && named)
        say_error("request %s makes no invoice (%s): leave --invoice out", request_id,
                  PQgetvalue(rows, 0, 5));
    else
        end = CTL_DONE;
    return end;
}

static enum ctl_exit check_request(const PGresult *rows, const char *request_id)
{
    enum ctl_exit end = CTL_FAILED;
    if (PQntuples(rows) == 0) {
        say_error("there is no request %s; 'invoicegatectl unresolved' lists what can be settled",
                  request_id);
        end = CTL_NOT_FOUND;
    } else if (!db_cell_bool(rows, 0, 1))
        say_error("request %s is at its end already: %s; 'invoicegatectl show' tells its story", request_id,
                  PQgetvalue(rows, 0, 0));
    else if (db_cell_bool(rows, 0, 2))
        say_error("worker %s is working on request %s; let it, or stop it first", PQgetvalue(rows, 0, 3),
                  request_id);
    else
        end = CTL_DONE;
    return end;
}

/* An invoice that another request made must not be given to this one. */
static enum ctl_exit check_invoice(struct ctl *ctl, const char *request_id, const char *invoice_id)
{
    PGresult *rows = DB_QUERY(
        &ctl->db,
        "select i.request_id from gateway.invoice_requests r "
        "join gateway.invoices i on (i.agency_id, i.account_id, i.mode, i.upstream_id, i.invoice_id) "
        "                         = (r.agency_id, r.account_id, r.mode, r.upstream_id, $2) "
        "where r.request_id = $1::uuid and i.request_id <> r.request_id",
        db_text(request_id), db_text(invoice_id));
    if (!rows)
        return CTL_DATABASE;
    enum ctl_exit end = PQntuples(rows) == 0 ? CTL_DONE : CTL_FAILED;
    if (end == CTL_FAILED)
        say_error("invoice %s was made by request %s, not by this one", invoice_id, PQgetvalue(rows, 0, 0));
    PQclear(rows);
    return end;
}

static enum ctl_exit check(struct ctl *ctl, const char *request_id, bool created, const char *invoice_id)
{
    PGresult *rows = lock(ctl, request_id);
    if (!rows)
        return CTL_DATABASE;
    enum ctl_exit end = check_request(rows, request_id);
    if (end == CTL_DONE)
        end = check_meaning(rows, request_id, created, invoice_id != NULL);
    PQclear(rows);
    return end == CTL_DONE && invoice_id ? check_invoice(ctl, request_id, invoice_id) : end;
}

static enum ctl_exit print_settled(struct ctl *ctl, const char *request_id)
{
    PGresult *rows =
        DB_QUERY(&ctl->db, "select * from audit.requests where request_id = $1::uuid", db_text(request_id));
    if (rows && ctl->json)
        json_print(json_row(rows, 0));
    else if (rows)
        printf("request %s is settled as %s\n", request_id, option_text(ctl, "as"));
    PQclear(rows);
    return rows ? CTL_DONE : CTL_DATABASE;
}

/* The function writes the event; by names the person and the account on this host. */
static enum ctl_exit settle_checked(struct ctl *ctl, const char *request_id, const char *invoice_id)
{
    struct text by = arena_printf(&ctl->arena, "%s (as %s)", option_text(ctl, "by"), event_who());
    PGresult *rows = DB_QUERY(&ctl->db, "select gateway.settle_request($1::uuid, $2, $3, $4, $5)",
                              db_text(request_id), db_text(option_text(ctl, "as")), db_text(invoice_id),
                              db_text(by.at), db_text(option_text(ctl, "why")));
    bool settled = rows && db_cell_bool(rows, 0, 0);
    PQclear(rows);
    if (!settled && !ctl->db.failed) {
        say_error("request %s was settled meanwhile; 'invoicegatectl show' tells its story", request_id);
        return CTL_FAILED;
    }
    return settled && db_commit(&ctl->db) ? print_settled(ctl, request_id) : CTL_DATABASE;
}

static enum ctl_exit settle(struct ctl *ctl)
{
    uint8_t uuid[UUID_BYTES];
    const char *request_id = ctl->arguments[0];
    const char *invoice_id = option_text(ctl, "invoice");
    bool created = strcmp(option_text(ctl, "as"), "created") == 0;
    if (!uuid_from_text(text_from(request_id), uuid))
        return usage_error(ctl, "'%s' is no request id", request_id);
    if (invoice_id && !created)
        return usage_error(ctl, "--invoice belongs to --as created, and only to it");
    if (!check_plain(ctl, "--by", option_text(ctl, "by"), NAME_BYTES_MAX) ||
        !check_plain(ctl, "--why", option_text(ctl, "why"), WHY_BYTES_MAX) ||
        (invoice_id && !check_plain(ctl, "--invoice", invoice_id, ID_BYTES_MAX)))
        return CTL_USAGE;
    if (!db_open(&ctl->db) || !db_begin(&ctl->db))
        return CTL_DATABASE;
    enum ctl_exit end = check(ctl, request_id, created, invoice_id);
    return end == CTL_DONE ? settle_checked(ctl, request_id, invoice_id) : end;
}

static const struct option options[] = {
    {"as", "failed|created", "what you found upstream: nothing was done, or it was", "failed created", true,
     false},
    {"invoice", "INVOICE_ID", "the invoice that stands; with --as created of a request for one", NULL, false,
     false},
    {"by", "NAME", "who decided", NULL, true, false},
    {"why", "TEXT", "how you know, for the history", NULL, true, false},
    OPTIONS_END,
};

const struct command settle_commands[] = {
    {"settle", NULL, "REQUEST_ID", 1, 1, "end a parked or abandoned request by an operator's word",
     "Look upstream first: failed says that no invoice stands, created which one does. Of an act (update,\n"
     "finalize, send, void, an item) created says that it was done, failed that it was not. A request that\n"
     "a living worker has is refused. Nothing is sent upstream. As failed, the client's Idempotency-Key is\n"
     "free again; as created, it is answered from now on that an operator has settled the request, and how.",
     options,
     "  invoicegatectl settle 01951d3e-7c1a-7000-8000-0242ac120002 --as failed --by 'Ada King' \\\n"
     "      --why 'no invoice with this request in its metadata'\n"
     "  invoicegatectl settle 01951d3e-7c1a-7000-8000-0242ac120002 --as created \\\n"
     "      --invoice in_1MtHbELkdIwHu7ixl4OzzPMv --by 'Ada King' --why 'found by its metadata'\n",
     settle},
    COMMANDS_END,
};
