#include "ctl/story.h"

static const char plan_sql[] = {
    "select r.recipe, r.upstream_version, r.generation, r.customer_generation, r.customer_id, r.price_id, "
    "       r.amount_minor, r.currency, r.auto_advance, r.planned_at, u.url as upstream_url, "
    "       u.platform as upstream_platform, a.name as agency_name, c.name as client_name, k.hint as "
    "key_hint, "
    "       k.name as key_name, (extract(epoch from r.finished_at - r.created_at) * 1000)::bigint as "
    "took_ms, "
    "       (extract(epoch from now() - r.created_at) * 1000)::bigint as age_ms "
    "from gateway.invoice_requests r "
    "left join gateway.upstreams u using (upstream_id) "
    "left join gateway.agencies a using (agency_id) "
    "left join gateway.clients c using (agency_id, client_id) "
    "left join gateway.api_keys k using (agency_id, key_id) "
    "where r.request_id = $1::uuid"};

static const char work_sql[] = {
    "select w.doing, w.worker_id, w.fence, w.take_overs, w.parked_at, w.due_at, k.host, k.pid, "
    "k.lease_until, k.worker_id is not null as held, "
    "       coalesce(k.ended_at is null and k.lease_until >= now(), false) as worker_lives "
    "from gateway.work w left join gateway.workers k using (worker_id) where w.request_id = $1::uuid"};

static const char invoices_sql[] = {
    "select invoice_id, request_id, agency_id, account_id, client_id, customer_id, status, number, "
    "amount_minor, "
    "       currency, mode, created_at, gateway.try_json(object) as object, refreshed_at "
    "from gateway.invoices where request_id = $1::uuid order by created_at, invoice_id"};

static const char calls_sql[] = {
    "select *, (extract(epoch from started_at - gateway.uuid_time(request_id)) * 1000)::bigint as start_ms "
    "from audit.upstream_calls where request_id = $1::uuid order by started_at, fence, attempt, step"};

/* The table's key leads with the id; the view would hide it behind a case. */
static const char events_sql[] = {
    "select e.event_id, e.at, e.subject_id as request_id, e.worker_id::text as worker, e.what, e.why, "
    "e.agency_id, "
    "       e.about, (extract(epoch from e.at - r.created_at) * 1000)::bigint as start_ms "
    "from gateway.events e left join gateway.invoice_requests r on r.request_id = e.subject_id "
    "where e.subject_id = $1::uuid order by e.at, e.event_id"};

bool story_load(struct ctl *ctl, const char *request_id, struct story *story)
{
    struct db_param id = db_text(request_id);
    struct db *db = &ctl->db;
    *story = (struct story){.request = NULL};
    /* One snapshot: the verdict must not be made of two moments. */
    db_script(db, "begin isolation level repeatable read read only");
    story->request = DB_QUERY(db, "select * from audit.requests where request_id = $1::uuid", id);
    story->plan = DB_QUERY(db, plan_sql, id);
    story->work = DB_QUERY(db, work_sql, id);
    story->invoices = DB_QUERY(db, invoices_sql, id);
    story->calls = DB_QUERY(db, calls_sql, id);
    story->events = DB_QUERY(db, events_sql, id);
    return db_script(db, "commit");
}

void story_free(struct story *story)
{
    PQclear(story->request);
    PQclear(story->plan);
    PQclear(story->work);
    PQclear(story->invoices);
    PQclear(story->calls);
    PQclear(story->events);
}

struct text story_field(const PGresult *rows, const char *field)
{
    if (PQntuples(rows) == 0)
        return TEXT_NONE;
    int column = PQfnumber(rows, field);
    CHECK(column >= 0);
    return db_cell(rows, 0, column);
}

struct text story_duration(struct arena *arena, int64_t duration_ms)
{
    if (duration_ms < 10000)
        return arena_printf(arena, "%lld ms", (long long)duration_ms);
    if (duration_ms < 120 * 1000)
        return arena_printf(arena, "%lld.%lld s", (long long)duration_ms / 1000,
                            (long long)duration_ms % 1000 / 100);
    if (duration_ms < 120 * 60 * 1000)
        return arena_printf(arena, "%lld min", (long long)duration_ms / 60000);
    return arena_printf(arena, "%lld h", (long long)duration_ms / 3600000);
}
