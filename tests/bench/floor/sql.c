/* The floor of the database side: the batches of statements that a worker sends, with real parameters, and
 * nothing else. Each batch begins some invoices and finishes those that the batch before it began on the same
 * connection.
 *
 *     sql DATABASE UPSTREAM_URL KEY_DIGEST ACCOUNT PRODUCT OBJECT_FILE BATCH MIXED LANES SECONDS
 *
 * BATCH is the number of invoices that a batch begins, and of those that it finishes. Prints one JSON object:
 * invoices, batches, and CPU time of this process. Statements and parameters are made once; only the ids are
 * written over. */
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/digest.h"
#include "store/statements.h"

#define BATCH_MAX 128
#define LANES_MAX 8
#define OBJECT_MAX_BYTES 65536
#define INVOICE_ID_BYTES 28 /* with its NUL */
#define CLIENTS 1000
#define PLACES 4 /* where one id may stand in one statement */

/* A statement's parameters, and where the ids of each invoice are in them. */
struct template
{
    struct params params;
    size_t requests[BATCH_MAX][PLACES], invoices[BATCH_MAX][PLACES];
    int request_places, invoice_places;
};

struct lane {
    struct floor *floor;
    PGconn *connection;
    struct template begin, finish, calls;
    uint8_t begun[BATCH_MAX][UUID_BYTES], finished[BATCH_MAX][UUID_BYTES];
    bool has_begun, begins, busy;
};

struct floor {
    struct text object, account, product;
    uint8_t digest[DIGEST_BYTES];
    int64_t worker_id;
    int batch, lanes, mixed_percent, mixed_so_far;
    int64_t until_us;
    uint64_t random;
    long invoices, batches;
    struct lane lane[LANES_MAX];
};

static int64_t clock_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static uint64_t next_random(struct floor *floor)
{
    floor->random ^= floor->random << 13;
    floor->random ^= floor->random >> 7;
    floor->random ^= floor->random << 17;
    return floor->random;
}

/* Time first, as a worker's. */
static void make_request_id(struct floor *floor, uint8_t id[UUID_BYTES])
{
    uint64_t ms = (uint64_t)clock_us(CLOCK_REALTIME) / 1000, bits = next_random(floor);
    for (int i = 0; i < 6; i++)
        id[i] = (uint8_t)(ms >> (40 - 8 * i));
    id[6] = (uint8_t)(0x70 | (bits & 15));
    id[7] = (uint8_t)(bits >> 8);
    bits = next_random(floor);
    memcpy(id + 8, &bits, 8);
    id[8] = (uint8_t)(0x80 | (id[8] & 0x3f));
}

