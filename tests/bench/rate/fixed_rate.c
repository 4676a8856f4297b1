/* A load of a fixed rate: requests leave on time whether or not earlier ones have been answered, and each is
 * timed from the moment when it should have left.
 *
 *     fixed_rate PORT RATE SECONDS CONNECTIONS REQUEST_FILE [SECOND_REQUEST_FILE]
 *
 * A request is a whole HTTP/1.1 request; "@@@@@@@@" in it becomes a number of its own. With a second file
 * that one follows on the same connection once the first is answered, with "$$$$" replaced by the invoice's
 * id in that answer. Prints one JSON object, times in microseconds. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"

#define REQUEST_MAX_BYTES 8192
#define ANSWER_MAX_BYTES 32768
#define EVENTS 64
#define PATIENCE_US 30000000

struct conn {
    int fd;
    bool busy, second;
    long number; /* of the request under way */
    int64_t due_us;
    char answer[ANSWER_MAX_BYTES + 1];
    size_t bytes;
    struct conn *next_free;
};

struct rate {
    char requests[2][REQUEST_MAX_BYTES];
    int stages;
    uint16_t port;
    int epoll, timer;
    struct conn *free;
    int64_t begun_us, gap_us;
    long wanted, sent, answered, failed, none_free;
    int64_t *times_us;
};

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- connections */

static void watch(struct rate *rate, int fd, void *owner)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = owner};
    CHECK(epoll_ctl(rate->epoll, EPOLL_CTL_ADD, fd, &event) == 0);
}

static void conn_open(struct rate *rate, struct conn *conn)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(rate->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (conn->fd < 0 || connect(conn->fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        fprintf(stderr, "fixed_rate: %s\n", strerror(errno));
        exit(1);
    }
    CHECK(setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0);
    watch(rate, conn->fd, conn);
}

/* nginx lets a connection serve so many requests, and says which one was the last. */
static void conn_renew(struct rate *rate, struct conn *conn)
{
    close(conn->fd);
    conn_open(rate, conn);
}

static void conn_rest(struct rate *rate, struct conn *conn)
{
    conn->busy = false;
    conn->next_free = rate->free;
    rate->free = conn;
}

/* ---- one request */

static void replace(char *text, const char *mark, const char *by, size_t room)
{
    char *at = strstr(text, mark);
    size_t old = strlen(mark), new = strlen(by);
    if (!at)
        return;
    CHECK(strlen(text) - old + new < room);
    memmove(at + new, at + old, strlen(at + old) + 1);
    memcpy(at, by, new);
}

static void send_request(struct rate *rate, struct conn *conn, const char *invoice_id)
{
    char text[REQUEST_MAX_BYTES], number[9];
    size_t length;
    memcpy(text, rate->requests[conn->second], sizeof(text));
    snprintf(number, sizeof(number), "%08lx", conn->number & 0xffffffff);
    replace(text, "@@@@@@@@", number, sizeof(text));
    replace(text, "$$$$", invoice_id, sizeof(text));
    length = strlen(text);
    conn->bytes = 0;
    CHECK(write(conn->fd, text, length) == (ssize_t)length);
}

/* Whether the whole answer is there: its length was told, or it ends with an empty chunk. */
static bool is_whole(struct conn *conn)
{
    const char *head_end, *told;
    conn->answer[conn->bytes] = '\0';
    head_end = strstr(conn->answer, "\r\n\r\n");
    if (!head_end)
        return false;
    told = strcasestr(conn->answer, "\r\nContent-Length:");
    if (told && told < head_end) {
        size_t body = strtoul(told + strlen("\r\nContent-Length:"), NULL, 10);
        return conn->bytes >= (size_t)(head_end + 4 - conn->answer) + body;
    }
    return conn->bytes >= 5 && strcmp(conn->answer + conn->bytes - 5, "0\r\n\r\n") == 0;
}

static void go_on(struct rate *rate, struct conn *conn)
{
    char id[64] = "";
    bool good = strncmp(conn->answer, "HTTP/1.1 200", 12) == 0;
    const char *at = strstr(conn->answer, "\"in_");
    if (strcasestr(conn->answer, "\r\nConnection: close"))
        conn_renew(rate, conn);
    if (good && rate->stages == 2 && !conn->second && at) {
        snprintf(id, sizeof(id), "%.*s", (int)strcspn(at + 1, "\""), at + 1);
        conn->second = true;
        send_request(rate, conn, id);
        return;
    }
    if (good)
        rate->times_us[rate->answered++] = now_us() - conn->due_us;
    else
        rate->failed++;
    conn_rest(rate, conn);
}

static void readable(struct rate *rate, struct conn *conn)
{
    ssize_t got = read(conn->fd, conn->answer + conn->bytes, ANSWER_MAX_BYTES - conn->bytes);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        bool lost = conn->busy;
        conn_renew(rate, conn);
        if (lost) {
            rate->failed++;
            conn_rest(rate, conn);
        }
        return;
    }
    conn->bytes += (size_t)got;
    if (conn->busy && is_whole(conn))
        go_on(rate, conn);
}

