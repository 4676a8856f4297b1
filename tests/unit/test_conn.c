#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fcgi_client.h"
#include "front/conn.h"

#define BODY_MAX_BYTES 1000
#define MOST_CONNECTIONS 8
#define IO_TIMEOUT_MS 50

/* One front on a listening socket in a private directory, and what it has told so far. */
struct fixture {
    struct loop *loop;
    struct front *front;
    struct timer stop_timer;
    char folder[64];
    struct sockaddr_un address;
    int listen_fd;

    bool answer_at_once;
    struct http_answer answer;
    int requests;
    int left;
    struct ref refs[64];      /* of the requests, in order */
    struct ref left_ref;      /* of the last who left */
    int stop_after;           /* requests or departures until the loop stops */
    char seen[8][16384];      /* what the last request was, each NUL-terminated: see SEEN_ */
    struct http_request last; /* its flags; the views are stale */

    struct fcgi_message message;
    struct fcgi_answer got;
};

enum { SEEN_METHOD, SEEN_URI, SEEN_TYPE, SEEN_AUTHORIZATION, SEEN_KEY, SEEN_BODY, SEEN_ADDRESS };

static void keep(struct fixture *f, int which, struct text text)
{
    assert_true(text.length < sizeof f->seen[which]);
    if (text.length > 0)
        memcpy(f->seen[which], text.at, text.length);
    f->seen[which][text.length] = '\0';
}

static void count_down(struct fixture *f)
{
    if (--f->stop_after == 0)
        loop_stop(f->loop);
}

static void look_at(struct fixture *f, const struct http_request *http)
{
    keep(f, SEEN_METHOD, http->method);
    keep(f, SEEN_URI, http->uri);
    keep(f, SEEN_TYPE, http->content_type);
    keep(f, SEEN_AUTHORIZATION, http->authorization);
    keep(f, SEEN_KEY, http->idempotency_key);
    keep(f, SEEN_BODY, http->body);
    keep(f, SEEN_ADDRESS, http->remote_address);
    f->last = *http;
}

static void on_request(void *owner, struct ref ref, const struct http_request *http)
{
    struct fixture *f = owner;

    assert_true(f->requests < (int)COUNT_OF(f->refs));
    f->refs[f->requests++] = ref;
    if (f->answer_at_once)
        front_answer(f->front, ref, &f->answer);
    look_at(f, http); /* after answering: the views must still be good */
    count_down(f);
}

static void on_left(void *owner, struct ref ref)
{
    struct fixture *f = owner;

    f->left++;
    f->left_ref = ref;
    assert_false(front_answer(f->front, ref, &f->answer));
    count_down(f);
}

static void stop(void *owner)
{
    loop_stop(((struct fixture *)owner)->loop);
}

/* Runs until count requests have come or clients have left, or much too long. */
static void run_until(struct fixture *f, int count)
{
    f->stop_after = count;
    loop_timer(f->loop, &f->stop_timer, 20000, stop, f);
    loop_run(f->loop);
    loop_untimer(f->loop, &f->stop_timer);
    assert_int_equal(f->stop_after, 0);
}

/* Runs a few turns. */
static void run_a_while(struct fixture *f)
{
    f->stop_after = -1;
    loop_timer(f->loop, &f->stop_timer, 20, stop, f);
    loop_run(f->loop);
}

/* Runs until the condition holds, or much too long: the assertion behind it decides. */
#define RUN_WHILE(f, condition)                                                                              \
    for (int turns_ = 0; turns_ < 500 && (condition); turns_++)                                              \
    run_a_while(f)

static void open_front(struct fixture *f, bool ours)
{
    struct front_settings settings = {.listen_fd = f->listen_fd,
                                      .listen_fd_is_ours = ours,
                                      .max_connections = MOST_CONNECTIONS,
                                      .body_max_bytes = BODY_MAX_BYTES,
                                      .io_timeout_ms = IO_TIMEOUT_MS};

    f->front = front_open(f->loop, &settings, on_request, on_left, f);
    assert_non_null(f->front);
}

