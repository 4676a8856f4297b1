#include "world.h"

#include <stdlib.h>

#include "base/log.h"
#include "flow/gateway.h"
#include "flow/object.h"
#include "flow/patience.h"
#include "front/json.h"
#include "fuzz.h"

#define TIMERS_MAX 64
#define TASKS_MAX 16
#define MOVES_MAX 400
#define LEVELS_MAX 64

struct loop {
    struct timer *timers[TIMERS_MAX];
    int64_t now_ms;
};

struct store {
    struct store_task *tasks[TASKS_MAX]; /* in the order of their coming */
    size_t count;
};

struct upstream {
    bool busy;
    enum step step;
    struct ref ref;
    const struct loop *loop;
    uint64_t asked; /* what was asked last, as a number, and when */
    int64_t asked_ms;
};

/* What nginx and PostgreSQL were told. */
struct front {
    int answers;
    int status;
    bool finished;
    bool created;
};

struct world {
    struct loop loop;
    struct store store;
    struct upstream upstream;
    struct front front;
    struct gateway gateway;
    const struct scene *scene;
    struct text before, answers;
    enum store_verdict next_verdict;
    bool made; /* the upstream has told of an invoice that it made */
    bool done; /* the upstream has told that an act is done */
};

static void inside(const struct world *world, bool is)
{
    if (world->scene->inside)
        *world->scene->inside = is;
}

/* ---- the log: nobody reads it, but it must be readable */

void log_event(enum log_level level, const char *message, const struct log_field *fields, int count)
{
    CHECK(level <= LOG_DEBUG && message);
    for (int i = 0; i < count; i++)
        for (size_t at = 0; at < fields[i].text.length; at++)
            CHECK(fields[i].text.at[at] || fields[i].text.length > 0);
}

/* ---- the loop */

int64_t loop_now_ms(const struct loop *loop)
{
    return loop->now_ms;
}

static int64_t clock_ms; /* of the world that plays now */

int64_t loop_clock_us(void)
{
    return clock_ms * 1000 + 7;
}

void loop_timer(struct loop *loop, struct timer *timer, int64_t delay_ms, loop_fn *call, void *owner)
{
    CHECK(delay_ms >= 0);
    loop_untimer(loop, timer);
    timer->due_ms = loop->now_ms + delay_ms;
    timer->call = call;
    timer->owner = owner;
    for (uint32_t i = 0; i < TIMERS_MAX && timer->place == 0; i++) {
        if (!loop->timers[i]) {
            loop->timers[i] = timer;
            timer->place = i + 1;
        }
    }
    CHECK(timer->place);
}

void loop_untimer(struct loop *loop, struct timer *timer)
{
    if (timer->place)
        loop->timers[timer->place - 1] = NULL;
    timer->place = 0;
}

static struct timer *earliest(const struct loop *loop)
{
    struct timer *found = NULL;
    for (size_t i = 0; i < TIMERS_MAX; i++)
        if (loop->timers[i] && (!found || loop->timers[i]->due_ms < found->due_ms))
            found = loop->timers[i];
    return found;
}

static void fire(struct world *world, struct timer *timer)
{
    struct loop *loop = &world->loop;
    if (timer->due_ms > loop->now_ms)
        loop->now_ms = timer->due_ms;
    clock_ms = loop->now_ms;
    loop_untimer(loop, timer);
    inside(world, true);
    timer->call(timer->owner);
    inside(world, false);
}

/* ---- PostgreSQL */

bool store_is_ready(const struct store *store)
{
    return store != NULL;
}

enum store_health store_health(const struct store *store)
{
    return store ? STORE_READY : STORE_UNREACHED;
}

int64_t store_ready_ms(const struct store *store)
{
    return store ? 1000000 : 0;
}

int store_live_workers(const struct store *store)
{
    return store ? 1 : 0;
}

void store_submit(struct store *store, struct store_task *task)
{
    CHECK(!task->busy && store->count < TASKS_MAX);
    task->busy = true;
    store->tasks[store->count++] = task;
}

static struct store_task *take_task(struct store *store)
{
    struct store_task *task = store->tasks[0];
    store->count--;
    memmove(store->tasks, store->tasks + 1, store->count * sizeof(store->tasks[0]));
    task->busy = false;
    return task;
}

static bool makes_invoice(const struct job *job)
{
    return job->plan.act == ACT_NONE;
}

