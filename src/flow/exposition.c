#include "flow/exposition.h"

#include <stdio.h>

#include "flow/outcome.h"
#include "front/route.h"

#define FIRST_BYTES 32768
#define LABELS_BYTES 96
#define STALE_S 60 /* older words of the database are none */

_Static_assert(ROUTE_COUNT <= METRIC_ROUTES, "every route has its place");
_Static_assert((int)STEP_COUNT + (int)ACT_COUNT <= METRIC_STEPS, "every step has its place");
_Static_assert(OUTCOME_COUNT <= METRIC_OUTCOMES, "every outcome has its place");

static const char *const states[] = {
#define X(name) #name,
    METRIC_STATES(X)};
static const char *const alarms[] = {METRIC_ALARMS(X)};
#undef X

int exposition_step(enum step step, enum act act)
{
    return step == STEP_ACT ? (int)STEP_COUNT + (int)act : (int)step;
}

/* As the audit calls it. */
static const char *step_at(int place)
{
    struct plan plan = {.act = ACT_NONE};
    if (place < (int)STEP_COUNT)
        return step_name((enum step)place);
    plan.act = (enum act)(place - (int)STEP_COUNT);
    return plan_step_name(&plan, STEP_ACT);
}

/* What never happened has no sample, so that the list stays short. */
static void write_if_any(struct builder *out, const char *name, const char *first, const char *one,
                         const char *second, const char *two, uint64_t value)
{
    char labels[LABELS_BYTES];
    if (value == 0)
        return;
    snprintf(labels, sizeof(labels), "%s=\"%s\",%s=\"%s\"", first, one, second, two);
    metric_write(out, name, labels, (int64_t)value);
}

static void write_requests(struct builder *out, const struct metrics *metrics)
{
    static const char name[] = "invoicegate_requests_total";
    metric_head(out, name, "counter", "Requests by what their clients were told; 499: the client had left.");
    for (int route = 0; route < ROUTE_COUNT; route++)
        for (int status = 0; metric_status_name(status); status++)
            write_if_any(out, name, "route", route_name((enum route)route), "status",
                         metric_status_name(status), metrics->requests[route][status]);
    metric_head(out, "invoicegate_request_seconds", "histogram",
                "From a request's arrival at a worker to its answer.");
    metric_write_histogram(out, "invoicegate_request_seconds", "", &metrics->request, &metric_seconds);
}

static void write_invoices(struct builder *out, const struct metrics *metrics)
{
    static const char name[] = "invoicegate_invoices_total";
    char labels[LABELS_BYTES];
    metric_head(out, name, "counter", "Requests for an invoice by how they ended.");
    for (int state = 0; state < METRIC_STATE_COUNT; state++)
        for (int mode = 0; mode < MODE_COUNT; mode++) {
            snprintf(labels, sizeof(labels), "state=\"%s\",mode=\"%s\"", states[state],
                     mode_name((enum mode)mode));
            metric_write(out, name, labels, (int64_t)metrics->invoices[state][mode]);
        }
}

static void write_calls(struct builder *out, const struct metrics *metrics)
{
    static const char total[] = "invoicegate_upstream_calls_total",
                      seconds[] = "invoicegate_upstream_seconds";
    char labels[LABELS_BYTES];
    metric_head(out, total, "counter", "Calls to the upstream by step and what came of them.");
    for (int step = 0; step < (int)STEP_COUNT + (int)ACT_COUNT; step++)
        for (int outcome = 0; outcome < OUTCOME_COUNT; outcome++)
            write_if_any(out, total, "step", step_at(step), "outcome", outcome_name((enum outcome)outcome),
                         metrics->upstream_calls[step][outcome]);
    metric_head(out, seconds, "histogram", "How long the upstream's answers took, by step.");
    for (int step = 0; step < (int)STEP_COUNT + (int)ACT_COUNT; step++) {
        uint64_t calls = 0;
        for (int outcome = 0; outcome < OUTCOME_COUNT; outcome++)
            calls += metrics->upstream_calls[step][outcome];
        if (calls == 0)
            continue;
        snprintf(labels, sizeof(labels), "step=\"%s\"", step_at(step));
        metric_write_histogram(out, seconds, labels, &metrics->upstream[step], &metric_seconds);
    }
}

static void write_alarms(struct builder *out, const struct metrics *metrics)
{
    static const char name[] = "invoicegate_alarms_total";
    char labels[LABELS_BYTES];
    metric_head(out, name, "counter", "What somebody has to look at, by what happened.");
    for (int alarm = 0; alarm < METRIC_ALARM_COUNT; alarm++) {
        snprintf(labels, sizeof(labels), "what=\"%s\"", alarms[alarm]);
        metric_write(out, name, labels, (int64_t)metrics->alarms[alarm]);
    }
}

static void write_gauge(struct builder *out, const char *name, const char *help, int64_t value)
{
    metric_head(out, name, "gauge", help);
    metric_write(out, name, "", value);
}

static void write_gauges(struct builder *out, const struct metrics_sum *sum, int64_t now_s)
{
    const struct gauges *gauges = &sum->gauges;
    write_gauge(out, "invoicegate_workers", "Workers that live on this host.", sum->workers);
    write_gauge(out, "invoicegate_workers_ready", "Those of them that can use their database.",
                gauges->database_ready);
    write_gauge(out, "invoicegate_inflight", "Requests at work.", gauges->inflight);
    write_gauge(out, "invoicegate_inflight_limit", "How many may be.", gauges->inflight_limit);
    write_gauge(out, "invoicegate_breaker_open",
                "Breakers that keep calls from the upstream, or of one account.", gauges->breaker_open);
    if (now_s - gauges->unresolved_at_s > STALE_S)
        return; /* better no figure than an old one */
    write_gauge(out, "invoicegate_unresolved",
                "Requests in the database whose outcome is not known, or that wait for an operator.",
                gauges->unresolved);
    write_gauge(out, "invoicegate_unresolved_oldest_seconds",
                "The age of the oldest of them; 0: there is none.", gauges->unresolved_oldest_s);
}

struct text exposition_text(struct arena *arena, const struct metrics_sum *sum, int64_t now_s)
{
    struct builder out;
    builder_init(&out, arena, FIRST_BYTES);
    write_requests(&out, &sum->metrics);
    write_invoices(&out, &sum->metrics);
    write_calls(&out, &sum->metrics);
    write_alarms(&out, &sum->metrics);
    metric_head(&out, "invoicegate_database_batch_size", "histogram",
                "Requests in one database transaction.");
    metric_write_histogram(&out, "invoicegate_database_batch_size", "", &sum->metrics.batch, &metric_items);
    write_gauges(&out, sum, now_s);
    return builder_text(&out);
}