static int set_up_with(void **state, bool ours)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    *state = f;
    f->loop = loop_new();
    assert_non_null(f->loop);
    f->message.at = malloc(FCGI_MESSAGE_BYTES);
    f->got.text = malloc(FCGI_MESSAGE_BYTES);
    assert_true(f->message.at && f->got.text);
    strcpy(f->folder, "/tmp/test_conn.XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    f->address.sun_family = AF_UNIX;
    snprintf(f->address.sun_path, sizeof f->address.sun_path, "%s/socket", f->folder);
    f->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(f->listen_fd >= 0);
    assert_int_equal(bind(f->listen_fd, (struct sockaddr *)&f->address, sizeof f->address), 0);
    assert_int_equal(listen(f->listen_fd, 64), 0);
    f->answer_at_once = true;
    f->answer =
        (struct http_answer){.status = 200, .content_type = TEXT("text/plain"), .body = TEXT("hello")};
    open_front(f, ours);
    return 0;
}

static int set_up(void **state)
{
    return set_up_with(state, true);
}

static int set_up_shared(void **state)
{
    return set_up_with(state, false);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    front_close(f->front);
    loop_free(f->loop);
    close(f->listen_fd);
    unlink(f->address.sun_path);
    rmdir(f->folder);
    free(f->message.at);
    free(f->got.text);
    free(f);
    return 0;
}

static int try_connect(struct fixture *f)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    if (connect(fd, (struct sockaddr *)&f->address, sizeof f->address) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int client(struct fixture *f)
{
    int fd = try_connect(f);

    assert_true(fd >= 0);
    return fd;
}

static void send_bytes(int fd, const void *at, size_t length)
{
    assert_int_equal(send(fd, at, length, MSG_NOSIGNAL | MSG_DONTWAIT), length);
}

/* Sends the message under construction and begins a new one. */
static void send_message(struct fixture *f, int fd)
{
    send_bytes(fd, f->message.at, f->message.length);
    f->message.length = 0;
}

static void post(struct fixture *f, int fd, const char *uri, const char *body)
{
    fcgi_post(&f->message, uri, text_from(body));
    send_message(f, fd);
}

static bool is_closed(int fd)
{
    char byte;
    ssize_t got = recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK);

    return got == 0 || (got < 0 && errno != EAGAIN);
}

static void connections_settle(struct fixture *f, uint32_t count)
{
    RUN_WHILE(f, front_connections(f->front) != count);
    assert_int_equal(front_connections(f->front), count);
}

/* ---- requests and answers */

static void hands_over_all_parameters(void **state)
{
    struct fixture *f = *state;
    int fd = client(f);

    fcgi_begin(&f->message, true);
    fcgi_param(&f->message, "REQUEST_METHOD", "POST");
    fcgi_param(&f->message, "REQUEST_URI", "/a%20b?c=d");
    fcgi_param(&f->message, "CONTENT_TYPE", "application/json");
    fcgi_param(&f->message, "CONTENT_LENGTH", "4");
    fcgi_param(&f->message, "HTTP_AUTHORIZATION", "Bearer x=y");
    fcgi_param(&f->message, "HTTP_IDEMPOTENCY_KEY", "key");
    fcgi_param(&f->message, "REMOTE_ADDR", "127.0.0.1");
    fcgi_param(&f->message, "HTTP_OTHER", "");
    fcgi_params_end(&f->message);
    fcgi_stdin(&f->message, TEXT("bo\0y"));
    fcgi_stdin_end(&f->message);
    send_message(f, fd);
    run_until(f, 1);
    assert_string_equal(f->seen[SEEN_METHOD], "POST");
    assert_string_equal(f->seen[SEEN_URI], "/a%20b?c=d");
    assert_string_equal(f->seen[SEEN_TYPE], "application/json");
    assert_string_equal(f->seen[SEEN_AUTHORIZATION], "Bearer x=y");
    assert_string_equal(f->seen[SEEN_KEY], "key");
    assert_string_equal(f->seen[SEEN_ADDRESS], "127.0.0.1");
    assert_memory_equal(f->seen[SEEN_BODY], "bo\0y", 4);
    assert_int_equal(f->last.body.length, 4);
    assert_false(f->last.idempotency_key_repeated);
    assert_false(f->last.stripe_account_repeated);
    assert_false(f->last.body_too_large);
    assert_false(f->last.body_cut);
    assert_null(f->last.stripe_account.at);
    close(fd);
}

