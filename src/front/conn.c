#include "front/conn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/log.h"
#include "front/conn_io.h"

#define ACCEPT_BATCH 64
#define ACCEPT_PAUSE_MS 100

/* A connection from nginx. Idle: fcgi holds nothing but the descriptor. Pending: ref is valid and fcgi holds
 * the request, until front_answer() or the peer's leaving. */
struct conn {
    struct front *front;
    struct conn *next, *previous;
    struct watch watch;
    FCGX_Request fcgi;
    struct ref ref;
    bool
        handing_over; /* inside the request callback, which may look at the request even after answering it */
    bool answered;    /* written, but not yet finished */
    bool broken;      /* the peer did not take all of it */
};

struct front {
    struct loop *loop;
    struct front_settings settings;
    front_request_fn *request;
    front_left_fn *left;
    void *owner;

    struct watch listener;
    struct timer pause;
    bool accepting;        /* until the drain */
    bool accept_is_broken; /* said so in the log already */

    struct slots pending; /* a reference for each request, so that a late answer cannot meet the next one */
    struct conn *conns;
    uint32_t count;
    char *body; /* room for the one request that is being handed over */
};

static void listen_again(void *owner);

/* ---- a connection's life */

static bool set_timeouts(int fd, int timeout_ms)
{
    struct timeval timeout = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};

    return setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) == 0 &&
           setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout) == 0;
}

static void conn_readable(void *owner, uint32_t events);

/* Takes the descriptor over, whatever the answer. */
static bool conn_open(struct front *front, int fd)
{
    struct conn *conn = calloc(1, sizeof *conn);

    if (!conn || !set_timeouts(fd, front->settings.io_timeout_ms) ||
        !loop_watch(front->loop, &conn->watch, fd, EPOLLIN | EPOLLRDHUP, conn_readable, conn)) {
        free(conn);
        close(fd);
        return false;
    }
    conn->front = front;
    FCGX_InitRequest(&conn->fcgi, -1, 0);
    /* Both are marked private, but they are what makes FCGX_Accept_r read from a connection of ours: it
     * accepts only where ipcFd is negative, and begins by closing one that is not to be kept. Without a
     * listening socket it can accept nothing, and answers an error when this connection ends. */
    conn->fcgi.ipcFd = fd;
    conn->fcgi.keepConnection = 1;
    conn->next = front->conns;
    if (conn->next)
        conn->next->previous = conn;
    front->conns = conn;
    front->count++;
    return true;
}

/* Also where libfcgi has closed the descriptor a moment ago: nothing can have got its number since. */
static void conn_close(struct conn *conn)
{
    struct front *front = conn->front;

    slots_remove(&front->pending, conn->ref);
    loop_unwatch(front->loop, &conn->watch);
    FCGX_Free(&conn->fcgi, 0);
    if (conn->fcgi.ipcFd >= 0)
        close(conn->fcgi.ipcFd);
    if (conn->next)
        conn->next->previous = conn->previous;
    *(conn->previous ? &conn->previous->next : &front->conns) = conn->next;
    free(conn);
    front->count--;
    listen_again(front);
}

/* Behind an answer: frees the request and waits for the next one. FCGX_Finish_r would ask the input, which
 * has gone already. */
static void conn_finish(struct conn *conn)
{
    FCGX_Free(&conn->fcgi, conn->broken || !conn->fcgi.keepConnection);
    conn->answered = false;
    conn->broken = false;
    if (conn->fcgi.ipcFd < 0) /* the peer left, or did not want the connection kept */
        conn_close(conn);
    else
        loop_watch_events(conn->front->loop, &conn->watch, EPOLLIN | EPOLLRDHUP);
}

/* Reads a request and hands it over. Blocks until all of it has come: nginx sends it in one piece. */
static void conn_serve(struct conn *conn)
{
    struct front *front = conn->front;
    struct http_request http;

    if (FCGX_Accept_r(&conn->fcgi) != 0 ||
        !conn_read(&conn->fcgi, front->body, front->settings.body_max_bytes, &http)) {
        conn_close(conn);
        return;
    }
    conn->ref = slots_put(&front->pending, conn);
    CHECK(conn->ref.generation != 0);
    conn->handing_over = true;
    front->request(front->owner, conn->ref, &http);
    conn->handing_over = false;
    if (conn->answered)
        conn_finish(conn);
}

