/* Products and their one-time prices, read from the upstream and kept as snapshots. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ctl/agency.h"
#include "ctl/commands.h"
#include "ctl/options.h"
#include "ctl/output.h"
#include "ctl/price.h"
#include "ctl/say.h"
#include "ctl/table.h"

#define ID_BYTES_MAX 255
#define PAGES_MAX 1000

struct sync {
    struct ctl *ctl;
    struct upstream upstream;
    int64_t agency_id;
    const char *account_id;
    const char *mode;
    int64_t upstream_id; /* 0 until the upstream has answered */
    int count;
    bool progress; /* standard error is a terminal */
};

/* The number of this upstream identity, the same row that a worker would make. */
static bool identify(struct sync *sync)
{
    struct db *db = &sync->ctl->db;
    const char *platform = getenv("INVOICEGATE_UPSTREAM_PLATFORM");
    struct db_param url = db_text(sync->upstream.url);
    struct db_param account = db_text(platform ? platform : "");
    struct db_param mode = db_text(sync->mode);
    DB_RUN(db,
           "insert into gateway.upstreams (url, platform, mode) values ($1, $2, $3) on conflict do nothing",
           url, account, mode);
    PGresult *rows =
        DB_QUERY(db, "select upstream_id from gateway.upstreams where (url, platform, mode) = ($1, $2, $3)",
                 url, account, mode);
    if (rows)
        sync->upstream_id = db_cell_int(rows, 0, 0);
    PQclear(rows);
    return rows != NULL;
}

static void store(struct sync *sync, struct json_object *product, struct text bytes,
                  const struct price *price)
{
    struct db *db = &sync->ctl->db;
    struct db_param agency = db_int(sync->agency_id);
    struct db_param account = db_text(sync->account_id);
    struct db_param upstream = db_int(sync->upstream_id);
    struct db_param id = db_text(json_text(product, "id"));
    if (price->price_id)
        DB_RUN(db,
               "insert into gateway.prices as p (agency_id, account_id, upstream_id, price_id, product_id, "
               "       unit_amount_minor, currency, fetched_at) "
               "values ($1, $2, $3, $4, $5, $6, $7, clock_timestamp()) "
               "on conflict (agency_id, account_id, upstream_id, price_id) do update "
               "set product_id = excluded.product_id, unit_amount_minor = excluded.unit_amount_minor, "
               "    currency = excluded.currency, fetched_at = excluded.fetched_at",
               agency, account, upstream, db_text(price->price_id), id, db_int(price->unit_amount_minor),
               db_text(price->currency));
    DB_RUN(db,
           "insert into gateway.products as p (agency_id, account_id, upstream_id, product_id, name, active, "
           "       price_id, fetched_at, object) "
           "values ($1, $2, $3, $4, $5, $6, $7, clock_timestamp(), $8) "
           "on conflict (agency_id, account_id, upstream_id, product_id) do update "
           "set name = excluded.name, active = excluded.active, price_id = excluded.price_id, "
           "    fetched_at = excluded.fetched_at, object = excluded.object",
           agency, account, upstream, id, db_text(json_text(product, "name")),
           db_bool(json_true(product, "active")), db_text(price->price_id), db_bytes(bytes));
}

/* Each product by itself: the snapshot keeps the upstream's own bytes of it. */
static enum ctl_exit sync_one(struct sync *sync, const char *product_id)
{
    struct json_object *product = NULL;
    struct text bytes;
    struct price price;
    struct text path = arena_printf(&sync->ctl->arena, "/v1/products/%s?expand[]=default_price",
                                    upstream_escape(&sync->upstream, product_id));
    enum ctl_exit end = upstream_get(&sync->upstream, path.at, &product, &bytes);
    if (end == CTL_NOT_FOUND)
        say_error("account %s has no product %s upstream", sync->account_id, product_id);
    if (end == CTL_DONE && !json_text(product, "id")) {
        say_error("upstream answers a product without an id for %s", product_id);
        end = CTL_UPSTREAM;
    }
    if (end == CTL_DONE)
        end = price_choose(&sync->upstream, product, &price);
    if (end == CTL_DONE && (sync->upstream_id > 0 || identify(sync))) {
        store(sync, product, bytes, &price);
        DB_RUN(&sync->ctl->db, "insert into pg_temp.synced values ($1, $2) on conflict do nothing",
               db_text(json_text(product, "id")), db_text(price.state));
        sync->count++;
        if (sync->progress)
            fprintf(stderr, "\r%d products read", sync->count);
    }
    json_object_put(product);
    return sync->ctl->db.failed ? CTL_DATABASE : end;
}

/* One page of the upstream's list; *last is the id to go on behind, NULL at the end. */
static enum ctl_exit sync_page(struct sync *sync, const char **last)
{
    struct json_object *list = NULL;
    struct json_object *data = NULL;
    struct text bytes;
    struct text path =
        arena_printf(&sync->ctl->arena, "/v1/products?active=true&limit=100%s%s",
                     *last ? "&starting_after=" : "", *last ? upstream_escape(&sync->upstream, *last) : "");
    enum ctl_exit end = upstream_get(&sync->upstream, path.at, &list, &bytes);
    if (end == CTL_NOT_FOUND) {
        say_error("upstream %s has no list of products; check INVOICEGATE_UPSTREAM_URL", sync->upstream.url);
        end = CTL_UPSTREAM;
    }
    bool is_list =
        json_object_object_get_ex(list, "data", &data) && json_object_is_type(data, json_type_array);
    size_t count = is_list ? json_object_array_length(data) : 0;
    const char *id = NULL;
    for (size_t i = 0; i < count && end == CTL_DONE; i++) {
        id = json_text(json_object_array_get_idx(data, i), "id");
        if (id)
            end = sync_one(sync, id);
    }
    *last = id && json_true(list, "has_more") ? arena_copy(&sync->ctl->arena, text_from(id)).at : NULL;
    json_object_put(list);
    return end;
}