static void a_kept_connection_serves_again(void **state)
{
    struct fixture *f = *state;
    int fd = client(f);
    char body[32];

    for (int i = 0; i < 5; i++) {
        snprintf(body, sizeof body, "body %d", i);
        post(f, fd, "/", body);
        run_until(f, 1);
        assert_string_equal(f->seen[SEEN_BODY], body);
        fcgi_read(fd, &f->got);
        assert_true(f->got.ended);
        assert_non_null(strstr(f->got.text, "\r\n\r\nhello"));
        assert_int_equal(front_connections(f->front), 1);
    }
    close(fd);
    connections_settle(f, 0);
    assert_int_equal(f->left, 0);
}

static void a_connection_not_kept_is_closed(void **state)
{
    struct fixture *f = *state;
    int fd = client(f);

    fcgi_begin(&f->message, false);
    fcgi_param(&f->message, "REQUEST_METHOD", "GET");
    fcgi_params_end(&f->message);
    fcgi_stdin_end(&f->message);
    send_message(f, fd);
    run_until(f, 1);
    fcgi_read(fd, &f->got);
    assert_true(f->got.ended);
    assert_true(is_closed(fd));
    assert_int_equal(front_connections(f->front), 0);
    close(fd);
}

static void writes_every_header(void **state)
{
    struct fixture *f = *state;
    int fd = client(f);

    f->answer = (struct http_answer){.status = 429,
                                     .content_type = TEXT("application/json"),
                                     .body = TEXT("{}"),
                                     .request_id = TEXT("id-1"),
                                     .allow = TEXT("POST"),
                                     .retry_after_s = 7,
                                     .idempotent_replayed = true,
                                     .should_retry = "false",
                                     .more_headers = TEXT("X-More: 1\r\nX-Else: 2\r\n")};
    post(f, fd, "/", "");
    run_until(f, 1);
    fcgi_read(fd, &f->got);
    assert_string_equal(
        f->got.text,
        "Status: 429 Too Many Requests\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
        "Request-Id: id-1\r\nAllow: POST\r\nRetry-After: 7\r\n"
        "Idempotent-Replayed: true\r\nStripe-Should-Retry: false\r\n"
        "X-More: 1\r\nX-Else: 2\r\n\r\n{}");
    close(fd);
}

static void absent_headers_are_not_written(void **state)
{
    struct fixture *f = *state;
    int fd = client(f);

    f->answer = (struct http_answer){.status = 599};
    post(f, fd, "/", "");
    run_until(f, 1);
    fcgi_read(fd, &f->got);
    assert_string_equal(f->got.text, "Status: 599\r\nContent-Length: 0\r\n\r\n");
    close(fd);
}

static void header_values_cannot_break_out(void **state)
{
    struct fixture *f = *state;
    int fd = client(f);

    f->answer.request_id = TEXT("a\r\nX-Evil: 1\0\x7f\xc3\xa9z");
    post(f, fd, "/", "");
    run_until(f, 1);
    fcgi_read(fd, &f->got);
    assert_non_null(strstr(f->got.text, "\r\nRequest-Id: aX-Evil: 1z\r\n"));
    close(fd);
}

static void answers_later_in_any_order(void **state)
{
    struct fixture *f = *state;
    int fds[3];
    char body[32];

    f->answer_at_once = false;
    for (int i = 0; i < 3; i++) {
        fds[i] = client(f);
        post(f, fds[i], "/", "x");
        run_until(f, 1);
    }
    for (int i = 2; i >= 0; i--) {
        snprintf(body, sizeof body, "to %d", i);
        f->answer.body = text_from(body);
        assert_true(front_answer(f->front, f->refs[i], &f->answer));
        assert_false(front_answer(f->front, f->refs[i], &f->answer)); /* once only */
        fcgi_read(fds[i], &f->got);
        assert_true(f->got.ended);
        assert_non_null(strstr(f->got.text, body));
    }
    /* An old reference does not reach the next request of its connection. */
    post(f, fds[0], "/", "x");
    run_until(f, 1);
    assert_false(front_answer(f->front, f->refs[0], &f->answer));
    assert_true(front_answer(f->front, f->refs[3], &f->answer));
    for (int i = 0; i < 3; i++)
        close(fds[i]);
}

static void large_answers_arrive_whole(void **state)
{
    struct fixture *f = *state;
    static char body[100000];
    int fd = client(f);

    memset(body, 'x', sizeof body);
    f->answer.body = (struct text){body, sizeof body};
    post(f, fd, "/", "");
    run_until(f, 1);
    fcgi_read(fd, &f->got);
    assert_true(f->got.ended);
    assert_non_null(strstr(f->got.text, "Content-Length: 100000\r\n"));
    assert_int_equal(f->got.length - (size_t)(strstr(f->got.text, "\r\n\r\n") + 4 - f->got.text),
                     sizeof body);
    close(fd);
}