/* ---- the clock */

static void due(struct rate *rate)
{
    uint64_t ticks;
    ssize_t got = read(rate->timer, &ticks, sizeof(ticks));
    int64_t now = now_us();
    (void)got;
    while (rate->sent + rate->none_free < rate->wanted) {
        int64_t due_us = rate->begun_us + (rate->sent + rate->none_free) * rate->gap_us;
        struct conn *conn = rate->free;
        if (due_us > now)
            return;
        if (!conn) {
            rate->none_free++;
            continue;
        }
        rate->free = conn->next_free;
        conn->busy = true;
        conn->second = false;
        conn->due_us = due_us;
        conn->number = rate->sent++;
        send_request(rate, conn, "");
    }
}

static void run(struct rate *rate)
{
    struct epoll_event events[EVENTS];
    int64_t until_us = rate->begun_us + rate->wanted * rate->gap_us + PATIENCE_US;
    while (rate->answered + rate->failed + rate->none_free < rate->wanted && now_us() < until_us) {
        int count = epoll_wait(rate->epoll, events, EVENTS, 1000);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr)
                readable(rate, events[i].data.ptr);
            else
                due(rate);
        }
    }
}

/* ---- beginning and end */

static void read_request(char request[REQUEST_MAX_BYTES], const char *path)
{
    FILE *file = fopen(path, "r");
    size_t length;
    CHECK(file);
    length = fread(request, 1, REQUEST_MAX_BYTES - 1, file);
    CHECK(length > 0 && feof(file));
    request[length] = '\0';
    fclose(file);
}

static int by_time(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static int64_t share_us(const struct rate *rate, double share)
{
    long place = (long)((double)rate->answered * share);
    if (rate->answered == 0)
        return 0;
    return rate->times_us[place < rate->answered ? place : rate->answered - 1];
}

static void tell(struct rate *rate)
{
    qsort(rate->times_us, (size_t)rate->answered, sizeof(*rate->times_us), by_time);
    printf("{\"wanted\":%ld,\"answered\":%ld,\"failed\":%ld,\"p50_us\":%ld,\"p99_us\":%ld,\"max_us\":%ld}\n",
           rate->wanted, rate->answered, rate->wanted - rate->answered, (long)share_us(rate, 0.5),
           (long)share_us(rate, 0.99), (long)share_us(rate, 1));
}

static void start_clock(struct rate *rate)
{
    struct itimerspec every = {.it_interval.tv_nsec = rate->gap_us * 1000,
                               .it_value.tv_nsec = rate->gap_us * 1000};
    rate->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    CHECK(rate->timer >= 0);
    rate->begun_us = now_us() + rate->gap_us;
    CHECK(timerfd_settime(rate->timer, 0, &every, NULL) == 0);
    watch(rate, rate->timer, NULL);
}

int main(int argc, char **argv)
{
    static struct rate rate;
    struct conn *conns;
    long connections, per_s;
    if (argc < 6 || argc > 7) {
        fprintf(stderr,
                "usage: fixed_rate PORT RATE SECONDS CONNECTIONS REQUEST_FILE [SECOND_REQUEST_FILE]\n");
        return 2;
    }
    rate.port = (uint16_t)strtol(argv[1], NULL, 10);
    per_s = strtol(argv[2], NULL, 10);
    connections = strtol(argv[4], NULL, 10);
    CHECK(per_s > 1 && connections > 0);
    rate.wanted = per_s * strtol(argv[3], NULL, 10);
    rate.gap_us = 1000000 / per_s;
    rate.stages = argc - 5;
    for (int i = 0; i < rate.stages; i++)
        read_request(rate.requests[i], argv[5 + i]);
    rate.times_us = calloc((size_t)rate.wanted, sizeof(*rate.times_us));
    conns = calloc((size_t)connections, sizeof(*conns));
    CHECK(rate.times_us && conns);
    rate.epoll = epoll_create1(EPOLL_CLOEXEC);
    for (long i = 0; i < connections; i++) {
        conn_open(&rate, &conns[i]);
        conn_rest(&rate, &conns[i]);
    }
    start_clock(&rate);
    run(&rate);
    tell(&rate);
    return 0;
}
