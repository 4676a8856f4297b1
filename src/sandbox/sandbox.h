// The whole program's state: one thread, one event loop.
#pragma once

#include "sandbox/faults.h"
#include "sandbox/options.h"
#include "sandbox/recent.h"
#include "sandbox/state.h"

struct event_base;
struct evhttp;
struct evhttp_bound_socket;
struct evhttp_request;
struct ssl_ctx_st;
struct wire;

struct sandbox {
    const struct options *options;
    struct event_base *base;
    struct evhttp *http;
    struct evhttp_bound_socket *listener; // NULL while connections are refused
    struct ssl_ctx_st *tls;               // NULL without TLS
    struct event *relisten;
    struct wire *wires; // answers under way
    uint16_t port;
    bool refusing;
    int64_t latency_ms;
    int64_t jitter_ms;
    uint64_t random;
    struct store store;
    struct faults faults;
    struct recent recent;
    struct state state;
    struct call call;  // the one being worked on
    struct text plain; // its answer as JSON
};

int64_t sandbox_wall_ms(void);
int64_t sandbox_monotonic_ms(void);
uint64_t sandbox_random(struct sandbox *sandbox);