/* What is to be recorded as a request's end must make sense, and nothing that stands may be forgotten. */
static void check_finish(struct world *world, const struct job *job, const struct store_finish *finish)
{
    bool created = text_is(finish->state, TEXT("created"));
    CHECK(created || text_is(finish->state, TEXT("failed")) || text_is(finish->state, TEXT("refused")));
    CHECK(created || finish->reason.at);
    if (makes_invoice(job) && (created || world->made))
        CHECK(text_is_id(finish->invoice_id));
    CHECK(created || !world->done);
    CHECK(finish->pin || !text_is(finish->reason, TEXT("act_unsure"))); /* or the key would do it again */
    if (created)
        CHECK(finish->object.at && finish->http_status > 0 &&
              (finish->created_s > 0 || !job->has_invoice_facts));
    CHECK(!finish->answer.at || json_is_valid(finish->answer, LEVELS_MAX));
    CHECK(finish->answer.at || !created || !job_is_keyed(job)); /* only a key can ask for it again */
    for (const struct store_call *call = job->task.calls; call; call = call->next)
        CHECK(call->step.at && call->outcome.at);
}

static struct store_answer plan_of(const struct scene *scene)
{
    struct store_answer plan = {
        .verdict = STORE_GO,
        .agency_id = 1,
        .mode = TEXT("live"),
        .planned = !scene->cold,
        .customer_name = TEXT("John Doe"),
        .customer_email = TEXT("customer@example.com"),
        .amount_minor = STORE_NULL64,
        .auto_advance = scene->auto_advance,
        .account_id = TEXT("acct_1"),
        .client_id = TEXT("64abc123def456789012345a"),
    };
    if (!scene->cold) {
        plan.customer_id = TEXT("cus_1");
        plan.price_id = TEXT("price_1");
        plan.amount_minor = 10000;
        plan.currency = TEXT("usd");
    }
    return plan;
}

static void fill_planned(struct store_answer *answer, const struct job *job)
{
    answer->customer_id = job->plan.customer_id;
    answer->price_id = job->plan.price_id;
    answer->amount_minor = job->plan.amount_minor;
    answer->currency = job->plan.currency;
}

static struct text take_answer(struct world *world)
{
    return fuzz_take(world->before.at ? &world->before : &world->answers, TEXT("\n%%\n"));
}

/* An invoice that PostgreSQL keeps: what the upstream once said. */
static struct store_invoice kept_invoice(struct text object)
{
    return (struct store_invoice){.invoice_id = TEXT(WORLD_INVOICE),
                                  .status = TEXT("open"),
                                  .amount_minor = 10000,
                                  .currency = TEXT("usd"),
                                  .customer_id = TEXT("cus_1"),
                                  .created_s = 1795298020,
                                  .object = object,
                                  .stale = true,
                                  .seen_us = 1};
}

static void answer_task(struct world *world)
{
    struct store_task *task = take_task(&world->store);
    struct job *job = slots_get(&world->gateway.jobs, task->ref);
    struct store_answer answer = {.verdict = world->next_verdict};
    struct store_invoice invoice;
    CHECK(job);
    world->next_verdict = STORE_GO;
    if (task->kind == STORE_BEGIN && answer.verdict == STORE_GO) {
        answer = plan_of(world->scene);
    } else if (task->kind == STORE_PLAN || task->kind == STORE_RENEW) {
        fill_planned(&answer, job);
        answer.generation = job->plan.generation + (task->kind == STORE_RENEW);
        answer.customer_generation = job->plan.customer_generation + (task->kind == STORE_RENEW);
        if (task->kind == STORE_RENEW)
            answer.customer_id = TEXT_NONE;
    } else if (task->kind == STORE_FINISH) {
        check_finish(world, job, &task->in.finish);
        if (answer.verdict == STORE_GO) {
            answer.verdict = STORE_DONE;
            world->front.finished = true;
            world->front.created = text_is(task->in.finish.state, TEXT("created"));
        }
    } else if (task->kind == STORE_READ || task->kind == STORE_LIST) {
        invoice = kept_invoice(take_answer(world));
        answer.invoices = &invoice;
        answer.invoice_count = 1;
        answer.account_id = TEXT("acct_1");
    }
    inside(world, true);
    gateway_stored(&world->gateway, task, &answer);
    inside(world, false);
}

/* ---- nginx */

bool front_answer(struct front *front, struct ref conn, const struct http_answer *answer)
{
    CHECK(conn.generation == 1 && front->answers == 0);
    front->answers++;
    front->status = answer->status;
    CHECK(answer->status >= 200 && answer->status <= 504 && answer->request_id.length == 36);
    CHECK(json_is_valid(answer->body, LEVELS_MAX));
    CHECK(memchr(answer->body.at, '\0', answer->body.length) == NULL);
    return true;
}

/* ---- the upstream */

/* FNV-1a. */
static uint64_t add_to_number(uint64_t number, struct text text)
{
    for (size_t i = 0; i < text.length; i++)
        number = (number ^ (unsigned char)text.at[i]) * UINT64_C(0x100000001b3);
    return (number ^ 0xff) * UINT64_C(0x100000001b3);
}