/* ---- bodies */

static void post_of(struct fixture *f, int fd, size_t length, bool wanted_too_large)
{
    static char body[200000];

    memset(body, 'b', sizeof body);
    fcgi_post(&f->message, "/", (struct text){body, length});
    send_message(f, fd);
    run_until(f, 1);
    assert_int_equal(f->last.body_too_large, wanted_too_large);
    assert_false(f->last.body_cut);
    assert_int_equal(f->last.body.length, wanted_too_large ? 0 : length);
    fcgi_read(fd, &f->got);
    assert_true(f->got.ended);
}

static void bodies_too_large_are_read_away(void **state)
{
    struct fixture *f = *state;
    int fd = client(f);

    post_of(f, fd, 0, false);
    post_of(f, fd, BODY_MAX_BYTES - 1, false);
    post_of(f, fd, BODY_MAX_BYTES, false);
    post_of(f, fd, BODY_MAX_BYTES + 1, true);
    post_of(f, fd, 10000, true);
    post_of(f, fd, 100000, true);
    post_of(f, fd, 5, false);
    assert_int_equal(front_connections(f->front), 1);
    close(fd);
}

static void post_announced(struct fixture *f, int fd, const char *announced, const char *body)
{
    fcgi_begin(&f->message, true);
    fcgi_param(&f->message, "CONTENT_LENGTH", announced);
    fcgi_params_end(&f->message);
    fcgi_stdin(&f->message, text_from(body));
    fcgi_stdin_end(&f->message);
    send_message(f, fd);
    run_until(f, 1);
    fcgi_read(fd, &f->got);
}

static void short_bodies_are_told(void **state)
{
    static const struct {
        const char *announced;
        const char *body;
        bool cut;
    } table[] = {
        {"5", "12345", false}, {"6", "12345", true},
        {"1", "", true},       {"0", "", false},
        {"", "", false},       {"", "123", false},
        {"abc", "1", false},   {"99999999999999999999", "1", false},
        {"-1", "1", false},    {"4", "12345", false},
    };
    struct fixture *f = *state;
    int fd = client(f);

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        post_announced(f, fd, table[i].announced, table[i].body);
        assert_int_equal(f->last.body_cut, table[i].cut);
        assert_string_equal(f->seen[SEEN_BODY], table[i].body);
    }
    close(fd);
}

static void repeated_headers_are_told(void **state)
{
    struct fixture *f = *state;
    int fd = client(f);

    fcgi_begin(&f->message, true);
    fcgi_param(&f->message, "HTTP_IDEMPOTENCY_KEY", "");
    fcgi_param(&f->message, "HTTP_AUTHORIZATION", "first");
    fcgi_param(&f->message, "HTTP_IDEMPOTENCY_KEY", "b");
    fcgi_param(&f->message, "HTTP_AUTHORIZATION", "second");
    fcgi_param(&f->message, "HTTP_STRIPE_ACCOUNT", "acct_1");
    fcgi_param(&f->message, "HTTP_STRIPE_ACCOUNT", "acct_1");
    fcgi_params_end(&f->message);
    fcgi_stdin_end(&f->message);
    send_message(f, fd);
    run_until(f, 1);
    assert_true(f->last.idempotency_key_repeated);
    assert_true(f->last.stripe_account_repeated);
    assert_string_equal(f->seen[SEEN_AUTHORIZATION], "first");
    close(fd);
}

/* ---- clients that leave */

static void a_client_that_leaves_is_told_once(void **state)
{
    struct fixture *f = *state;
    int fd = client(f);

    f->answer_at_once = false;
    post(f, fd, "/", "x");
    run_until(f, 1);
    close(fd);
    run_until(f, 1);
    assert_int_equal(f->left, 1);
    assert_memory_equal(&f->left_ref, &f->refs[0], sizeof f->left_ref);
    assert_int_equal(front_connections(f->front), 0);
    assert_false(front_answer(f->front, f->refs[0], &f->answer));
    run_a_while(f);
    assert_int_equal(f->left, 1);
}

