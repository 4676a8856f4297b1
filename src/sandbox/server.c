#include "sandbox/server.h"

#include <errno.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/requests.h"
#include "sandbox/wire.h"

enum { BACKLOG = 4096, MOST_BODY_BYTES = 1 << 20, MOST_HEADERS_BYTES = 65536, IDLE_S = 3600, RETRY_MS = 50 };

// libevent parses no port 0, so the port is put in afterwards.
static bool read_address(const struct sandbox *sandbox, struct sockaddr_storage *address, int *len)
{
    *len = sizeof *address;
    if (evutil_parse_sockaddr_port(sandbox->options->host, (struct sockaddr *)address, len) != 0) {
        errno = EINVAL;
        return false;
    }
    if (address->ss_family == AF_INET6)
        ((struct sockaddr_in6 *)address)->sin6_port = htons(sandbox->port);
    else
        ((struct sockaddr_in *)address)->sin_port = htons(sandbox->port);
    return true;
}

static bool listen_again(struct sandbox *sandbox)
{
    struct sockaddr_storage address;
    int address_len;
    if (!read_address(sandbox, &address, &address_len))
        return false;
    struct evconnlistener *listener = evconnlistener_new_bind(
        sandbox->base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE, BACKLOG,
        (struct sockaddr *)&address, address_len);
    if (listener == NULL)
        return false;
    // Accepted sockets inherit it: an answer goes out in one segment or at least at once.
    int on = 1;
    setsockopt(evconnlistener_get_fd(listener), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sandbox->listener = evhttp_bind_listener(sandbox->http, listener);
    CHECK(sandbox->listener != NULL);
    sandbox->refusing = false;
    return true;
}

static void on_relisten(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    struct sandbox *sandbox = argument;
    const struct timeval retry = {0, RETRY_MS * 1000};
    if (!listen_again(sandbox))
        evtimer_add(sandbox->relisten, &retry);
}

void server_refuse(struct sandbox *sandbox, int64_t duration_ms)
{
    const struct timeval duration = {duration_ms / 1000, duration_ms % 1000 * 1000};
    if (sandbox->refusing)
        return;
    sandbox->refusing = true;
    evhttp_del_accept_socket(sandbox->http, sandbox->listener);
    sandbox->listener = NULL;
    evtimer_add(sandbox->relisten, &duration);
}

static uint16_t bound_port(const struct sandbox *sandbox)
{
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } address = {.in6 = {0}};
    socklen_t len = sizeof address;
    CHECK(getsockname(evhttp_bound_socket_get_fd(sandbox->listener), &address.any, &len) == 0);
    return ntohs(address.any.sa_family == AF_INET6 ? address.in6.sin6_port : address.in.sin_port);
}

static struct bufferevent *make_tls(struct event_base *base, void *argument)
{
    struct sandbox *sandbox = argument;
    SSL *ssl = SSL_new(sandbox->tls);
    CHECK(ssl != NULL);
    struct bufferevent *bufferevent =
        bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
    CHECK(bufferevent != NULL);
    bufferevent_openssl_set_allow_dirty_shutdown(bufferevent, 1);
    return bufferevent;
}

static bool open_tls(struct sandbox *sandbox)
{
    const struct options *options = sandbox->options;
    if (options->tls_cert == NULL)
        return true;
    sandbox->tls = SSL_CTX_new(TLS_server_method());
    CHECK(sandbox->tls != NULL);
    if (SSL_CTX_use_certificate_chain_file(sandbox->tls, options->tls_cert) != 1 ||
        SSL_CTX_use_PrivateKey_file(sandbox->tls, options->tls_key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(sandbox->tls) != 1) {
        fprintf(stderr, "invoicegate-sandbox: cannot use %s with %s: %s\n", options->tls_cert,
                options->tls_key, ERR_error_string(ERR_get_error(), NULL));
        return false;
    }
    evhttp_set_bevcb(sandbox->http, make_tls, sandbox);
    return true;
}

static bool write_port_file(const struct sandbox *sandbox)
{
    const char *path = sandbox->options->port_file;
    if (path == NULL)
        return true;
    // Written aside and renamed: whoever waits for the file never reads half of it.
    struct text aside = {0};
    text_format(&aside, "%s.new", path);
    FILE *file = fopen(text_end(&aside), "w");
    bool good = file != NULL && fprintf(file, "%u\n", sandbox->port) > 0;
    good = file != NULL && fclose(file) == 0 && good && rename(aside.data, path) == 0;
    text_free(&aside);
    if (!good)
        fprintf(stderr, "invoicegate-sandbox: cannot write %s\n", path);
    return good;
}

static struct event_base *make_base(void)
{
    struct event_config *config = event_config_new();
    CHECK(config != NULL);
    // Most requests switch reading off and on again: the change list drops what cancels out.
    event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    CHECK(base != NULL);
    return base;
}

bool server_open(struct sandbox *sandbox)
{
    sandbox->base = make_base();
    sandbox->http = evhttp_new(sandbox->base);
    sandbox->relisten = evtimer_new(sandbox->base, on_relisten, sandbox);
    CHECK(sandbox->http != NULL && sandbox->relisten != NULL);
    evhttp_set_max_body_size(sandbox->http, MOST_BODY_BYTES);
    evhttp_set_max_headers_size(sandbox->http, MOST_HEADERS_BYTES);
    evhttp_set_timeout(sandbox->http, IDLE_S);
    evhttp_set_allowed_methods(sandbox->http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD |
                                                  EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE | EVHTTP_REQ_PATCH |
                                                  EVHTTP_REQ_OPTIONS);
    evhttp_set_gencb(sandbox->http, requests_handle, sandbox);
    sandbox->port = sandbox->options->port;
    if (!open_tls(sandbox))
        return false;
    if (!listen_again(sandbox)) {
        fprintf(stderr, "invoicegate-sandbox: cannot listen on %s:%u: %s\n", sandbox->options->host,
                sandbox->port, strerror(errno));
        return false;
    }
    sandbox->port = bound_port(sandbox);
    return write_port_file(sandbox);
}

static void on_signal(evutil_socket_t signal_number, short what, void *argument)
{
    (void)signal_number;
    (void)what;
    struct sandbox *sandbox = argument;
    event_base_loopbreak(sandbox->base);
}

void server_run(struct sandbox *sandbox)
{
    struct event *term = evsignal_new(sandbox->base, SIGTERM, on_signal, sandbox);
    struct event *interrupt = evsignal_new(sandbox->base, SIGINT, on_signal, sandbox);
    CHECK(term != NULL && interrupt != NULL);
    CHECK(evsignal_add(term, NULL) == 0 && evsignal_add(interrupt, NULL) == 0);
    event_base_dispatch(sandbox->base);
    event_free(term);
    event_free(interrupt);
}

void server_close(struct sandbox *sandbox)
{
    wire_drop_all(sandbox);
    if (sandbox->relisten != NULL)
        event_free(sandbox->relisten);
    if (sandbox->http != NULL)
        evhttp_free(sandbox->http);
    if (sandbox->base != NULL)
        event_base_free(sandbox->base);
    SSL_CTX_free(sandbox->tls);
}
