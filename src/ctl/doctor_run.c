/* Other programs and their words. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/doctor.h"

#define OUTPUT_BYTES_MAX ((size_t)4 << 20)
#define PATIENCE_S 20

static struct text content_of(int fd, struct arena *arena)
{
    struct builder builder;
    char bytes[4096];
    ssize_t length;
    builder_init(&builder, arena, sizeof(bytes));
    for (off_t at = 0; builder.length < OUTPUT_BYTES_MAX; at += length) {
        length = pread(fd, bytes, sizeof(bytes), at);
        if (length <= 0)
            break;
        builder_add(&builder, (struct text){bytes, (size_t)length});
    }
    return builder_text(&builder);
}

struct hearing hearing_begin(void)
{
    struct hearing hearing = {.saved_fd = -1, .file_fd = memfd_create("said", MFD_CLOEXEC)};
    fflush(stderr);
    if (hearing.file_fd >= 0)
        hearing.saved_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    if (hearing.saved_fd >= 0)
        dup2(hearing.file_fd, STDERR_FILENO);
    return hearing;
}

struct text hearing_end(struct hearing hearing, struct arena *arena)
{
    static const char name[] = "invoicegatectl: ";
    struct text said = TEXT("");
    fflush(stderr);
    if (hearing.saved_fd >= 0) {
        dup2(hearing.saved_fd, STDERR_FILENO);
        close(hearing.saved_fd);
        said = content_of(hearing.file_fd, arena);
    }
    if (hearing.file_fd >= 0)
        close(hearing.file_fd);
    if (!said.at)
        return TEXT("");
    if (text_starts(said, text_from(name)))
        said = text_skip(said, sizeof(name) - 1);
    return arena_copy(arena, (struct text){said.at, strcspn(said.at, "\n")});
}

/* In the child. */
static void become(const struct errand *errand, int output_fd)
{
    int null_fd = open("/dev/null", O_RDWR);
    if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 || dup2(output_fd, STDOUT_FILENO) < 0 ||
        dup2(errand->errors_too ? output_fd : null_fd, STDERR_FILENO) < 0)
        _exit(127);
    if (errand->prepare && !errand->prepare(errand->owner))
        _exit(127);
    alarm(PATIENCE_S); /* lives on behind exec */
    execv(errand->words[0], (char *const *)(uintptr_t)errand->words);
    _exit(127);
}

int doctor_run(struct arena *arena, const struct errand *errand, struct text *output)
{
    int fd = memfd_create("output", MFD_CLOEXEC);
    int status = -1;
    *output = TEXT("");
    if (fd < 0)
        return -1;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        become(errand, fd);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    struct text content = content_of(fd, arena);
    if (content.at)
        *output = content;
    close(fd);
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) != 127 ? WEXITSTATUS(status) : -1;
}

const char *doctor_program(struct arena *arena, const char *name)
{
    static const char *const places[] = {"/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        const char *path = arena_printf(arena, "%s/%s", places[i], name).at;
        if (path && access(path, X_OK) == 0)
            return path;
    }
    return NULL;
}
