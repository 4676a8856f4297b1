/* The floor of the upstream side: two POSTs for each invoice through one curl multi handle, with the very
 * bytes and headers that a worker sends, and nothing looked at in the answers but the invoice's id.
 *
 *     curl URL AUTHORIZATION VERSION ACCOUNT CUSTOMER PRICE CLIENT AT_ONCE SECONDS
 *
 * Prints one JSON object: invoices made, and CPU time of this process. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>

#include "base/arena.h"
#include "base/check.h"
#include "upstream/calls.h"

#define EVENTS 64
#define ANSWER_BYTES 16384
#define HEADERS 5

#define SET(easy, option, value) CHECK(curl_easy_setopt(easy, CURLOPT_##option, value) == CURLE_OK)

/* One invoice under way: a handle, and its two calls ready to be sent but for the parts that differ, which
 * are written over. */
struct slot {
    CURL *easy;
    struct floor *floor;
    struct arena arena;
    struct call calls[2]; /* makes the invoice; adds its line */
    char key_lines[2][160];
    char *ids[3];    /* where the request's id stands: in the form and in both key lines */
    bool adds_lines; /* which of the calls is under way */
    char url[512];
    char answer[ANSWER_BYTES + 1];
    size_t answer_bytes;
    struct curl_slist headers[HEADERS];
};

struct floor {
    const char *url;
    char authorization[512];
    char version[128];
    char account[300];
    char expect[8];
    CURLM *multi;
    int epoll;
    long timeout_ms;
    int64_t until_us;
    long started, made, failed;
};

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- what libcurl asks for */

static int on_timer(CURLM *multi, long timeout_ms, void *owner)
{
    (void)multi;
    ((struct floor *)owner)->timeout_ms = timeout_ms;
    return 0;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *owner, void *known)
{
    struct floor *floor = owner;
    struct epoll_event event = {.data.fd = fd};
    (void)easy;
    if (what & CURL_POLL_IN && what != CURL_POLL_REMOVE)
        event.events |= EPOLLIN;
    if (what & CURL_POLL_OUT && what != CURL_POLL_REMOVE)
        event.events |= EPOLLOUT;
    if (what == CURL_POLL_REMOVE)
        epoll_ctl(floor->epoll, EPOLL_CTL_DEL, fd, NULL);
    else
        epoll_ctl(floor->epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
    if (!known && what != CURL_POLL_REMOVE)
        curl_multi_assign(floor->multi, fd, floor);
    return 0;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *owner)
{
    struct slot *slot = owner;
    CHECK(slot->answer_bytes + size * count <= ANSWER_BYTES);
    memcpy(slot->answer + slot->answer_bytes, bytes, size * count);
    slot->answer_bytes += size * count;
    return size * count;
}

/* ---- one invoice */

static void send_call(struct slot *slot)
{
    const struct call *call = &slot->calls[slot->adds_lines];
    slot->answer_bytes = 0;
    slot->headers[HEADERS - 1].data = slot->key_lines[slot->adds_lines];
    SET(slot->easy, URL, slot->url);
    SET(slot->easy, POSTFIELDSIZE, (long)call->form.length);
    SET(slot->easy, POSTFIELDS, call->form.at);
    CHECK(curl_multi_add_handle(slot->floor->multi, slot->easy) == CURLM_OK);
}

/* Another last part of the id for each: the upstream must not know its keys. */
static void begin_invoice(struct slot *slot)
{
    char digits[13];
    if (now_us() >= slot->floor->until_us)
        return;
    snprintf(digits, sizeof(digits), "%012lx", slot->floor->started++ & 0xffffffffffff);
    for (int i = 0; i < 3; i++)
        memcpy(slot->ids[i] + UUID_TEXT_BYTES - 13, digits, 12);
    slot->adds_lines = false;
    snprintf(slot->url, sizeof(slot->url), "%s/v1/invoices", slot->floor->url);
    send_call(slot);
}

static bool begin_lines(struct slot *slot)
{
    const char *from, *end;
    slot->answer[slot->answer_bytes] = '\0';
    from = strstr(slot->answer, "\"in_");
    end = from ? strchr(from + 1, '"') : NULL;
    if (!end)
        return false;
    slot->adds_lines = true;
    snprintf(slot->url, sizeof(slot->url), "%s/v1/invoices/%.*s/add_lines", slot->floor->url,
             (int)(end - from - 1), from + 1);
    send_call(slot);
    return true;
}

static void call_done(struct slot *slot, CURLcode code)
{
    struct floor *floor = slot->floor;
    long status = 0;
    curl_easy_getinfo(slot->easy, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_OK && status == 200 && !slot->adds_lines && begin_lines(slot))
        return;
    if (code == CURLE_OK && status == 200 && slot->adds_lines)
        floor->made++;
    else
        floor->failed++;
    begin_invoice(slot);
}

static void deliver(struct floor *floor)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(floor->multi, &left))) {
        struct slot *slot;
        CURL *easy = message->easy_handle;
        CURLcode code = message->data.result;
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, &slot);
        curl_multi_remove_handle(floor->multi, easy);
        call_done(slot, code);
    }
}

/* ---- the whole */

static char *find_id(const char *text, const char *id)
{
    char *found = strstr(text, id);
    CHECK(found);
    return found;
}

