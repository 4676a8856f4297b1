#include "base/metrics_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/log.h"

#define MAGIC 0x3173636972746d67U /* "gmtrics1" */
#define SHEET_MAX_BYTES ((size_t)1 << 20)
#define LOCK_TRIES 20         /* while requests wait */
#define LOCK_TRIES_FIRST 5000 /* at the start, where many begin at once */
#define LOCK_PAUSE_NS 100000
#define OPEN_FLAGS (O_CLOEXEC | O_NOFOLLOW)

struct metrics_sheet {
    uint64_t magic;
    uint64_t incarnation;
    uint64_t folded; /* of metrics.past: the incarnation that was added last */
    uint64_t spare[5];
    struct gauges gauges;
    struct metrics metrics; /* of another version: perhaps shorter or longer */
};

#define HEAD_BYTES offsetof(struct metrics_sheet, metrics)
_Static_assert(sizeof(struct metrics_sheet) % sizeof(uint64_t) == 0, "counters are added word by word");

/* ---- the lock of the directory: nobody adds up while files move into the past */

static int lock_directory(int directory_fd, int tries)
{
    const struct timespec pause = {.tv_nsec = LOCK_PAUSE_NS};
    int fd = openat(directory_fd, "metrics.lock", O_RDWR | O_CREAT | OPEN_FLAGS, 0600);
    for (int i = 0; fd >= 0 && i < tries; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return fd;
        (void)nanosleep(&pause, NULL);
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

/* ---- sheets */

/* A whole file, at least a sheet of ours in room, zeros behind its end. NULL when it is none. */
static struct metrics_sheet *sheet_read(int fd, size_t *bytes)
{
    struct stat facts;
    struct metrics_sheet *sheet;
    if (fstat(fd, &facts) != 0 || facts.st_size < (off_t)HEAD_BYTES ||
        facts.st_size > (off_t)SHEET_MAX_BYTES || facts.st_size % (off_t)sizeof(uint64_t) != 0)
        return NULL;
    *bytes = (size_t)facts.st_size;
    sheet = calloc(1, *bytes > sizeof(*sheet) ? *bytes : sizeof(*sheet));
    if (sheet && pread(fd, sheet, *bytes, 0) == (ssize_t)*bytes && sheet->magic == MAGIC)
        return sheet;
    free(sheet);
    return NULL;
}

static struct metrics_sheet *sheet_read_at(int directory_fd, const char *name, size_t *bytes)
{
    int fd = openat(directory_fd, name, O_RDONLY | OPEN_FLAGS);
    struct metrics_sheet *sheet = fd >= 0 ? sheet_read(fd, bytes) : NULL;
    if (fd >= 0)
        close(fd);
    return sheet;
}

static void add_counters(struct metrics *sum, const struct metrics *part, size_t bytes)
{
    uint64_t *to = (uint64_t *)(void *)sum;
    const uint64_t *from = (const uint64_t *)(const void *)part;
    for (size_t i = 0; i < bytes / sizeof(uint64_t); i++)
        to[i] += from[i];
}

static void add_gauges(struct gauges *sum, const struct gauges *part)
{
    sum->inflight += part->inflight;
    sum->inflight_limit += part->inflight_limit;
    sum->breaker_open += part->breaker_open;
    sum->database_ready += part->database_ready;
    if (part->unresolved_at_s > sum->unresolved_at_s) {
        sum->unresolved = part->unresolved;
        sum->unresolved_oldest_s = part->unresolved_oldest_s;
        sum->unresolved_at_s = part->unresolved_at_s;
    }
}

/* ---- the past */

static bool write_past(int directory_fd, const struct metrics_sheet *past, size_t bytes)
{
    int fd = openat(directory_fd, "metrics.past.new", O_WRONLY | O_CREAT | O_TRUNC | OPEN_FLAGS, 0600);
    bool written = fd >= 0 && write(fd, past, bytes) == (ssize_t)bytes;
    if (fd >= 0)
        close(fd);
    return written && renameat(directory_fd, "metrics.past.new", directory_fd, "metrics.past") == 0;
}

/* Adds a dead worker's counters to the past, then removes its file. Whoever dies in between leaves a file
 * that the past knows it has: nothing is added twice. */
static void fold(int directory_fd, const char *name, const struct metrics_sheet *dead, size_t dead_bytes)
{
    size_t past_bytes = 0, bytes;
    struct metrics_sheet *old = sheet_read_at(directory_fd, "metrics.past", &past_bytes);
    struct metrics_sheet *past = NULL;
    bool done = old && old->folded == dead->incarnation;
    bytes = past_bytes > dead_bytes ? past_bytes : dead_bytes;
    if (!done && (past = calloc(1, bytes))) {
        if (old)
            memcpy(past, old, past_bytes);
        past->magic = MAGIC;
        past->folded = dead->incarnation;
        add_counters(&past->metrics, &dead->metrics, dead_bytes - HEAD_BYTES);
        done = write_past(directory_fd, past, bytes);
    }
    if (done)
        (void)unlinkat(directory_fd, name, 0);
    free(past);
    free(old);
}

/* ---- all of them */

static bool is_sheet_name(const char *name)
{
    return strncmp(name, "metrics.", 8) == 0 && name[8] >= '0' && name[8] <= '9';
}

/* A file that can be locked has no worker any more. */
static void look_at(struct metrics_file *file, const char *name, struct metrics_sum *sum)
{
    int fd = openat(file->directory_fd, name, O_RDWR | OPEN_FLAGS);
    size_t bytes = 0;
    struct metrics_sheet *sheet = fd >= 0 ? sheet_read(fd, &bytes) : NULL;
    if (sheet && flock(fd, LOCK_EX | LOCK_NB) == 0) {
        fold(file->directory_fd, name, sheet, bytes);
    } else if (sheet && sum) {
        size_t own = sizeof(sum->metrics), theirs = bytes - HEAD_BYTES;
        add_counters(&sum->metrics, &sheet->metrics, theirs < own ? theirs : own);
        add_gauges(&sum->gauges, &sheet->gauges);
        sum->workers++;
    }
    free(sheet);
    if (fd >= 0)
        close(fd);
}

/* Under the directory's lock. sum may be NULL: only the dead are looked for. */
static bool look_at_all(struct metrics_file *file, struct metrics_sum *sum)
{
    int fd = openat(file->directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;
    if (!directory) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    while ((entry = readdir(directory)))
        if (is_sheet_name(entry->d_name) && strcmp(entry->d_name, file->name) != 0)
            look_at(file, entry->d_name, sum);
    closedir(directory);
    return true;
}

static void add_past(int directory_fd, struct metrics_sum *sum)
{
    size_t bytes = 0;
    struct metrics_sheet *past = sheet_read_at(directory_fd, "metrics.past", &bytes);
    if (past) {
        size_t own = sizeof(sum->metrics), theirs = bytes - HEAD_BYTES;
        add_counters(&sum->metrics, &past->metrics, theirs < own ? theirs : own);
    }
    free(past);
}

bool metrics_sum_up(struct metrics_file *file, struct metrics_sum *sum)
{
    int lock_fd = file->directory_fd >= 0 ? lock_directory(file->directory_fd, LOCK_TRIES) : -1;
    bool done = file->directory_fd < 0;
    *sum = (struct metrics_sum){.metrics = *file->metrics, .gauges = *file->gauges, .workers = 1};
    if (lock_fd >= 0) {
        done = look_at_all(file, sum); /* first: what is folded now is part of the past below */
        add_past(file->directory_fd, sum);
        close(lock_fd);
    }
    return done;
}

/* ---- this worker's own */

/* Reserves the pages: a full disk must not kill a worker that counts. */
static struct metrics_sheet *map_file(int fd)
{
    const size_t bytes = sizeof(struct metrics_sheet);
    int error = posix_fallocate(fd, 0, (off_t)bytes);
    void *at = MAP_FAILED;
    if (error == 0)
        at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    else
        errno = error;
    return at == MAP_FAILED ? NULL : at;
}

/* NULL with errno. */
static struct metrics_sheet *open_file(struct metrics_file *file, uint64_t incarnation)
{
    struct metrics_sheet *sheet = NULL;
    int lock_fd = lock_directory(file->directory_fd, LOCK_TRIES_FIRST); /* until our own lock is there, too */
    int error;
    if (lock_fd < 0)
        return NULL;
    (void)look_at_all(file, NULL);
    snprintf(file->name, sizeof(file->name), "metrics.%d.%016llx", (int)getpid(),
             (unsigned long long)incarnation);
    file->file_fd = openat(file->directory_fd, file->name, O_RDWR | O_CREAT | O_EXCL | OPEN_FLAGS, 0600);
    if (file->file_fd >= 0 && flock(file->file_fd, LOCK_EX | LOCK_NB) == 0)
        sheet = map_file(file->file_fd);
    error = errno;
    if (!sheet && file->file_fd >= 0)
        (void)unlinkat(file->directory_fd, file->name, 0);
    close(lock_fd);
    errno = error;
    return sheet;
}

static void close_files(struct metrics_file *file)
{
    if (file->file_fd >= 0)
        close(file->file_fd);
    if (file->directory_fd >= 0)
        close(file->directory_fd);
    file->file_fd = file->directory_fd = -1;
}

bool metrics_open(struct metrics_file *file, const char *directory)
{
    uint64_t incarnation = 0;
    *file = (struct metrics_file){.directory_fd = -1, .file_fd = -1};
    if (!random_bytes((uint8_t *)&incarnation, sizeof(incarnation)))
        incarnation = (uint64_t)getpid() << 32 | (uint64_t)time(NULL);
    errno = 0;
    if (directory)
        file->directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file->directory_fd >= 0)
        file->sheet = open_file(file, incarnation);
    if (!file->sheet) {
        int error = errno;
        LOG(LOG_WARNING, "INVOICEGATE_RUNTIME_DIR cannot be used: metrics show this worker alone",
            LOG_TEXT("directory", text_from(directory)), LOG_TEXT("error", text_from(strerror(error))));
        close_files(file);
        file->sheet = calloc(1, sizeof(*file->sheet));
    }
    if (!file->sheet)
        return false;
    file->sheet->magic = MAGIC;
    file->sheet->incarnation = incarnation;
    file->metrics = &file->sheet->metrics;
    file->gauges = &file->sheet->gauges;
    return true;
}

void metrics_close(struct metrics_file *file)
{
    if (!file->sheet)
        return;
    if (file->directory_fd >= 0)
        (void)munmap(file->sheet, sizeof(*file->sheet));
    else
        free(file->sheet);
    close_files(file);
    *file = (struct metrics_file){.directory_fd = -1, .file_fd = -1};
}
