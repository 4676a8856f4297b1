// The stand-in for the upstream: an invoicing API in memory, with faults on demand.
#include <signal.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "sandbox/server.h"

// Every delayed answer holds a connection.
static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static void tell_start(const struct sandbox *sandbox)
{
    fprintf(
        stderr,
        "invoicegate-sandbox: listening on %s://%s:%u, latency %lld ms and up to %lld ms more, state %s\n",
        sandbox->tls == NULL ? "http" : "https", sandbox->options->host, sandbox->port,
        (long long)sandbox->latency_ms, (long long)sandbox->jitter_ms,
        sandbox->options->state_file == NULL ? "in memory" : sandbox->options->state_file);
}

static bool run(const struct options *options)
{
    struct sandbox sandbox = {.options = options,
                              .latency_ms = options->latency_ms,
                              .jitter_ms = options->jitter_ms,
                              .state = {.fd = -1}};
    CHECK(getrandom(&sandbox.random, sizeof sandbox.random, 0) == (ssize_t)sizeof sandbox.random);
    recent_open(&sandbox.recent);
    bool good = state_open(&sandbox.state, options->state_file, &sandbox.call, &sandbox.store) &&
                server_open(&sandbox);
    if (good) {
        tell_start(&sandbox);
        server_run(&sandbox);
    }
    server_close(&sandbox);
    state_close(&sandbox.state);
    faults_remove(&sandbox.faults, 0);
    recent_close(&sandbox.recent);
    call_free(&sandbox.call);
    text_free(&sandbox.plain);
    store_free(&sandbox.store);
    return good;
}

int main(int argc, char **argv)
{
    struct options options;
    signal(SIGPIPE, SIG_IGN);
    raise_file_limit();
    switch (options_read(&options, argc, argv)) {
    case OPTIONS_RUN:
        return run(&options) ? 0 : 1;
    case OPTIONS_HELP:
        return 0;
    case OPTIONS_WRONG:
        break;
    }
    return 2;
}