static uint64_t number_of(const struct call *call)
{
    uint64_t number = add_to_number(UINT64_C(0xcbf29ce484222325), call->path);
    number = add_to_number(number, call->form);
    return add_to_number(number, call->idempotency_key) + (uint64_t)call->method;
}

/* Never the same again at once: whatever the upstream says, it is asked with pauses. */
static void check_pause(struct upstream *upstream, const struct call *call)
{
    uint64_t asked = number_of(call);
    CHECK(asked != upstream->asked || upstream->loop->now_ms > upstream->asked_ms);
    upstream->asked = asked;
    upstream->asked_ms = upstream->loop->now_ms;
}

bool upstream_start(struct upstream *upstream, struct ref ref, const struct call *call, uint32_t *number)
{
    CHECK(!upstream->busy && call->path.at[0] == '/');
    check_pause(upstream, call);
    upstream->busy = true;
    upstream->ref = ref;
    *number = 1;
    return true;
}

void upstream_cancel(struct upstream *upstream, uint32_t number)
{
    CHECK(upstream->busy && number == 1);
    upstream->busy = false;
}

static bool has(struct text letters, char letter)
{
    return letters.length > 0 && memchr(letters.at, letter, letters.length);
}

static struct reply reply_of(struct text line, struct text body)
{
    struct reply reply = {.transport = TRANSPORT_ANSWERED, .body = body, .request_id = TEXT("req_1")};
    for (size_t i = 0; i < line.length && line.at[i] >= '0' && line.at[i] <= '9' && reply.status < 100; i++)
        reply.status = 10 * reply.status + (line.at[i] - '0');
    if (has(line, 'l') || has(line, 's')) {
        reply.transport = has(line, 'l') ? TRANSPORT_LOST : TRANSPORT_NOT_SENT;
        reply.status = 0;
        reply.body = TEXT_NONE;
    } else if (reply.status < 100) {
        reply.status = 200;
    }
    reply.should_retry = has(line, 'y')   ? SHOULD_RETRY_YES
                         : has(line, 'n') ? SHOULD_RETRY_NO
                                          : SHOULD_RETRY_UNSAID;
    reply.replayed = has(line, 'r');
    reply.resent = has(line, 'x');
    reply.retry_after_s = has(line, 'a') ? 5 : 0;
    return reply;
}

static struct job *the_job(struct world *world)
{
    for (uint32_t i = 0; i < world->gateway.jobs.capacity; i++)
        if (world->gateway.jobs.slots[i].thing)
            return world->gateway.jobs.slots[i].thing;
    return NULL;
}

/* What happens before the answer comes. Whether the call is still under way afterwards. */
static bool intervene(struct world *world, struct text line)
{
    struct job *job = the_job(world);
    if (has(line, 'S'))
        world->next_verdict = STORE_STALE;
    if (has(line, 'M'))
        world->next_verdict = STORE_MISSING;
    if (has(line, 'd') && job && job->deadline.place)
        fire(world, &job->deadline);
    if (has(line, 'c') && world->upstream.busy && (job = the_job(world)) && !job->answered) {
        inside(world, true);
        patience_client_left(job);
        inside(world, false);
    }
    return world->upstream.busy;
}

/* Remembers what must not be forgotten: an invoice that the upstream says it has made, an act that it has
 * done. */
static void remember(struct world *world, const struct job *job, const struct reply *reply)
{
    struct arena arena;
    struct tokens tokens;
    struct object object;
    if ((job->step != STEP_INVOICE && job->step != STEP_ACT) || reply->transport != TRANSPORT_ANSWERED ||
        reply->status / 100 != 2)
        return;
    arena_init(&arena, (size_t)64 * 1024 * 1024);
    object = object_read(&tokens, &arena, reply->body);
    if (job->step == STEP_INVOICE)
        world->made |= object_exists(object) && text_is_id(object_text(object, "id"));
    else
        world->done |=
            object_exists(object) && text_is_id(object_text(object, "id")) &&
            (job->plan.act == ACT_INVOICEITEM || text_is(object_text(object, "id"), job->plan.invoice_id));
    arena_free(&arena);
}

static void answer_call(struct world *world)
{
    struct text answer = take_answer(world), line;
    struct text body;
    struct reply reply;
    struct ref ref;
    line = fuzz_take(&answer, TEXT("\n"));
    if (!intervene(world, line))
        return;
    ref = world->upstream.ref;
    body = fuzz_exact(answer);
    reply = reply_of(line, body.at ? body : TEXT(""));
    world->upstream.busy = false;
    remember(world, slots_get(&world->gateway.jobs, ref), &reply);
    inside(world, true);
    gateway_called(&world->gateway, ref, &reply);
    inside(world, false);
    free((void *)(uintptr_t)body.at);
}

