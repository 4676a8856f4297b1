/* libcurl's sockets in our loop. Private to upstream/.
 *
 * A connection stays in the loop while it rests in libcurl's cache: to take it out after each call and to put
 * it back for the next one would be two system calls for nothing. libcurl says when it closes one. */
#ifndef INVOICEGATE_UPSTREAM_SOCKETS_H
#define INVOICEGATE_UPSTREAM_SOCKETS_H

#include <curl/curl.h>

#include "base/loop.h"

struct socket;

/* flags: CURL_CSELECT_IN, _OUT, _ERR. */
typedef void sockets_ready_fn(void *owner, curl_socket_t fd, int flags);

struct sockets {
    struct loop *loop;
    sockets_ready_fn *ready;
    void *owner;
    struct socket **by_fd;
    size_t room;
};

/* Each handle needs it, and must not outlive the sockets. */
MUST_CHECK bool sockets_keep(struct sockets *sockets, CURL *easy);
MUST_CHECK bool sockets_watch(struct sockets *sockets, CURLM *multi);
/* Behind curl_multi_cleanup(), which closes what is left. */
void sockets_free(struct sockets *sockets);

#endif
