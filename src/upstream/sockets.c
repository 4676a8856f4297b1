#include "upstream/sockets.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct socket {
    struct sockets *sockets;
    struct watch watch;
    bool is_connection; /* libcurl says when it closes it; of others it is only known that they are over */
    bool rests;         /* no call is under way on it */
};

static struct socket *socket_get(const struct sockets *sockets, curl_socket_t fd)
{
    return (size_t)fd < sockets->room ? sockets->by_fd[fd] : NULL;
}

static bool make_room(struct sockets *sockets, size_t room)
{
    struct socket **grown;
    if (room <= sockets->room)
        return true;
    room = room < 2 * sockets->room ? 2 * sockets->room : room;
    grown = realloc(sockets->by_fd, room * sizeof(struct socket *));
    if (!grown)
        return false;
    memset(grown + sockets->room, 0, (room - sockets->room) * sizeof(struct socket *));
    sockets->by_fd = grown;
    sockets->room = room;
    return true;
}

/* NULL when memory is out. */
static struct socket *socket_make(struct sockets *sockets, curl_socket_t fd, bool is_connection)
{
    struct socket *socket = make_room(sockets, (size_t)fd + 1) ? calloc(1, sizeof(*socket)) : NULL;
    if (!socket)
        return NULL;
    *socket = (struct socket){.sockets = sockets, .watch = {.fd = -1}, .is_connection = is_connection};
    sockets->by_fd[fd] = socket;
    return socket;
}

static void socket_forget(struct sockets *sockets, curl_socket_t fd)
{
    struct socket *socket = socket_get(sockets, fd);
    if (!socket)
        return;
    loop_unwatch(sockets->loop, &socket->watch);
    sockets->by_fd[fd] = NULL;
    free(socket);
}

static void on_event(void *owner, uint32_t events)
{
    struct socket *socket = owner;
    struct sockets *sockets = socket->sockets;
    int flags = 0;
    /* The peer has closed it, or speaks unasked: libcurl looks before it uses it again. */
    if (socket->rests) {
        loop_unwatch(sockets->loop, &socket->watch);
        return;
    }
    if (events & (EPOLLIN | EPOLLHUP | EPOLLRDHUP))
        flags |= CURL_CSELECT_IN;
    if (events & EPOLLOUT)
        flags |= CURL_CSELECT_OUT;
    if (events & EPOLLERR)
        flags |= CURL_CSELECT_ERR;
    sockets->ready(sockets->owner, socket->watch.fd, flags); /* the socket may be gone behind it */
}

static int on_wish(CURL *easy, curl_socket_t fd, int what, void *owner, void *assigned)
{
    struct sockets *sockets = owner;
    struct socket *socket = socket_get(sockets, fd);
    uint32_t events = (what & CURL_POLL_IN ? EPOLLIN : 0U) | (what & CURL_POLL_OUT ? EPOLLOUT : 0U);
    (void)easy;
    (void)assigned;
    if (what == CURL_POLL_REMOVE) {
        if (socket && socket->is_connection)
            socket->rests = true;
        else
            socket_forget(sockets, fd);
        return 0;
    }
    if (!socket)
        socket = socket_make(sockets, fd, false);
    if (!socket)
        return -1;
    socket->rests = false;
    if (socket->watch.call)
        loop_watch_events(sockets->loop, &socket->watch, events);
    else if (!loop_watch(sockets->loop, &socket->watch, fd, events, on_event, socket))
        return -1;
    return 0;
}

static int on_open(void *owner, curl_socket_t fd, curlsocktype purpose)
{
    struct sockets *sockets = owner;
    (void)purpose;
    socket_forget(sockets, fd);
    return socket_make(sockets, fd, true) ? CURL_SOCKOPT_OK : CURL_SOCKOPT_ERROR;
}

static int on_close(void *owner, curl_socket_t fd)
{
    socket_forget(owner, fd);
    return close(fd);
}

bool sockets_keep(struct sockets *sockets, CURL *easy)
{
    return curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_open) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SOCKOPTDATA, sockets) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, sockets) == CURLE_OK;
}

bool sockets_watch(struct sockets *sockets, CURLM *multi)
{
    return curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_wish) == CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, sockets) == CURLM_OK;
}

void sockets_free(struct sockets *sockets)
{
    for (size_t fd = 0; fd < sockets->room; fd++)
        socket_forget(sockets, (curl_socket_t)fd);
    free(sockets->by_fd);
    *sockets = (struct sockets){0};
}