/* ---- the play */

static const struct gateway_settings settings = {
    .digest_key = TEXT("digest key"),
    .rules = {.pass_through = true},
    .deadline_ms = 20000,
    .max_inflight = 8,
    .lease_ms = 30000,
    .background_ms = 60000,
    .park_ms = 5000,
    .lookup_pause_ms = 1000,
    .account_posts_per_s = 25,
};

/* Always the same request, so that an invoice can name it. */
static void name_request(struct world *world)
{
    static const uint8_t id[UUID_BYTES] = {0x01, 0x90, 0xd3, 0xf2, 0x7a, 0x1b, 0x7c, 0x3d,
                                           0x8e, 0x4f, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab};
    struct job *job = the_job(world);
    if (!job)
        return;
    memcpy(job->request_id, id, UUID_BYTES);
    uuid_text(job->request_id, job->request_text);
}

static void arrive(struct world *world)
{
    const struct scene *scene = world->scene;
    bool json = scene->body && scene->body[0] == '{';
    struct http_request http = {
        .method = text_from(scene->method),
        .uri = text_from(scene->uri),
        .content_type = text_from(json ? "application/json" : "application/x-www-form-urlencoded"),
        .authorization = TEXT(FUZZ_KEY),
        .idempotency_key = scene->keyed ? TEXT("key-1") : TEXT_NONE,
        .body = text_from(scene->body ? scene->body : ""),
    };
    inside(world, true);
    gateway_arrived(&world->gateway, (struct ref){0, 1}, &http);
    inside(world, false);
    name_request(world);
}

static void take_over(struct world *world)
{
    const struct scene *scene = world->scene;
    bool json = scene->body[0] == '{';
    struct store_taken taken = {
        .fence = 2,
        .doing = text_from(scene->taken),
        .route = json ? TEXT("account_invoices") : TEXT("invoices"),
        .form = json ? TEXT_NONE : text_from(scene->body),
        .account_id = TEXT("acct_1"),
        .client_id = TEXT("64abc123def456789012345a"),
        .product_id = TEXT("prod_1"),
        .collection_method = TEXT("send_invoice"),
        .days_until_due = 30,
        .idempotency_key = scene->keyed ? TEXT("key-1") : TEXT_NONE,
        .invoice_id = scene->taken_without ? TEXT_NONE : TEXT(WORLD_INVOICE),
        .created_s = 1795298020,
        .old = scene->old,
        .plan = plan_of(scene),
    };
    memcpy(taken.request_id, "\x01\x90\xd3\xf2\x7a\x1b\x7c\x3d\x8e\x4f\x01\x23\x45\x67\x89\xab", UUID_BYTES);
    world->made = !scene->taken_without;
    inside(world, true);
    recovery_taken(&world->gateway, &taken);
    inside(world, false);
}

/* One thing happens. False when nothing can any more, or the upstream has no more to say. */
static bool move(struct world *world)
{
    struct timer *timer = earliest(&world->loop);
    if (world->store.count > 0)
        answer_task(world);
    else if (world->upstream.busy && (world->before.at || world->answers.at))
        answer_call(world);
    else if (world->upstream.busy || !timer)
        return false;
    else
        fire(world, timer);
    return true;
}

static void check_told(const struct world *world)
{
    const struct front *front = &world->front;
    if (strcmp(world->scene->method, "GET") == 0 || front->answers == 0)
        return;
    if (front->status == 200)
        CHECK(front->finished && front->created);
    if (!world->gateway.jobs.used && world->front.finished && front->status < 300)
        CHECK(front->created);
}

void world_play(const struct scene *scene, struct text answers)
{
    struct world *world = calloc(1, sizeof(*world));
    CHECK(world);
    clock_ms = 0;
    CHECK(gateway_init(&world->gateway, &world->loop, &settings));
    world->scene = scene;
    world->before = text_from(scene->before);
    world->answers = answers;
    world->next_verdict = STORE_GO;
    world->gateway.front = &world->front;
    world->gateway.store = &world->store;
    world->gateway.upstream = &world->upstream;
    world->upstream.loop = &world->loop;
    if (scene->taken)
        take_over(world);
    else
        arrive(world);
    for (int i = 0; i < MOVES_MAX && move(world); i++)
        CHECK(!the_job(world) || the_job(world)->state != JOB_ENDED || the_job(world)->note.busy);
    check_told(world);
    gateway_free(&world->gateway);
    free(world);
}

void world_play_one_of(const struct scene *scenes, size_t count, struct text input)
{
    if (input.length > 0)
        world_play(&scenes[(unsigned char)input.at[0] % count], text_skip(input, 1));
}