static void half_closing_is_leaving(void **state)
{
    struct fixture *f = *state;
    int fd = client(f);

    f->answer_at_once = false;
    post(f, fd, "/", "x");
    run_until(f, 1);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    run_until(f, 1);
    assert_int_equal(f->left, 1);
    assert_int_equal(front_connections(f->front), 0);
    close(fd);
}

/* The request was sent and the connection closed before the front has looked at either. */
static void a_request_of_a_gone_client_is_still_handed_over(void **state)
{
    struct fixture *f = *state;
    int fd = client(f);

    f->answer_at_once = false;
    post(f, fd, "/", "x");
    close(fd);
    run_until(f, 2);
    assert_int_equal(f->requests, 1);
    assert_int_equal(f->left, 1);
}

static void answering_a_gone_client_is_no_error(void **state)
{
    struct fixture *f = *state;
    int fd = client(f);

    f->answer_at_once = false;
    post(f, fd, "/", "x");
    run_until(f, 1);
    close(fd);
    assert_false(front_answer(f->front, f->refs[0], &f->answer)); /* before the loop has noticed */
    assert_int_equal(front_connections(f->front), 0);
    run_a_while(f);
    assert_int_equal(f->left, 0);
}

static void bytes_ahead_of_their_time_wait(void **state)
{
    struct fixture *f = *state;
    int fd = client(f);

    f->answer_at_once = false;
    post(f, fd, "/", "first");
    run_until(f, 1);
    post(f, fd, "/", "second");
    run_a_while(f);
    assert_int_equal(f->requests, 1);
    assert_true(front_answer(f->front, f->refs[0], &f->answer));
    run_until(f, 1);
    assert_string_equal(f->seen[SEEN_BODY], "second");
    close(fd);
    run_until(f, 1); /* leaving is noticed even while more bytes waited */
    assert_int_equal(f->left, 1);
}

static void a_client_that_does_not_read_is_given_up(void **state)
{
    struct fixture *f = *state;
    static char body[4 << 20];
    int fd = client(f);

    f->answer_at_once = false;
    post(f, fd, "/", "x");
    run_until(f, 1);
    f->answer.body = (struct text){body, sizeof body};
    assert_false(front_answer(f->front, f->refs[0], &f->answer));
    assert_int_equal(front_connections(f->front), 0);
    close(fd);
}

/* ---- nonsense */

static void nonsense_closes_its_connection_alone(void **state)
{
    static const struct {
        const char *what;
        struct text bytes;
    } table[] = {
        {"HTTP", TEXT("GET / HTTP/1.1\r\nHost: x\r\n\r\n")},
        {"zeros", TEXT("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")},
        {"half a header", TEXT("\1\1\0\1")},
        {"only a begin record", TEXT("\1\1\0\1\0\10\0\0\0\1\1\0\0\0\0\0")},
        {"half a begin record", TEXT("\1\1\0\1\0\10\0\0\0\1")},
        {"begin record of another size", TEXT("\1\1\0\1\0\4\0\0\0\1\1\0")},
        {"request 0", TEXT("\1\1\0\0\0\10\0\0\0\1\1\0\0\0\0\0")},
        {"authorizer, unknown role 9", TEXT("\1\1\0\1\0\10\0\0\0\11\1\0\0\0\0\0\1\4\0\1\0\0\0\0")},
        {"stdin before params", TEXT("\1\1\0\1\0\10\0\0\0\1\1\0\0\0\0\0\1\5\0\1\0\0\0\0")},
        {"params that break off",
         TEXT("\1\1\0\1\0\10\0\0\0\1\1\0\0\0\0\0\1\4\0\1\0\2\0\0\5\5\1\4\0\1\0\0\0\0")},
        {"wrong version", TEXT("\2\1\0\1\0\10\0\0\0\1\1\0\0\0\0\0")},
        {"no end of the input", TEXT("\1\1\0\1\0\10\0\0\0\1\1\0\0\0\0\0\1\4\0\1\0\0\0\0\1\5\0\1\0\2\0\0ab")},
    };
    struct fixture *f = *state;
    int good = client(f);

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        int fd = client(f);
        print_message("%s\n", table[i].what);
        send_bytes(fd, table[i].bytes.at, table[i].bytes.length);
        RUN_WHILE(f, !is_closed(fd));
        assert_true(is_closed(fd));
        connections_settle(f, 1);
        assert_int_equal(f->requests, (int)i);
        assert_int_equal(f->left, 0);
        post(f, good, "/", "x");
        run_until(f, 1);
        fcgi_read(good, &f->got);
        assert_true(f->got.ended);
        close(fd);
    }
    close(good);
}

