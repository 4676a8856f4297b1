/* Whole small files. */
#ifndef INVOICEGATE_CTL_FILE_H
#define INVOICEGATE_CTL_FILE_H

#include "base/arena.h"

/* At most so many bytes, followed by a NUL. Absent with errno set when it cannot be read; EFBIG when it is
 * larger. */
struct text file_read(struct arena *arena, const char *path, size_t bytes_max);
/* The same of regular files alone: EINVAL of what might keep us waiting, such as a pipe. */
struct text file_read_plain(struct arena *arena, const char *path, size_t bytes_max);

#endif
