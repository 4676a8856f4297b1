#include "ctl/file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

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

struct text file_read(struct arena *arena, const char *path, size_t bytes_max)
{
    struct text text = TEXT_NONE;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
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
