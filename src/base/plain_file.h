/* Opening a file that somebody has named: a pipe in its place must not keep a program waiting for ever. */
#ifndef INVOICEGATE_BASE_PLAIN_FILE_H
#define INVOICEGATE_BASE_PLAIN_FILE_H

#include "base/check.h"

/* A descriptor to read from, the caller's to close; regular files alone. Otherwise -1 with errno, which is
 * EINVAL of what is there and is no file: a pipe, a socket, a device or a directory. */
MUST_CHECK int plain_file_open(const char *path);

#endif
