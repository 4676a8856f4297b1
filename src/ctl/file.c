#include "ctl/file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/plain_file.h"

/* Until the end, or one byte beyond the most that is wanted. */
static ssize_t read_all(int fd, char *room, size_t bytes)
{
    size_t length = 0;
    while (length < bytes) {
        ssize_t got = read(fd, room + length, bytes - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        length += (size_t)got;
    }
    return (ssize_t)length;
}

/* Closes the descriptor. */
static struct text read_and_close(struct arena *arena, int fd, size_t bytes_max)
{
    struct text text = TEXT_NONE;
    if (fd < 0)
        return TEXT_NONE;
    char *room = arena_alloc(arena, bytes_max + 1);
    ssize_t length = room ? read_all(fd, room, bytes_max + 1) : -1;
    if (length > (ssize_t)bytes_max)
        errno = EFBIG;
    else if (length >= 0) {
        room[length] = '\0';
        text = (struct text){room, (size_t)length};
    } else if (!room)
        errno = ENOMEM;
    int saved = errno;
    close(fd);
    errno = saved;
    return text;
}

struct text file_read(struct arena *arena, const char *path, size_t bytes_max)
{
    return read_and_close(arena, open(path, O_RDONLY | O_CLOEXEC), bytes_max);
}

struct text file_read_plain(struct arena *arena, const char *path, size_t bytes_max)
{
    return read_and_close(arena, plain_file_open(path), bytes_max);
}