static void make_invoice_id(const uint8_t request[UUID_BYTES], char id[INVOICE_ID_BYTES])
{
    static const char letters[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz01";
    memcpy(id, "in_", 3);
    for (int i = 3; i < INVOICE_ID_BYTES - 1; i++)
        id[i] = letters[(request[15 - i % 8] >> (i & 1)) & 63];
    id[INVOICE_ID_BYTES - 1] = '\0';
}

/* ---- templates */

static int find_places(const struct params *params, const void *what, size_t bytes, size_t places[PLACES])
{
    int count = 0;
    const char *from = params->bytes, *end = params->bytes + params->used, *found;
    while ((found = memmem(from, (size_t)(end - from), what, bytes)) && count < PLACES) {
        places[count++] = (size_t)(found - params->bytes);
        from = found + bytes;
    }
    return count;
}

static void find_ids(struct template *template, uint8_t ids[][UUID_BYTES], int count)
{
    for (int i = 0; i < count; i++) {
        char invoice[INVOICE_ID_BYTES];
        make_invoice_id(ids[i], invoice);
        template->request_places = find_places(&template->params, ids[i], UUID_BYTES, template->requests[i]);
        template->invoice_places =
            find_places(&template->params, invoice, INVOICE_ID_BYTES - 1, template->invoices[i]);
    }
    CHECK(template->request_places > 0);
}

static void write_ids(struct template *template, uint8_t ids[][UUID_BYTES], int count)
{
    for (int i = 0; i < count; i++) {
        for (int place = 0; place < template->request_places; place++)
            memcpy(template->params.bytes + template->requests[i][place], ids[i], UUID_BYTES);
        if (template->invoice_places > 0) {
            char invoice[INVOICE_ID_BYTES];
            make_invoice_id(ids[i], invoice);
            for (int place = 0; place < template->invoice_places; place++)
                memcpy(template->params.bytes + template->invoices[i][place], invoice, INVOICE_ID_BYTES - 1);
        }
    }
}

static void begin_template(struct lane *lane, const struct statement_context *context)
{
    static struct store_task tasks[BATCH_MAX];
    static char clients[BATCH_MAX][32];
    struct store_task *list[BATCH_MAX];
    struct floor *floor = lane->floor;
    for (int i = 0; i < floor->batch; i++) {
        snprintf(clients[i], sizeof(clients[i]), "bench-%d", (int)(next_random(floor) % CLIENTS) + 1);
        make_request_id(floor, lane->begun[i]);
        tasks[i] = (struct store_task){.kind = STORE_BEGIN};
        tasks[i].in.begin = (struct store_begin){.route = TEXT("account_invoices"),
                                                 .account_id = floor->account,
                                                 .client_id = text_from(clients[i]),
                                                 .product_id = floor->product,
                                                 .collection_method = TEXT("send_invoice"),
                                                 .days_until_due = 30};
        memcpy(tasks[i].in.begin.request_id, lane->begun[i], UUID_BYTES);
        memcpy(tasks[i].in.begin.key_digest, floor->digest, DIGEST_BYTES);
        memcpy(tasks[i].in.begin.fingerprint, floor->digest, DIGEST_BYTES);
        list[i] = &tasks[i];
    }
    statement_params(&lane->begin.params, context, STORE_BEGIN, list, floor->batch);
    find_ids(&lane->begin, lane->begun, floor->batch);
}

static struct store_call a_call(const uint8_t request[UUID_BYTES], struct text step)
{
    struct store_call call = {.fence = 1,
                              .step = step,
                              .attempt = 1,
                              .started_us = clock_us(CLOCK_REALTIME),
                              .duration_ms = 3,
                              .http_status = 200,
                              .outcome = TEXT("ok"),
                              .upstream_request_id = TEXT("req_0123456789abcd")};
    memcpy(call.request_id, request, UUID_BYTES);
    return call;
}

static void finish_template(struct lane *lane, const struct statement_context *context)
{
    static struct store_task tasks[BATCH_MAX];
    static struct store_call calls[BATCH_MAX][2];
    static char invoices[BATCH_MAX][INVOICE_ID_BYTES];
    struct store_task *list[BATCH_MAX];
    struct floor *floor = lane->floor;
    for (int i = 0; i < floor->batch; i++) {
        make_invoice_id(lane->begun[i], invoices[i]);
        calls[i][0] = a_call(lane->begun[i], TEXT("invoice"));
        calls[i][1] = a_call(lane->begun[i], TEXT("lines"));
        calls[i][0].next = &calls[i][1];
        tasks[i] = (struct store_task){.kind = STORE_FINISH, .calls = calls[i]};
        tasks[i].in.finish = (struct store_finish){.fence = 1,
                                                   .state = TEXT("created"),
                                                   .http_status = 200,
                                                   .invoice_id = text_from(invoices[i]),
                                                   .status = TEXT("draft"),
                                                   .amount_minor = 10000,
                                                   .currency = TEXT("usd"),
                                                   .created_s = clock_us(CLOCK_REALTIME) / 1000000,
                                                   .object = floor->object,
                                                   .pin = true};
        memcpy(tasks[i].in.finish.request_id, lane->begun[i], UUID_BYTES);
        list[i] = &tasks[i];
    }
    statement_params(&lane->finish.params, context, STORE_FINISH, list, floor->batch);
    find_ids(&lane->finish, lane->begun, floor->batch);
    CHECK(lane->finish.invoice_places > 0);
    CHECK(statement_calls_params(&lane->calls.params, list, floor->batch) == 2 * floor->batch);
    find_ids(&lane->calls, lane->begun, floor->batch);
}

/* ---- batches */

static void lane_flush(struct lane *lane)
{
    while (PQflush(lane->connection) == 1) {
        struct pollfd socket = {.fd = PQsocket(lane->connection), .events = POLLIN | POLLOUT};
        poll(&socket, 1, 1000);
        CHECK(PQconsumeInput(lane->connection));
    }
}

/* Spreads the mixed transactions evenly. */
static bool next_is_mixed(struct floor *floor)
{
    floor->mixed_so_far += floor->mixed_percent;
    if (floor->mixed_so_far < 100)
        return false;
    floor->mixed_so_far -= 100;
    return true;
}

static void lane_send(struct lane *lane)
{
    struct floor *floor = lane->floor;
    bool finishes = lane->has_begun;
    lane->begins = clock_us(CLOCK_MONOTONIC) < floor->until_us && (!finishes || next_is_mixed(floor));
    if (!lane->begins && !finishes)
        return;
    if (finishes)
        memcpy(lane->finished, lane->begun, sizeof(lane->begun));
    if (lane->begins) {
        for (int i = 0; i < floor->batch; i++)
            make_request_id(floor, lane->begun[i]);
        write_ids(&lane->begin, lane->begun, floor->batch);
        CHECK(params_send(&lane->begin.params, lane->connection, statements[STORE_BEGIN].name));
    }
    if (finishes) {
        write_ids(&lane->finish, lane->finished, floor->batch);
        write_ids(&lane->calls, lane->finished, floor->batch);
        CHECK(params_send(&lane->finish.params, lane->connection, statements[STORE_FINISH].name) &&
              params_send(&lane->calls.params, lane->connection, statements[STATEMENT_CALLS].name));
        floor->invoices += floor->batch;
    }
    floor->batches++;
    lane->has_begun = lane->begins;
    lane->busy = true;
    CHECK(PQpipelineSync(lane->connection) == 1);
    lane_flush(lane);
}

/* Every member must have gone through, or the floor would be that of other work. */
static void look_at(struct lane *lane, const PGresult *result)
{
    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        fprintf(stderr, "sql: %s\n", PQerrorMessage(lane->connection));
        exit(1);
    }
    for (int row = 0; PQnfields(result) > 1 && row < PQntuples(result); row++) {
        bool begins = PQnfields(result) > 6;
        if (strcmp(PQgetvalue(result, row, 1), begins ? "go" : "done") != 0 ||
            (begins && strcmp(PQgetvalue(result, row, 6), "t") != 0)) {
            fprintf(stderr, "sql: verdict %s, reason %s\n", PQgetvalue(result, row, 1),
                    begins ? PQgetvalue(result, row, 3) : "");
            exit(1);
        }
    }
}

