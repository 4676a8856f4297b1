#include <stdio.h>
#include <time.h>

#include "ctl/price.h"
#include "ctl/reconcile.h"
#include "ctl/say.h"

#define METADATA_REQUEST "invoicegate_request"
#define BAR_COLUMNS 30
#define ASKED_MAX 1000

static void rest(const struct reconcile *reconcile)
{
    struct timespec pause = {reconcile->pause_ns / 1000000000, reconcile->pause_ns % 1000000000};
    nanosleep(&pause, NULL);
}

static int64_t json_number(struct json_object *object, const char *name)
{
    struct json_object *member = NULL;
    return json_object_object_get_ex(object, name, &member) ? json_object_get_int64(member) : 0;
}

/* The list comes newest first, so its last time tells how much of the span is done. */
static void show_progress(const struct reconcile *reconcile, int64_t created_s)
{
    static const char full[] = "##############################";
    int64_t span_s = reconcile->until_s - reconcile->since_s;
    int64_t done_s = reconcile->until_s - created_s;
    int filled = span_s > 0 ? (int)(done_s * BAR_COLUMNS / span_s) : BAR_COLUMNS;
    filled = filled < 0 ? 0 : filled > BAR_COLUMNS ? BAR_COLUMNS : filled;
    if (reconcile->progress)
        fprintf(stderr, "\r[%-*.*s] %lld invoices", BAR_COLUMNS, filled, full,
                (long long)reconcile->listed + reconcile->others);
}

/* What the comparison needs of an invoice; its request is null when it is not the gateway's. */
static bool keep(struct reconcile *reconcile, struct json_object *invoice)
{
    struct json_object *metadata = NULL;
    const char *request = json_object_object_get_ex(invoice, "metadata", &metadata)
                              ? json_text(metadata, METADATA_REQUEST)
                              : NULL;
    if (!request || !json_text(invoice, "id")) {
        reconcile->others++;
        return true;
    }
    reconcile->listed++;
    return DB_RUN(&reconcile->ctl->db,
                  "insert into pg_temp.listed values ($1, $2, $3, $4) on conflict do nothing",
                  db_text(json_text(invoice, "id")), db_text(request), db_int(json_number(invoice, "total")),
                  db_text(json_text(invoice, "currency")));
}

/* The invoices of one answer; last becomes the id to go on behind, or "" at the end. */
static bool keep_page(struct reconcile *reconcile, struct json_object *list, struct text *last)
{
    struct json_object *data = NULL;
    bool kept = true;
    *last = TEXT("");
    if (!json_object_object_get_ex(list, "data", &data) || !json_object_is_type(data, json_type_array)) {
        say_error("upstream answers something that is no list of invoices");
        return false;
    }
    size_t count = json_object_array_length(data);
    for (size_t i = 0; i < count && kept; i++)
        kept = keep(reconcile, json_object_array_get_idx(data, i));
    if (count == 0)
        return true;
    struct json_object *newest = json_object_array_get_idx(data, count - 1);
    show_progress(reconcile, json_number(newest, "created"));
    if (json_true(list, "has_more"))
        *last = arena_copy(&reconcile->ctl->arena, text_from(json_text(newest, "id")));
    return kept && last->at;
}

static enum ctl_exit list_page(struct reconcile *reconcile, struct text *last)
{
    struct json_object *list = NULL;
    struct text bytes;
    const char *behind = last->length > 0 ? upstream_escape(&reconcile->upstream, last->at) : "";
    struct text path =
        arena_printf(&reconcile->page, "/v1/invoices?limit=100&created[gte]=%lld&created[lt]=%lld%s%s",
                     (long long)reconcile->since_s, (long long)reconcile->until_s,
                     last->length > 0 ? "&starting_after=" : "", behind);
    enum ctl_exit end = upstream_get(&reconcile->upstream, path.at, &list, &bytes);
    if (end == CTL_NOT_FOUND) {
        say_error("upstream %s has no list of invoices; check INVOICEGATE_UPSTREAM_URL",
                  reconcile->upstream.url);
        end = CTL_UPSTREAM;
    }
    if (end == CTL_DONE && !keep_page(reconcile, list, last))
        end = reconcile->ctl->db.failed ? CTL_DATABASE : CTL_UPSTREAM;
    json_object_put(list);
    arena_reset(&reconcile->page);
    return end;
}

enum ctl_exit reconcile_list(struct reconcile *reconcile)
{
    struct text last = TEXT("");
    enum ctl_exit end = list_page(reconcile, &last);
    while (end == CTL_DONE && last.length > 0) {
        rest(reconcile);
        end = list_page(reconcile, &last);
    }
    if (reconcile->progress)
        fprintf(stderr, "\r%*s\r", BAR_COLUMNS + 30, "");
    return end;
}

/* Invoices of requests that are under way may come and go meanwhile: they are not judged. */
static PGresult *absent(struct reconcile *reconcile)
{
    return DB_QUERY(
        &reconcile->ctl->db,
        "select i.invoice_id from gateway.invoices i "
        "where i.agency_id = $1 and i.account_id = $2 and i.mode = $3 "
        "      and i.created_at >= to_timestamp($4::bigint) and i.created_at < to_timestamp($5::bigint) "
        "      and i.status is distinct from 'deleted' "
        "      and not exists (select from pg_temp.listed l where l.invoice_id = i.invoice_id) "
        "      and not exists (select from gateway.work w where w.request_id = i.request_id) "
        "order by i.invoice_id",
        db_int(reconcile->agency_id), db_text(reconcile->account_id), db_text(reconcile->mode),
        db_int(reconcile->since_s), db_int(reconcile->until_s));
}

static enum ctl_exit ask(struct reconcile *reconcile, const char *invoice_id)
{
    struct json_object *invoice = NULL;
    struct text bytes;
    struct text path =
        arena_printf(&reconcile->page, "/v1/invoices/%s", upstream_escape(&reconcile->upstream, invoice_id));
    enum ctl_exit end = upstream_get(&reconcile->upstream, path.at, &invoice, &bytes);
    if (end == CTL_DONE && !json_true(invoice, "deleted") && !keep(reconcile, invoice))
        end = CTL_DATABASE;
    json_object_put(invoice);
    arena_reset(&reconcile->page);
    return end == CTL_NOT_FOUND ? CTL_DONE : end;
}

enum ctl_exit reconcile_ask(struct reconcile *reconcile)
{
    PGresult *rows = absent(reconcile);
    enum ctl_exit end = rows ? CTL_DONE : CTL_DATABASE;
    /* When very many are missing, asking for each would tell nothing new. */
    for (int row = 0; rows && row < PQntuples(rows) && row < ASKED_MAX && end == CTL_DONE; row++) {
        rest(reconcile);
        end = ask(reconcile, PQgetvalue(rows, row, 0));
    }
    PQclear(rows);
    return end;
}
