/* The floor of the FastCGI side: one epoll loop that accepts nginx's connections itself, lets libfcgi read
 * each request and answers with the same bytes every time.
 *
 *     fcgi SOCKET ANSWER_FILE     until SIGTERM */
#include <fcgiapp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/check.h"

#define EVENTS 64
#define ANSWER_MAX_BYTES 65536

struct floor {
    int listener;
    int epoll;
    char answer[ANSWER_MAX_BYTES];
    int answer_bytes;
};

static int listen_on(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && strlen(path) < sizeof(address.sun_path));
    memcpy(address.sun_path, path, strlen(path));
    CHECK(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, 4096) == 0);
    return fd;
}

static void watch(struct floor *floor, int fd, void *owner)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = owner};
    CHECK(epoll_ctl(floor->epoll, EPOLL_CTL_ADD, fd, &event) == 0);
}

/* ipcFd and keepConnection are what makes FCGX_Accept_r read from a connection that is there already. */
static void take_connections(struct floor *floor)
{
    int fd;
    while ((fd = accept4(floor->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        FCGX_Request *request = malloc(sizeof(*request));
        CHECK(request && FCGX_InitRequest(request, -1, 0) == 0);
        request->ipcFd = fd;
        request->keepConnection = 1;
        watch(floor, fd, request);
    }
}

static void serve(struct floor *floor, FCGX_Request *request)
{
    char body[8192];
    bool kept = FCGX_Accept_r(request) == 0;
    if (kept) {
        while (FCGX_GetStr(body, sizeof(body), request->in) > 0)
            ;
        FCGX_PutStr(floor->answer, floor->answer_bytes, request->out);
        FCGX_Finish_r(request);
        kept = request->ipcFd >= 0;
    }
    if (!kept) {
        FCGX_Free(request, 1);
        free(request);
    }
}

static void read_answer(struct floor *floor, const char *path)
{
    FILE *file = fopen(path, "r");
    CHECK(file);
    floor->answer_bytes = (int)fread(floor->answer, 1, sizeof(floor->answer), file);
    CHECK(floor->answer_bytes > 0 && feof(file));
    fclose(file);
}

int main(int argc, char **argv)
{
    static struct floor floor;
    struct epoll_event events[EVENTS];
    if (argc != 3) {
        fprintf(stderr, "usage: fcgi SOCKET ANSWER_FILE\n");
        return 2;
    }
    read_answer(&floor, argv[2]);
    floor.epoll = epoll_create1(EPOLL_CLOEXEC);
    floor.listener = listen_on(argv[1]);
    CHECK(setenv("LIBFCGI_OS_CLOSE_POLL_TIMEOUT", "0", 1) == 0 && FCGX_Init() == 0);
    watch(&floor, floor.listener, NULL);
    for (;;) {
        int count = epoll_wait(floor.epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr)
                serve(&floor, events[i].data.ptr);
            else
                take_connections(&floor);
        }
    }
}
