#include "check.h"

#include <stdlib.h>

#include "settings.h"

#define LOOK_MS 10
#define PATIENCE_MS 6000
#define EXIT_DATABASE 4
#define EXIT_UPSTREAM 5

struct check {
    const struct config *config;
    struct loop *loop;
    struct store_settings store_settings;
    struct store *store;
    struct upstream *upstream;
    struct timer look;
    int64_t until_ms;
    int waiting; /* for answers of the upstream */
    int status;
};

static void leave(struct check *check, int status)
{
    check->status = status;
    loop_stop(check->loop);
}

/* ref.slot carries the mode: a credential is asked for whose it is, which changes nothing. */
static void on_reply(void *owner, struct ref ref, const struct reply *reply)
{
    struct check *check = owner;
    const char *mode = mode_name((enum mode)ref.slot);
    if (reply->transport != TRANSPORT_ANSWERED) {
        fprintf(stderr, "invoicegate: the upstream at %s cannot be reached: %s\n",
                check->config->upstream_url, reply->problem);
        check->status = EXIT_UPSTREAM;
    } else if (reply->status == 401 || reply->status == 403) {
        fprintf(stderr, "invoicegate: the upstream refuses the %s key: put the right one into its file\n",
                mode);
        check->status = EXIT_UPSTREAM;
    } else {
        fprintf(stderr, "invoicegate: the upstream accepts the %s key\n", mode);
    }
    if (--check->waiting == 0)
        loop_stop(check->loop);
}

static void ask_upstream(struct check *check)
{
    struct upstream_settings settings = settings_upstream(check->config);
    struct call call = {.method = METHOD_GET, .path = TEXT("/v1/account")};
    uint32_t number;
    settings.call_timeout_ms =
        settings.call_timeout_ms < PATIENCE_MS ? settings.call_timeout_ms : PATIENCE_MS;
    check->upstream = upstream_open(check->loop, &settings, on_reply, check);
    for (int mode = 0; check->upstream && mode < MODE_COUNT; mode++) {
        call.mode = (enum mode)mode;
        if (settings.keys[mode].at &&
            upstream_start(check->upstream, (struct ref){(uint32_t)mode, 1}, &call, &number))
            check->waiting++;
    }
    if (check->waiting == 0)
        leave(check, EXIT_FAILURE);
}

/* The database is given a few seconds to turn out usable. */
static void look(void *owner)
{
    struct check *check = owner;
    if (store_is_ready(check->store)) {
        fprintf(stderr, "invoicegate: settings and database are fine\n");
        ask_upstream(check);
    } else if (loop_now_ms(check->loop) >= check->until_ms) {
        fprintf(stderr, "invoicegate: the database cannot be used: see the lines above\n");
        leave(check, EXIT_DATABASE);
    } else {
        loop_timer(check->loop, &check->look, LOOK_MS, look, check);
    }
}

static void never_stored(void *owner, struct store_task *task, const struct store_answer *answer)
{
    (void)owner;
    (void)task;
    (void)answer;
    NEVER("a check submits no task");
}

static void never_taken(void *owner, const struct store_taken *taken)
{
    (void)owner;
    (void)taken;
    NEVER("a check takes nothing over");
}

static void say_stray(const char *name)
{
    fprintf(stderr, "invoicegate: warning: %s is no setting and has no effect\n", name);
}

int check_all(const struct config *config)
{
    struct check check = {.config = config, .status = EXIT_SUCCESS};
    log_level_set(config->log_level);
    config_strays(config, say_stray);
    check.store_settings = settings_store(config);
    check.store_settings.lanes = 1;
    check.loop = loop_new();
    if (check.loop)
        check.store = store_open(check.loop, &check.store_settings, never_stored, never_taken, &check);
    if (check.store) {
        check.until_ms = loop_now_ms(check.loop) + PATIENCE_MS;
        look(&check);
        loop_run(check.loop);
    } else {
        check.status = EXIT_FAILURE;
    }
    upstream_close(check.upstream);
    store_close(check.store);
    loop_free(check.loop);
    return check.status;
}