static void silence_and_closing_is_quiet(void **state)
{
    struct fixture *f = *state;
    int fds[3];

    for (int i = 0; i < 3; i++)
        fds[i] = client(f);
    connections_settle(f, 3);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    connections_settle(f, 0);
    assert_int_equal(f->requests + f->left, 0);
}

static void breaking_off_in_the_body_is_no_request(void **state)
{
    struct fixture *f = *state;
    int fd = client(f);

    fcgi_post(&f->message, "/", TEXT("0123456789"));
    f->message.length -= 12; /* the end record and some of the body */
    send_message(f, fd);
    close(fd);
    run_a_while(f);
    connections_settle(f, 0);
    assert_int_equal(f->requests + f->left, 0);
}

/* ---- accepting */

static void more_than_allowed_wait_in_the_queue(void **state)
{
    struct fixture *f = *state;
    int fds[MOST_CONNECTIONS + 2];

    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        fds[i] = client(f);
        post(f, fds[i], "/", "x");
    }
    RUN_WHILE(f, f->requests < MOST_CONNECTIONS);
    run_a_while(f);
    assert_int_equal(front_connections(f->front), MOST_CONNECTIONS);
    assert_int_equal(f->requests, MOST_CONNECTIONS);
    close(fds[0]);
    close(fds[1]);
    RUN_WHILE(f, f->requests < MOST_CONNECTIONS + 2);
    assert_int_equal(f->requests, MOST_CONNECTIONS + 2);
    for (size_t i = 2; i < COUNT_OF(fds); i++)
        close(fds[i]);
}

/* A lower limit closes nobody: whoever is connected may ask, all at once, and only newcomers wait. */
static void a_lower_limit_serves_who_is_there(void **state)
{
    struct fixture *f = *state;
    int fds[MOST_CONNECTIONS], late;

    f->answer_at_once = false;
    for (int i = 0; i < MOST_CONNECTIONS; i++)
        fds[i] = client(f);
    connections_settle(f, MOST_CONNECTIONS);
    assert_true(front_limit(f->front, 2));
    late = client(f);
    post(f, late, "/", "x");
    for (int i = 0; i < MOST_CONNECTIONS; i++)
        post(f, fds[i], "/", "x");
    run_until(f, MOST_CONNECTIONS);
    run_a_while(f);
    assert_int_equal(f->requests, MOST_CONNECTIONS);
    for (int i = 0; i < MOST_CONNECTIONS; i++)
        assert_true(front_answer(f->front, f->refs[i], &f->answer));
    for (int i = 1; i < MOST_CONNECTIONS; i++)
        close(fds[i]);
    run_until(f, 1);
    assert_int_equal(f->requests, MOST_CONNECTIONS + 1); /* the newcomer's */
    assert_true(front_limit(f->front, MOST_CONNECTIONS + 4));
    for (int i = 1; i < MOST_CONNECTIONS; i++) {
        fds[i] = client(f);
        post(f, fds[i], "/", "x");
    }
    post(f, fds[0], "/", "x");
    run_until(f, MOST_CONNECTIONS);
    assert_int_equal(front_connections(f->front), MOST_CONNECTIONS + 1);
    for (int i = 0; i < MOST_CONNECTIONS; i++)
        close(fds[i]);
    close(late);
}

