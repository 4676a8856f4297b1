/* invoicegate: the worker. Started by spawn-fcgi with the listening socket as file descriptor 0. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/notify.h"
#include "check.h"
#include "config.h"
#include "flow/gateway.h"
#include "reload.h"
#include "settings.h"

#define BODY_MAX_BYTES 65536
#define IO_TIMEOUT_MS 2000
#define DRAIN_LOOK_MS 50
#define OPEN_LOOK_MS 5
#define OPEN_PATIENCE_MS 2000

struct worker {
    struct config config;
    struct loop *loop;
    struct store_settings store_settings;
    struct gateway_settings gateway_settings;
    struct gateway gateway;
    struct timer look; /* how far the start, a drain or a check has come */
    int64_t patience_until_ms;
    int status;
};

static int usage(FILE *out)
{
    fprintf(
        out,
        "invoicegate %s: a FastCGI application that creates invoices, behind nginx\n"
        "\n"
        "  spawn-fcgi -n -s /run/invoicegate/1.sock -M 0660 -b 4096 -- /usr/local/bin/invoicegate\n"
        "  invoicegate --check     verify settings, database and upstream credential, then leave:\n"
        "                          exit status 0 fine, 1 settings, 4 database, 5 upstream\n"
        "  invoicegate --version\n"
        "  invoicegate --help\n"
        "\n"
        "Signals: TERM, INT and USR1 end it after the requests in flight; HUP reads settings and keys anew.\n"
        "\n"
        "Settings, from the environment and the settings file:\n",
        INVOICEGATE_VERSION);
    config_describe(out);
    return EXIT_SUCCESS;
}

/* Done when nginx has closed its connections and nothing is in flight, or when patience ends. */
static void drain_look(void *owner)
{
    struct worker *worker = owner;
    struct front *front = worker->gateway.front; /* none when the signal came early */
    bool idle = (!front || front_connections(front) == 0) && gateway_inflight(&worker->gateway) == 0;
    if (idle || loop_now_ms(worker->loop) >= worker->patience_until_ms)
        loop_stop(worker->loop);
    else
        loop_timer(worker->loop, &worker->look, DRAIN_LOOK_MS, drain_look, worker);
}

static void on_signal(void *owner, int number)
{
    struct worker *worker = owner;
    if (number == SIGHUP)
        reload_settings(&worker->config, &worker->gateway, &worker->gateway_settings,
                        &worker->store_settings);
    if (number == SIGHUP || worker->gateway.draining)
        return;
    LOG(LOG_INFO, "draining", LOG_INT("signal", number));
    notify("STOPPING=1");
    worker->gateway.draining = true;
    worker->patience_until_ms = loop_now_ms(worker->loop) + worker->config.drain_ms;
    if (worker->gateway.front)
        front_drain(worker->gateway.front);
    drain_look(worker);
}

static bool open_store(struct worker *worker)
{
    worker->store_settings = settings_store(&worker->config);
    worker->store_settings.metrics = worker->gateway.metrics;
    worker->gateway.store =
        store_open(worker->loop, &worker->store_settings, gateway_stored, recovery_taken, &worker->gateway);
    return worker->gateway.store != NULL;
}

static bool open_upstream(struct worker *worker)
{
    struct upstream_settings settings = settings_upstream(&worker->config);
    worker->gateway.upstream = upstream_open(worker->loop, &settings, gateway_called, &worker->gateway);
    return worker->gateway.upstream != NULL;
}

static bool open_front(struct worker *worker)
{
    struct front_settings settings = {
        .listen_fd = STDIN_FILENO,
        .listen_fd_is_ours = worker->config.own_socket,
        .max_connections = settings_connections(&worker->config),
        .body_max_bytes = BODY_MAX_BYTES,
        .io_timeout_ms = IO_TIMEOUT_MS,
    };
    worker->gateway.front =
        front_open(worker->loop, &settings, gateway_arrived, gateway_client_left, &worker->gateway);
    return worker->gateway.front != NULL;
}

static bool stdin_listens(void)
{
    int listening = 0;
    socklen_t length = sizeof(listening);
    return getsockopt(STDIN_FILENO, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) == 0 && listening;
}

/* A worker that has just begun would refuse whom it could serve a moment later: it opens once the database
 * can be used. Without one it opens all the same after a while, to say so. */
static void open_look(void *owner)
{
    struct worker *worker = owner;
    if (!store_is_ready(worker->gateway.store) && loop_now_ms(worker->loop) < worker->patience_until_ms) {
        loop_timer(worker->loop, &worker->look, OPEN_LOOK_MS, open_look, worker);
    } else if (!open_front(worker)) {
        fprintf(stderr, "invoicegate: cannot start: out of memory or descriptors\n");
        worker->status = EXIT_FAILURE;
        loop_stop(worker->loop);
    } else {
        notify("READY=1");
    }
}

/* Start-up order: signals before any library can take them; the front door last, when all behind it stands.
 */
static bool start(struct worker *worker)
{
    worker->gateway_settings = settings_gateway(&worker->config);
    worker->loop = loop_new();
    if (!worker->loop || !loop_signals(worker->loop, on_signal, worker) ||
        !gateway_init(&worker->gateway, worker->loop, &worker->gateway_settings))
        return false;
    if (!open_store(worker))
        return false;
    if (!open_upstream(worker))
        return false;
    worker->patience_until_ms = loop_now_ms(worker->loop) + OPEN_PATIENCE_MS;
    open_look(worker);
    recovery_start(&worker->gateway);
    admission_start(&worker->gateway);
    admin_start(&worker->gateway);
    return true;
}

static void stop(struct worker *worker)
{
    recovery_stop(&worker->gateway);
    admission_stop(&worker->gateway);
    front_close(worker->gateway.front);
    upstream_close(worker->gateway.upstream);
    store_close(worker->gateway.store);
    gateway_free(&worker->gateway);
    loop_free(worker->loop);
}

static int run(struct worker *worker)
{
    if (!stdin_listens()) {
        fprintf(stderr, "invoicegate: file descriptor 0 is no listening socket: start it with spawn-fcgi "
                        "(invoicegate --help shows how)\n");
        return EXIT_FAILURE;
    }
    if (!config_read(&worker->config, stderr))
        return EXIT_FAILURE;
    log_level_set(worker->config.log_level);
    reload_tell_strays(&worker->config);
    worker->status = EXIT_SUCCESS;
    if (start(worker)) {
        loop_run(worker->loop);
    } else {
        fprintf(stderr, "invoicegate: cannot start: out of memory or descriptors\n");
        worker->status = EXIT_FAILURE;
    }
    stop(worker);
    return worker->status;
}

int main(int argc, char **argv)
{
    static struct worker worker; /* large: secrets live in it */
    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        return usage(stdout);
    if (argc == 2 && strcmp(argv[1], "--version") == 0)
        return printf("invoicegate %s\n", INVOICEGATE_VERSION) > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    if (argc == 2 && strcmp(argv[1], "--check") == 0)
        return config_read(&worker.config, stderr) ? check_all(&worker.config) : EXIT_FAILURE;
    if (argc > 1) {
        fprintf(stderr, "invoicegate: unknown argument %s; try invoicegate --help\n", argv[1]);
        return 2;
    }
    return run(&worker);
}