static enum ctl_exit sync_all(struct sync *sync)
{
    const char *last = NULL;
    enum ctl_exit end = CTL_DONE;
    int pages = 0;
    do
        end = sync_page(sync, &last);
    while (end == CTL_DONE && last && ++pages < PAGES_MAX);
    return end;
}

/* A product that is not there does not keep the others from being stored. */
static enum ctl_exit sync_named(struct sync *sync)
{
    enum ctl_exit worst = CTL_DONE;
    for (int i = 0; i < sync->ctl->argument_count; i++) {
        enum ctl_exit end = sync_one(sync, sync->ctl->arguments[i]);
        if (end == CTL_NOT_FOUND)
            worst = end;
        else if (end != CTL_DONE)
            return end;
    }
    return worst;
}

static const struct column columns[] = {
    {"product_id", "product_id", CELL_TEXT, false},
    {"state", "state", CELL_STATE, false},
    {"name", "name", CELL_TEXT, true},
    {"price_id", "price_id", CELL_TEXT, false},
    {"unit_amount_minor", "amount", CELL_MONEY, false},
    COLUMNS_END,
};

static enum ctl_exit print_synced(struct sync *sync)
{
    PGresult *rows = DB_QUERY(
        &sync->ctl->db,
        "select p.agency_id, p.account_id, p.product_id, s.state, p.name, p.active, p.price_id, "
        "       r.unit_amount_minor, r.currency, p.fetched_at, $4::text as mode "
        "from pg_temp.synced s join gateway.products p using (product_id) "
        "left join gateway.prices r using (agency_id, account_id, upstream_id, price_id) "
        "where p.agency_id = $1 and p.account_id = $2 and p.upstream_id = $3 order by product_id",
        db_int(sync->agency_id), db_text(sync->account_id), db_int(sync->upstream_id), db_text(sync->mode));
    return list_print(sync->ctl, rows, columns, "the upstream has no products in this account");
}

static enum ctl_exit account_known(struct sync *sync)
{
    PGresult *rows =
        DB_QUERY(&sync->ctl->db, "select from gateway.accounts where agency_id = $1 and account_id = $2",
                 db_int(sync->agency_id), db_text(sync->account_id));
    enum ctl_exit end = !rows ? CTL_DATABASE : PQntuples(rows) == 1 ? CTL_DONE : CTL_NOT_FOUND;
    if (end == CTL_NOT_FOUND)
        say_error("agency %lld has no account %s; 'invoicegatectl account list --agency %lld' shows them",
                  (long long)sync->agency_id, sync->account_id, (long long)sync->agency_id);
    PQclear(rows);
    return end;
}

/* What was read before the upstream failed stays stored: each product is a commit of its own. */
static enum ctl_exit sync_open(struct sync *sync)
{
    enum ctl_exit end = agency_required(sync->ctl, &sync->agency_id);
    if (end == CTL_DONE)
        end = account_known(sync);
    if (end == CTL_DONE)
        end = upstream_open(&sync->upstream, sync->ctl, sync->mode, sync->account_id);
    if (end != CTL_DONE)
        return end;
    db_script(&sync->ctl->db, "create temporary table synced (product_id text primary key, state text)");
    end = sync->ctl->argument_count > 0 ? sync_named(sync) : sync_all(sync);
    if (sync->progress && sync->count > 0)
        fprintf(stderr, "\r%*s\r", 30, "");
    if (end != CTL_DONE && end != CTL_NOT_FOUND)
        return end;
    enum ctl_exit printed = print_synced(sync);
    return printed == CTL_DONE ? end : printed;
}

static enum ctl_exit sync_products(struct ctl *ctl)
{
    struct sync sync = {
        .ctl = ctl,
        .account_id = option_text(ctl, "account"),
        .mode = option_text(ctl, "mode") ? option_text(ctl, "mode") : "live",
        .progress = isatty(STDERR_FILENO) == 1,
    };
    for (int i = 0; i < ctl->argument_count; i++)
        if (!check_plain(ctl, "a product's id", ctl->arguments[i], ID_BYTES_MAX))
            return CTL_USAGE;
    enum ctl_exit end = sync_open(&sync);
    upstream_close(&sync.upstream);
    return end;
}

static const struct option sync_options[] = {
    {"agency", "ID", "whose account it is", NULL, true, false},
    {"account", "ACCOUNT", "the account whose products are read", NULL, true, false},
    {"mode", "live|test", "which half of the upstream; default live", "live test", false, false},
    OPTIONS_END,
};

const struct command product_commands[] = {
    {"product", "sync", "[PRODUCT ...]", 0, 1000, "read products and one-time prices from the upstream",
     "Without PRODUCT all active ones. The worker refreshes what it needs by itself; this shows what can be "
     "billed\n"
     " cannot: no price, ambiguous (several prices and no default), archived.\n"
     "Settings: INVOICEGATE_UPSTREAM_URL, INVOICEGATE_UPSTREAM_KEY_FILE, "
     "INVOICEGATE_UPSTREAM_TEST_KEY_FILE,\n"
     "INVOICEGATE_UPSTREAM_CA_FILE, INVOICEGATE_UPSTREAM_PLATFORM, INVOICEGATE_UPSTREAM_VERSION.",
     sync_options,
     "  invoicegatectl product sync --agency 1 --account acct_demo --mode test\n"
     "  invoicegatectl product sync --agency 1 --account acct_demo prod_usd_10000 --json\n",
     sync_products},
    COMMANDS_END,
};