static void make_calls(struct slot *slot, const struct plan *plan)
{
    char id[UUID_TEXT_BYTES];
    uuid_text(plan->request_id, id);
    arena_init(&slot->arena, 65536);
    CHECK(call_make(STEP_INVOICE, plan, &slot->arena, &slot->calls[0]) &&
          call_make(STEP_LINES, plan, &slot->arena, &slot->calls[1]));
    for (int i = 0; i < 2; i++) {
        snprintf(slot->key_lines[i], sizeof(slot->key_lines[i]), "Idempotency-Key: %s",
                 slot->calls[i].idempotency_key.at);
        slot->ids[i] = find_id(slot->key_lines[i], id);
    }
    slot->ids[2] = find_id(slot->calls[0].form.at, id);
}

static void slot_open(struct slot *slot, struct floor *floor, const struct plan *plan)
{
    char *lines[HEADERS - 1] = {floor->authorization, floor->version, floor->account, floor->expect};
    slot->floor = floor;
    make_calls(slot, plan);
    slot->easy = curl_easy_init();
    CHECK(slot->easy);
    for (int i = 0; i < HEADERS - 1; i++) {
        slot->headers[i].data = lines[i];
        slot->headers[i].next = &slot->headers[i + 1];
    }
    SET(slot->easy, NOSIGNAL, 1L);
    SET(slot->easy, WRITEFUNCTION, on_body);
    SET(slot->easy, WRITEDATA, slot);
    SET(slot->easy, PRIVATE, slot);
    SET(slot->easy, PROXY, "");
    SET(slot->easy, POST, 1L);
    SET(slot->easy, TIMEOUT_MS, 20000L);
    SET(slot->easy, USERAGENT, "invoicegate/1");
    SET(slot->easy, BUFFERSIZE, 16384L);
    SET(slot->easy, HTTPHEADER, slot->headers);
}

static void run(struct floor *floor)
{
    struct epoll_event events[EVENTS];
    int running = 1;
    curl_multi_socket_action(floor->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    while (floor->made + floor->failed < floor->started) {
        int count =
            epoll_wait(floor->epoll, events, EVENTS, floor->timeout_ms < 0 ? 1000 : (int)floor->timeout_ms);
        for (int i = 0; i < count; i++) {
            int flags = (events[i].events & (EPOLLIN | EPOLLHUP) ? CURL_CSELECT_IN : 0) |
                        (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0);
            curl_multi_socket_action(floor->multi, events[i].data.fd, flags, &running);
            deliver(floor);
        }
        if (count == 0 || floor->timeout_ms == 0) {
            curl_multi_socket_action(floor->multi, CURL_SOCKET_TIMEOUT, 0, &running);
            deliver(floor);
        }
    }
}

static void set_lines(struct floor *floor, char **argv)
{
    floor->url = argv[1];
    snprintf(floor->authorization, sizeof(floor->authorization), "Authorization: %s", argv[2]);
    snprintf(floor->version, sizeof(floor->version), "Stripe-Version: %s", argv[3]);
    snprintf(floor->account, sizeof(floor->account), "Stripe-Account: %s", argv[4]);
    snprintf(floor->expect, sizeof(floor->expect), "Expect:");
}

static void tell(const struct floor *floor)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    printf("{\"invoices\":%ld,\"failed\":%ld,\"cpu_us\":%ld}\n", floor->made, floor->failed,
           (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000 + used.ru_utime.tv_usec +
               used.ru_stime.tv_usec);
}

int main(int argc, char **argv)
{
    static struct floor floor = {.timeout_ms = -1};
    struct plan plan = {.collection_method = TEXT("send_invoice"), .days_until_due = 30, .generation = 1};
    struct slot *slots;
    long at_once;
    if (argc != 10) {
        fprintf(stderr,
                "usage: curl URL AUTHORIZATION VERSION ACCOUNT CUSTOMER PRICE CLIENT AT_ONCE SECONDS\n");
        return 2;
    }
    set_lines(&floor, argv);
    plan.account_id = text_from(argv[4]);
    plan.customer_id = text_from(argv[5]);
    plan.price_id = text_from(argv[6]);
    plan.client_id = text_from(argv[7]);
    plan.currency = TEXT("usd");
    plan.invoice_id = TEXT("in_"); /* the path is made anew for each */
    CHECK(random_bytes(plan.request_id, UUID_BYTES));
    at_once = strtol(argv[8], NULL, 10);
    slots = calloc((size_t)at_once, sizeof(*slots));
    CHECK(slots && curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
    floor.multi = curl_multi_init();
    floor.epoll = epoll_create1(EPOLL_CLOEXEC);
    curl_multi_setopt(floor.multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(floor.multi, CURLMOPT_SOCKETDATA, &floor);
    curl_multi_setopt(floor.multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(floor.multi, CURLMOPT_TIMERDATA, &floor);
    curl_multi_setopt(floor.multi, CURLMOPT_MAXCONNECTS, 8192L);
    floor.until_us = now_us() + strtol(argv[9], NULL, 10) * 1000000;
    for (long i = 0; i < at_once; i++) {
        slot_open(&slots[i], &floor, &plan);
        begin_invoice(&slots[i]);
    }
    run(&floor);
    tell(&floor);
    return floor.failed > 0;
}
