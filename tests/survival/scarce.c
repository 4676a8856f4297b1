/* A preloaded library that lets allocations fail in the worker, whoever makes them: the worker itself, libpq,
 * libcurl, json-c, OpenSSL. Other programs that have it loaded are left alone.
 *
 * INVOICEGATE_SCARCE names a file that the worker and a test share as memory: what the test wants, and what
 * came of it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct share {
    _Atomic int64_t good;   /* so many allocations go well yet; below 0: all do */
    _Atomic int64_t bad;    /* so many fail after them */
    _Atomic int64_t failed; /* so many have failed */
    _Atomic int64_t live;   /* allocated and not freed */
    _Atomic int64_t spared; /* libfcgi's own are spared: it aborts without memory */
};

static struct share *share;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void __libc_free(void *at);

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("INVOICEGATE_SCARCE");
    int fd = path && strcmp(program_invocation_short_name, "invoicegate") == 0
                 ? open(path, O_RDWR | O_CLOEXEC)
                 : -1;
    void *at;
    if (fd < 0)
        return;
    at = mmap(NULL, sizeof(struct share), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (at != MAP_FAILED)
        share = at;
}

static bool is_spared(const void *caller)
{
    Dl_info info;
    return atomic_load(&share->spared) && dladdr(caller, &info) && info.dli_fname &&
           strstr(info.dli_fname, "libfcgi");
}

static bool fails(const void *caller)
{
    if (!share || atomic_load(&share->good) < 0)
        return false;
    if (atomic_load(&share->good) > 0) {
        atomic_fetch_sub(&share->good, 1);
        return false;
    }
    if (is_spared(caller))
        return false;
    if (atomic_fetch_sub(&share->bad, 1) <= 0) {
        atomic_store(&share->good, -1);
        return false;
    }
    atomic_fetch_add(&share->failed, 1);
    errno = ENOMEM;
    return true;
}

static void *counted(void *at, int64_t more)
{
    if (share && at)
        atomic_fetch_add(&share->live, more);
    return at;
}

void *malloc(size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : counted(__libc_malloc(size), 1);
}

void *calloc(size_t count, size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : counted(__libc_calloc(count, size), 1);
}

void *realloc(void *old, size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : counted(__libc_realloc(old, size), old ? 0 : 1);
}

void free(void *at)
{
    counted(at, -1);
    __libc_free(at);
}
