#include "flow/ready.h"

#include "flow/gateway.h"

#define PATIENCE_MS 3000
/* References of probes: no slot of a job has such a number. */
#define PROBE_SLOT (UINT32_MAX - MODE_COUNT)

static const char *database_word(const struct gateway *gateway)
{
    if (store_is_ready(gateway->store))
        return "ok";
    return store_health(gateway->store) == STORE_UNFIT ? "unfit" : "away";
}

/* A worker connects only to a database that knows all its functions; it may lose one, or the right to it. */
static const char *migrations_word(const struct gateway *gateway)
{
    switch (store_health(gateway->store)) {
    case STORE_READY:
        return "ok";
    case STORE_UNMIGRATED:
        return "missing";
    default:
        return "unknown";
    }
}

static const char *upstream_word(const struct gateway *gateway, enum mode mode)
{
    const struct probe *probe = &gateway->ready.probes[mode];
    int64_t now_ms = loop_now_ms(gateway->loop);
    if (traffic_known_good(&gateway->traffic, now_ms, mode))
        return "ok";
    if (traffic_is_shut(&gateway->traffic, now_ms, mode))
        return "shut";
    return probe->problem ? probe->problem : "unknown";
}

static bool add_word(struct builder *body, const char *name, const char *word)
{
    builder_add(body, TEXT(",\""));
    builder_add(body, text_from(name));
    builder_add(body, TEXT("\":\""));
    builder_add(body, text_from(word));
    builder_add_char(body, '"');
    return strcmp(word, "ok") == 0;
}

static void answer(struct gateway *gateway, struct ref conn)
{
    static const char *const names[MODE_COUNT] = {"upstream_live", "upstream_test"};
    struct builder body;
    struct text words;
    bool ready = !gateway->draining;
    builder_init(&body, &gateway->scratch, 256);
    ready &= add_word(&body, "worker", gateway->draining ? "draining" : "ok");
    ready &= add_word(&body, "database", database_word(gateway));
    ready &= add_word(&body, "migrations", migrations_word(gateway));
    for (int mode = 0; mode < MODE_COUNT; mode++)
        if (gateway->settings->serves[mode])
            ready &= add_word(&body, names[mode], upstream_word(gateway, (enum mode)mode));
    builder_add(&body, TEXT("}\n"));
    words = builder_text(&body);
    words = arena_printf(&gateway->scratch, "{\"ready\":%s%s", ready ? "true" : "false",
                         words.at ? words.at : "}");
    (void)front_answer(gateway->front, conn,
                       &(struct http_answer){.status = ready ? 200 : 503,
                                             .content_type = TEXT("application/json"),
                                             .body = words.at ? words : TEXT("{}")});
    arena_reset(&gateway->scratch);
}

static void answer_all(struct gateway *gateway)
{
    struct ready *ready = &gateway->ready;
    loop_untimer(gateway->loop, &ready->patience);
    for (int i = 0; i < ready->waiting_count; i++)
        answer(gateway, ready->waiting[i]);
    ready->waiting_count = 0;
}

/* ---- probes */

static void give_up(void *owner)
{
    struct gateway *gateway = owner;
    for (int mode = 0; mode < MODE_COUNT; mode++) {
        struct probe *probe = &gateway->ready.probes[mode];
        if (!probe->number)
            continue;
        upstream_cancel(gateway->upstream, probe->number);
        *probe = (struct probe){.problem = "away"};
    }
    answer_all(gateway);
}

/* Whose credential is this? Nothing changes by asking. */
static void start_probe(struct gateway *gateway, enum mode mode)
{
    const struct call call = {.method = METHOD_GET, .path = TEXT("/v1/account"), .mode = mode};
    struct probe *probe = &gateway->ready.probes[mode];
    int64_t now_ms = loop_now_ms(gateway->loop);
    if (probe->number || traffic_known_good(&gateway->traffic, now_ms, mode) ||
        traffic_is_shut(&gateway->traffic, now_ms, mode))
        return;
    if (!upstream_start(gateway->upstream, (struct ref){PROBE_SLOT + (uint32_t)mode, 1}, &call,
                        &probe->number))
        *probe = (struct probe){.problem = "unknown"};
}

static bool any_probe(const struct ready *ready)
{
    bool any = false;
    for (int mode = 0; mode < MODE_COUNT; mode++)
        any = any || ready->probes[mode].number;
    return any;
}

void ready_asked(struct gateway *gateway, struct ref conn)
{
    struct ready *ready = &gateway->ready;
    for (int mode = 0; mode < MODE_COUNT; mode++)
        if (gateway->settings->serves[mode] && !gateway->draining)
            start_probe(gateway, (enum mode)mode);
    if (!any_probe(ready) || ready->waiting_count == READY_WAITING_MAX) {
        answer(gateway, conn);
        return;
    }
    if (ready->waiting_count == 0)
        loop_timer(gateway->loop, &ready->patience, PATIENCE_MS, give_up, gateway);
    ready->waiting[ready->waiting_count++] = conn;
}

static const char *problem_of(const struct reply *reply)
{
    if (reply->transport != TRANSPORT_ANSWERED)
        return "away";
    if (reply->status == 401 || reply->status == 403)
        return "refused";
    return reply->status >= 500 ? "failing" : NULL;
}

bool ready_called(struct gateway *gateway, struct ref ref, const struct reply *reply)
{
    struct probe *probe;
    enum mode mode;
    if (ref.slot < PROBE_SLOT)
        return false;
    mode = (enum mode)(ref.slot - PROBE_SLOT);
    probe = &gateway->ready.probes[mode];
    *probe = (struct probe){.problem = problem_of(reply)};
    if (!probe->problem)
        traffic_is_good(&gateway->traffic, loop_now_ms(gateway->loop), mode);
    if (!any_probe(&gateway->ready))
        answer_all(gateway);
    return true;
}

void ready_stop(struct gateway *gateway)
{
    loop_untimer(gateway->loop, &gateway->ready.patience);
}