static bool conn_has_ended(const struct conn *conn)
{
    char byte;

    return recv(conn->fcgi.ipcFd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

static void conn_left(struct conn *conn)
{
    struct front *front = conn->front;
    struct ref ref = conn->ref;

    conn_close(conn);
    front->left(front->owner, ref);
}

static void conn_readable(void *owner, uint32_t events)
{
    struct conn *conn = owner;
    bool over = events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);

    if (slots_get(&conn->front->pending, conn->ref)) {
        if (over)
            conn_left(conn);
        else /* bytes ahead of their time: they wait for the answer, and must not keep the loop awake */
            loop_watch_events(conn->front->loop, &conn->watch, EPOLLRDHUP);
    } else if (over && conn_has_ended(conn)) {
        conn_close(conn);
    } else {
        conn_serve(conn);
    }
}

/* A peer that has closed may still take bytes that it will never read: whoever is told must be there. */
static bool has_left(const struct conn *conn)
{
    char byte;
    return recv(conn->fcgi.ipcFd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

bool front_answer(struct front *front, struct ref ref, const struct http_answer *answer)
{
    struct conn *conn = slots_get(&front->pending, ref);
    bool written;

    if (!conn)
        return false;
    slots_remove(&front->pending, ref);
    conn->ref = REF_NONE;
    written = !has_left(conn) && conn_write(&conn->fcgi, answer);
    conn->answered = true;
    conn->broken = !written;
    if (!conn->handing_over)
        conn_finish(conn);
    return written;
}

/* ---- the listening socket */

static void listen_pause(struct front *front)
{
    loop_unwatch(front->loop, &front->listener);
    loop_timer(front->loop, &front->pause, ACCEPT_PAUSE_MS, listen_again, front);
}

static void listen_end(struct front *front)
{
    front->accepting = false;
    loop_unwatch(front->loop, &front->listener);
    loop_untimer(front->loop, &front->pause);
}

/* What to do after accept() failed. Answers whether to go on at once. */
static bool accept_failed(struct front *front, int error)
{
    if (error == EINTR || error == ECONNABORTED)
        return true;
    if (error == EAGAIN)
        return false;
    if (error == EINVAL) { /* shut down, and nobody queues any more */
        listen_end(front);
        return false;
    }
    /* No descriptors or no memory: the connection stays queued and the socket readable, so look away for a
     * while. */
    if (!front->accept_is_broken)
        LOG(LOG_ERROR, "cannot accept connections", LOG_TEXT("error", text_from(strerror(error))));
    front->accept_is_broken = true;
    listen_pause(front);
    return false;
}

/* Answers whether more may be queued. */
static bool accept_one(struct front *front)
{
    int fd;

    if (!front->accepting)
        return false;
    if (front->count >= front->settings.max_connections) {
        loop_unwatch(front->loop, &front->listener); /* until one closes */
        return false;
    }
    fd = accept4(front->settings.listen_fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return accept_failed(front, errno);
    if (!conn_open(front, fd))
        return accept_failed(front, ENOMEM);
    front->accept_is_broken = false;
    return true;
}

static void listener_readable(void *owner, uint32_t events)
{
    struct front *front = owner;

    (void)events;
    for (int i = 0; i < ACCEPT_BATCH && accept_one(front); i++)
        ;
}

/* After a pause, or when a connection has made room. */
static void listen_again(void *owner)
{
    struct front *front = owner;

    if (!front->accepting || front->listener.call || front->pause.place != 0 ||
        front->count >= front->settings.max_connections)
        return;
    if (!loop_watch(front->loop, &front->listener, front->settings.listen_fd, EPOLLIN, listener_readable,
                    front))
        listen_pause(front);
}

void front_drain(struct front *front)
{
    if (!front->accepting)
        return;
    if (!front->settings.listen_fd_is_ours) {
        listen_end(front); /* the others accept what is queued */
        return;
    }
    while (accept_one(front))
        ;
    /* From now on connecting is refused, and nginx tries another worker; whoever is queued is still served.
     */
    if (shutdown(front->settings.listen_fd, SHUT_RD) != 0)
        listen_end(front);
    while (accept_one(front))
        ;
}

/* ---- the whole */

static bool prepare_library(void)
{
    /* Or FCGX_Finish_r waits up to two seconds for a peer that does not close. */
    return setenv("LIBFCGI_OS_CLOSE_POLL_TIMEOUT", "0", 1) == 0 && FCGX_Init() == 0;
}

static bool set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

struct front *front_open(struct loop *loop, const struct front_settings *settings, front_request_fn *request,
                         front_left_fn *left, void *owner)
{
    struct front *front = calloc(1, sizeof *front);

    CHECK(settings->body_max_bytes > 0 && settings->body_max_bytes <= INT_MAX && settings->io_timeout_ms > 0);
    if (!front)
        return NULL;
    *front =
        (struct front){.loop = loop, .settings = *settings, .request = request, .left = left, .owner = owner};
    front->accepting = true;
    front->body = malloc(settings->body_max_bytes);
    if (!front->body || !slots_init(&front->pending, settings->max_connections) || !prepare_library() ||
        !set_nonblocking(settings->listen_fd)) {
        front_close(front);
        return NULL;
    }
    listen_again(front);
    return front;
}

bool front_limit(struct front *front, uint32_t max_connections)
{
    /* Connections that are there stay, and each may bring a request: their places stay, too. */
    if (max_connections > front->pending.limit && !slots_limit(&front->pending, max_connections))
        return false;
    front->settings.max_connections = max_connections;
    listen_again(front);
    return true;
}

uint32_t front_connections(const struct front *front)
{
    return front->count;
}

void front_close(struct front *front)
{
    if (!front)
        return;
    listen_end(front);
    for (struct conn *conn = front->conns, *next; conn; conn = next) {
        next = conn->next;
        conn_close(conn);
    }
    slots_free(&front->pending);
    free(front->body);
    free(front);
}