static void lane_read(struct lane *lane)
{
    CHECK(PQconsumeInput(lane->connection));
    while (lane->busy && !PQisBusy(lane->connection)) {
        PGresult *result = PQgetResult(lane->connection);
        if (!result)
            continue;
        if (PQresultStatus(result) == PGRES_PIPELINE_SYNC)
            lane->busy = false;
        else
            look_at(lane, result);
        PQclear(result);
    }
    if (!lane->busy)
        lane_send(lane);
}

static void run(struct floor *floor)
{
    struct pollfd sockets[LANES_MAX];
    bool busy = true;
    for (int i = 0; i < floor->lanes; i++)
        lane_send(&floor->lane[i]);
    while (busy) {
        busy = false;
        for (int i = 0; i < floor->lanes; i++)
            sockets[i] = (struct pollfd){.fd = PQsocket(floor->lane[i].connection), .events = POLLIN};
        poll(sockets, (nfds_t)floor->lanes, 1000);
        for (int i = 0; i < floor->lanes; i++) {
            if (sockets[i].revents)
                lane_read(&floor->lane[i]);
            busy = busy || floor->lane[i].busy;
        }
    }
}

/* ---- beginning and end */

static void say_hello(struct floor *floor, PGconn *connection, const char *url)
{
    const char *values[1] = {url};
    PGresult *result =
        PQexecParams(connection,
                     "select worker_id from gateway.hello('floor', 1, 'floor', 1::smallint, $1, '', "
                     "true, true, 600000)",
                     1, NULL, values, NULL, NULL, 0);
    CHECK(PQntuples(result) == 1);
    floor->worker_id = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
}