static void without_descriptors_it_waits(void **state)
{
    struct fixture *f = *state;
    int fd = client(f);
    struct rlimit before, none;
    int errors = dup(STDERR_FILENO);
    FILE *log = tmpfile();
    const char *preloaded = getenv("LD_PRELOAD");

    assert_non_null(log);
    if (preloaded && strstr(preloaded, "vgpreload")) { /* valgrind has limits of its own */
        fclose(log);
        close(errors);
        close(fd);
        skip();
    }
    post(f, fd, "/", "x");
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 3;
    assert_true(dup2(fileno(log), STDERR_FILENO) >= 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    RUN_WHILE(f, lseek(fileno(log), 0, SEEK_END) == 0);
    run_a_while(f);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_true(dup2(errors, STDERR_FILENO) >= 0);
    assert_int_equal(f->requests, 0);
    assert_true(lseek(fileno(log), 0, SEEK_END) > 0);    /* it said so... */
    assert_true(lseek(fileno(log), 0, SEEK_END) < 1000); /* ... once */
    run_until(f, 1);
    assert_int_equal(f->requests, 1);
    fclose(log);
    close(errors);
    close(fd);
}

static void draining_our_own_socket_serves_the_queue(void **state)
{
    struct fixture *f = *state;
    int kept = client(f), queued[3];

    post(f, kept, "/", "x");
    run_until(f, 1);
    for (int i = 0; i < 3; i++)
        queued[i] = client(f);
    front_drain(f->front);
    front_drain(f->front); /* harmless */
    assert_int_equal(front_connections(f->front), 4);
    assert_int_equal(try_connect(f), -1);
    for (int i = 0; i < 3; i++) {
        post(f, queued[i], "/", "x");
        run_until(f, 1);
        close(queued[i]);
    }
    post(f, kept, "/", "x");
    run_until(f, 1);
    close(kept);
    connections_settle(f, 0);
}

static void draining_serves_even_a_queue_beyond_the_cap(void **state)
{
    struct fixture *f = *state;
    int fds[MOST_CONNECTIONS + 3];

    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        fds[i] = client(f);
        post(f, fds[i], "/", "x");
    }
    front_drain(f->front);
    assert_int_equal(front_connections(f->front), MOST_CONNECTIONS);
    for (size_t i = 0; i < COUNT_OF(fds); i++)
        close(fds[i]);
    RUN_WHILE(f, f->requests < MOST_CONNECTIONS + 3);
    assert_int_equal(f->requests, MOST_CONNECTIONS + 3);
    connections_settle(f, 0);
}

static void draining_a_shared_socket_leaves_the_queue_to_others(void **state)
{
    struct fixture *f = *state;
    int queued;

    front_drain(f->front);
    queued = client(f);
    post(f, queued, "/", "x");
    run_a_while(f);
    assert_int_equal(front_connections(f->front), 0);
    assert_int_equal(f->requests, 0);
    front_close(f->front);
    open_front(f, false); /* another worker */
    run_until(f, 1);
    close(queued);
}

static void closing_frees_what_is_open(void **state)
{
    struct fixture *f = *state;
    int idle = client(f), pending = client(f);

    f->answer_at_once = false;
    post(f, pending, "/", "x");
    run_until(f, 1);
    connections_settle(f, 2);
    front_close(f->front);
    f->front = NULL;
    assert_true(is_closed(idle));
    assert_true(is_closed(pending));
    assert_int_equal(f->left, 0);
    close(idle);
    close(pending);
}

static void refuses_what_is_no_socket(void **state)
{
    struct fixture *f = *state;
    struct front_settings settings = {
        .listen_fd = 1000000, .max_connections = 1, .body_max_bytes = 1, .io_timeout_ms = 1};

    assert_null(front_open(f->loop, &settings, on_request, on_left, f));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(hands_over_all_parameters),
        TEST(a_kept_connection_serves_again),
        TEST(a_connection_not_kept_is_closed),
        TEST(writes_every_header),
        TEST(absent_headers_are_not_written),
        TEST(header_values_cannot_break_out),
        TEST(answers_later_in_any_order),
        TEST(large_answers_arrive_whole),
        TEST(bodies_too_large_are_read_away),
        TEST(short_bodies_are_told),
        TEST(repeated_headers_are_told),
        TEST(a_client_that_leaves_is_told_once),
        TEST(half_closing_is_leaving),
        TEST(a_request_of_a_gone_client_is_still_handed_over),
        TEST(answering_a_gone_client_is_no_error),
        TEST(bytes_ahead_of_their_time_wait),
        TEST(a_client_that_does_not_read_is_given_up),
        TEST(nonsense_closes_its_connection_alone),
        TEST(silence_and_closing_is_quiet),
        TEST(breaking_off_in_the_body_is_no_request),
        TEST(more_than_allowed_wait_in_the_queue),
        TEST(a_lower_limit_serves_who_is_there),
        TEST(without_descriptors_it_waits),
        TEST(draining_our_own_socket_serves_the_queue),
        TEST(draining_serves_even_a_queue_beyond_the_cap),
        cmocka_unit_test_setup_teardown(draining_a_shared_socket_leaves_the_queue_to_others, set_up_shared,
                                        tear_down),
        TEST(closing_frees_what_is_open),
        TEST(refuses_what_is_no_socket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
