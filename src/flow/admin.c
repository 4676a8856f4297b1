#include "flow/admin.h"

#include <time.h>

#include "flow/exposition.h"
#include "flow/gateway.h"
#include "flow/ready.h"

#define TICK_MS 1000
#define TICKS_BETWEEN_COUNTS 5

static void tell(struct gateway *gateway, struct ref conn, int status, struct text type, struct text body)
{
    (void)front_answer(gateway->front, conn,
                       &(struct http_answer){.status = status, .content_type = type, .body = body});
}

static void tell_plain(struct gateway *gateway, struct ref conn, int status, struct text body)
{
    tell(gateway, conn, status, TEXT("text/plain"), body);
}

/* ---- what is so now */

static void write_gauges(struct gateway *gateway)
{
    struct gauges *gauges = gateway->admin.file.gauges;
    gauges->inflight = gateway->jobs.used;
    gauges->inflight_limit = gateway->settings->max_inflight;
    gauges->breaker_open = traffic_open(&gateway->traffic, loop_now_ms(gateway->loop));
    gauges->database_ready = store_health(gateway->store) == STORE_READY;
}

/* Asked on the connection for reads: it stands in front of no intent. */
static void ask_database(struct gateway *gateway)
{
    struct store_task *count = &gateway->admin.count;
    if (count->busy || !store_is_ready(gateway->store))
        return;
    count->kind = STORE_COUNT;
    store_submit(gateway->store, count);
}

static void on_tick(void *owner)
{
    struct gateway *gateway = owner;
    struct admin *admin = &gateway->admin;
    loop_timer(gateway->loop, &admin->tick, TICK_MS, on_tick, gateway);
    write_gauges(gateway);
    if (admin->ticks++ % TICKS_BETWEEN_COUNTS == 0)
        ask_database(gateway);
}

void admin_counted(struct gateway *gateway, const struct store_answer *answer)
{
    struct gauges *gauges = gateway->admin.file.gauges;
    if (answer->verdict != STORE_GO)
        return;
    gauges->unresolved = answer->unresolved;
    gauges->unresolved_oldest_s = answer->unresolved_oldest_s;
    gauges->unresolved_at_s = (int64_t)time(NULL);
}

bool admin_init(struct gateway *gateway, const char *runtime_dir)
{
    if (!metrics_open(&gateway->admin.file, runtime_dir))
        return false;
    gateway->metrics = gateway->admin.file.metrics;
    return true;
}

void admin_start(struct gateway *gateway)
{
    on_tick(gateway);
}

void admin_stop(struct gateway *gateway)
{
    loop_untimer(gateway->loop, &gateway->admin.tick);
    ready_stop(gateway);
    metrics_close(&gateway->admin.file);
}

/* ---- what is asked */

static void tell_metrics(struct gateway *gateway, struct ref conn)
{
    struct metrics_sum sum;
    struct text text = TEXT_NONE;
    write_gauges(gateway);
    if (metrics_sum_up(&gateway->admin.file, &sum))
        text = exposition_text(&gateway->scratch, &sum, (int64_t)time(NULL));
    if (text.at)
        tell(gateway, conn, 200, TEXT("text/plain; version=0.0.4; charset=utf-8"), text);
    else
        tell_plain(gateway, conn, 503, TEXT("the counters are in use: ask again\n"));
    arena_reset(&gateway->scratch);
}

void admin_arrived(struct gateway *gateway, struct ref conn, const struct http_request *http)
{
    if (!text_is(http->method, TEXT("GET")) && !text_is(http->method, TEXT("HEAD")))
        tell_plain(gateway, conn, 405, TEXT("only GET\n"));
    else if (text_is(http->uri, TEXT("/metrics")))
        tell_metrics(gateway, conn);
    else if (text_is(http->uri, TEXT("/livez")))
        tell_plain(gateway, conn, 200, TEXT("ok\n"));
    else if (text_is(http->uri, TEXT("/readyz")))
        ready_asked(gateway, conn);
    else
        tell_plain(gateway, conn, 404, TEXT("/metrics, /livez and /readyz\n"));
}