static void lane_open(struct floor *floor, struct lane *lane, char **argv)
{
    static const enum statement used[] = {(enum statement)STORE_BEGIN, (enum statement)STORE_FINISH,
                                          STATEMENT_CALLS};
    struct statement_context context;
    lane->floor = floor;
    lane->connection = PQconnectdb(argv[1]);
    if (PQstatus(lane->connection) != CONNECTION_OK) {
        fprintf(stderr, "sql: %s\n", PQerrorMessage(lane->connection));
        exit(1);
    }
    if (floor->worker_id == 0)
        say_hello(floor, lane->connection, argv[2]);
    for (size_t i = 0; i < sizeof(used) / sizeof(used[0]); i++)
        PQclear(PQprepare(lane->connection, statements[used[i]].name, statements[used[i]].sql, 0, NULL));
    CHECK(PQsetnonblocking(lane->connection, 1) == 0 && PQenterPipelineMode(lane->connection));
    context = (struct statement_context){floor->worker_id, TEXT("2025-03-31.basil")};
    begin_template(lane, &context);
    finish_template(lane, &context);
}

static void read_facts(struct floor *floor, char **argv)
{
    static char object[OBJECT_MAX_BYTES];
    FILE *file = fopen(argv[6], "r");
    CHECK(file);
    floor->object = (struct text){object, fread(object, 1, sizeof(object), file)};
    CHECK(feof(file) && strlen(argv[3]) == (size_t)DIGEST_BYTES * 2);
    fclose(file);
    for (size_t i = 0; i < DIGEST_BYTES; i++)
        CHECK(sscanf(argv[3] + 2 * i, "%2hhx", &floor->digest[i]) == 1);
    floor->account = text_from(argv[4]);
    floor->product = text_from(argv[5]);
    floor->batch = (int)strtol(argv[7], NULL, 10);
    floor->mixed_percent = (int)strtol(argv[8], NULL, 10);
    floor->lanes = (int)strtol(argv[9], NULL, 10);
    CHECK(floor->batch >= 1 && floor->batch <= BATCH_MAX && floor->lanes >= 1 && floor->lanes <= LANES_MAX);
    floor->random = (uint64_t)clock_us(CLOCK_REALTIME) * 2654435761U | 1;
}

static void tell(const struct floor *floor)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    printf("{\"invoices\":%ld,\"batches\":%ld,\"cpu_us\":%ld}\n", floor->invoices, floor->batches,
           (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000 + used.ru_utime.tv_usec +
               used.ru_stime.tv_usec);
}

int main(int argc, char **argv)
{
    static struct floor floor;
    if (argc != 11) {
        fprintf(stderr, "usage: sql DATABASE UPSTREAM_URL KEY_DIGEST ACCOUNT PRODUCT OBJECT_FILE BATCH MIXED "
                        "LANES SECONDS\n");
        return 2;
    }
    read_facts(&floor, argv);
    for (int i = 0; i < floor.lanes; i++)
        lane_open(&floor, &floor.lane[i], argv);
    floor.until_us = clock_us(CLOCK_MONOTONIC) + strtoll(argv[10], NULL, 10) * 1000000;
    run(&floor);
    for (int i = 0; i < floor.lanes; i++)
        PQfinish(floor.lane[i].connection);
    tell(&floor);
    return 0;
}
