#include "sandbox/wire.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    ENDLESS_BYTES = 64 << 20,
    ENDLESS_PIECE_BYTES = 65536,
    ENDLESS_BACKLOG_BYTES = 1 << 20,
    ENDLESS_MS = 2
};

struct wire {
    struct event timer;
    struct sandbox *sandbox;
    struct evhttp_request *request;
    struct wire_plan plan;
    struct text body;
    size_t sent;
    bool begun;
    struct wire *next;
    struct wire **previous; // what points to this one
};

static void forget(struct wire *wire)
{
    *wire->previous = wire->next;
    if (wire->next != NULL)
        wire->next->previous = wire->previous;
    event_del(&wire->timer);
    text_free(&wire->body);
    free(wire);
}

static void wait_ms(struct wire *wire, int64_t delay_ms)
{
    struct timeval delay = {.tv_sec = delay_ms / 1000, .tv_usec = delay_ms % 1000 * 1000};
    CHECK(evtimer_add(&wire->timer, &delay) == 0);
}

// Ends the connection without an answer. A request whose peer has left has no connection any more and is
// ours.
static void end_connection(struct evhttp_request *request, bool reset)
{
    struct evhttp_connection *connection = evhttp_request_get_connection(request);
    if (connection == NULL) {
        evhttp_request_free(request);
        return;
    }
    if (reset) {
        // Dissolving the association makes the kernel send RST and nothing else; libevent then closes the
        // descriptor.
        struct sockaddr nobody = {.sa_family = AF_UNSPEC};
        evutil_socket_t fd = bufferevent_getfd(evhttp_connection_get_bufferevent(connection));
        if (fd >= 0 && connect(fd, &nobody, sizeof nobody) != 0)
            perror("invoicegate-sandbox: reset");
    }
    evhttp_connection_free(connection);
}

static void set_length(struct evhttp_request *request, size_t len)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%zu", len);
    evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Length", digits);
}

static void send_piece(struct wire *wire, const char *bytes, size_t len)
{
    struct evbuffer *piece = evbuffer_new();
    CHECK(piece != NULL);
    evbuffer_add(piece, bytes, len);
    evhttp_send_reply_chunk(wire->request, piece);
    evbuffer_free(piece);
    wire->sent += len;
}

// One more piece; true when there is more to come.
static bool drip(struct wire *wire)
{
    size_t piece = wire->plan.bytes > 0 ? (size_t)wire->plan.bytes : 1;
    if (!wire->begun) {
        set_length(wire->request, wire->body.len);
        evhttp_send_reply_start(wire->request, wire->plan.status, NULL);
    }
    wire->begun = true;
    if (evhttp_request_get_connection(wire->request) == NULL || wire->sent >= wire->body.len)
        return false;
    if (piece > wire->body.len - wire->sent)
        piece = wire->body.len - wire->sent;
    send_piece(wire, wire->body.data + wire->sent, piece);
    return true;
}

static bool flood(struct wire *wire)
{
    char filler[ENDLESS_PIECE_BYTES];
    size_t most = wire->plan.bytes > 0 ? (size_t)wire->plan.bytes : (size_t)ENDLESS_BYTES;
    if (!wire->begun) {
        evhttp_send_reply_start(wire->request, wire->plan.status, NULL);
        send_piece(wire, wire->body.data, wire->body.len);
    }
    wire->begun = true;
    struct evhttp_connection *connection = evhttp_request_get_connection(wire->request);
    if (connection == NULL || wire->sent >= most)
        return false;
    struct evbuffer *output = bufferevent_get_output(evhttp_connection_get_bufferevent(connection));
    memset(filler, ' ', sizeof filler);
    if (evbuffer_get_length(output) < ENDLESS_BACKLOG_BYTES)
        send_piece(wire, filler, sizeof filler);
    return true;
}

static void step(struct wire *wire, bool more, int64_t step_ms)
{
    if (more) {
        wait_ms(wire, step_ms);
        return;
    }
    evhttp_send_reply_end(wire->request);
    forget(wire);
}

static void send_whole(struct evhttp_request *request, const struct text *body, size_t len, int status)
{
    evbuffer_add(evhttp_request_get_output_buffer(request), body->data, len);
    evhttp_send_reply(request, status, NULL, NULL);
}

static void send_cut(struct wire *wire)
{
    size_t half = wire->body.len / 2;
    size_t len =
        wire->plan.bytes >= 0 && (size_t)wire->plan.bytes < wire->body.len ? (size_t)wire->plan.bytes : half;
    set_length(wire->request, wire->body.len);
    evhttp_add_header(evhttp_request_get_output_headers(wire->request), "Connection", "close");
    send_whole(wire->request, &wire->body, len, wire->plan.status);
}

static void on_due(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    struct wire *wire = argument;
    switch (wire->plan.how) {
    case WIRE_DRIP:
        step(wire, drip(wire), wire->plan.step_ms);
        return;
    case WIRE_ENDLESS:
        step(wire, flood(wire), ENDLESS_MS);
        return;
    case WIRE_PLAIN:
        send_whole(wire->request, &wire->body, wire->body.len, wire->plan.status);
        break;
    case WIRE_CUT:
        send_cut(wire);
        break;
    case WIRE_RESET:
    case WIRE_REFUSE:
        end_connection(wire->request, true);
        break;
    case WIRE_HANG:
        end_connection(wire->request, false);
        break;
    }
    forget(wire);
}

void wire_send(struct sandbox *sandbox, struct evhttp_request *request, const struct text *body,
               struct wire_plan plan)
{
    if (plan.how == WIRE_PLAIN && plan.delay_ms == 0) {
        send_whole(request, body, body->len, plan.status);
        return;
    }
    // Connections are never ended in here: libevent is still busy with the request when it calls us.
    struct wire *wire = calloc(1, sizeof *wire);
    CHECK(wire != NULL);
    wire->sandbox = sandbox;
    wire->request = request;
    wire->plan = plan;
    text_add(&wire->body, body->data, body->len);
    wire->next = sandbox->wires;
    wire->previous = &sandbox->wires;
    if (wire->next != NULL)
        wire->next->previous = &wire->next;
    sandbox->wires = wire;
    CHECK(evtimer_assign(&wire->timer, sandbox->base, on_due, wire) == 0);
    wait_ms(wire, plan.delay_ms);
}

void wire_drop_all(struct sandbox *sandbox)
{
    for (struct wire *wire = sandbox->wires, *next; wire != NULL; wire = next) {
        next = wire->next;
        if (evhttp_request_get_connection(wire->request) == NULL)
            evhttp_request_free(wire->request);
        forget(wire);
    }
}
