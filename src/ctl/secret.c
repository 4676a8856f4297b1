#include "ctl/secret.h"

#include <errno.h>
#include <stdlib.h>

#include "ctl/file.h"
#include "ctl/say.h"

#define SECRET_BYTES_MAX 4095 /* the worker reads no more */

static const char *path_of(struct arena *arena, const char *setting, const char *credential)
{
    const char *path = getenv(setting);
    const char *directory = getenv("CREDENTIALS_DIRECTORY");
    if (path && *path)
        return path;
    return directory && *directory ? arena_printf(arena, "%s/%s", directory, credential).at : NULL;
}

enum ctl_exit secret_read(struct ctl *ctl, const char *setting, const char *credential, struct text *secret)
{
    const char *path = path_of(&ctl->arena, setting, credential);
    if (!path) {
        say_error("%s is not set; set it to the same file as the worker's", setting);
        return CTL_FAILED;
    }
    *secret = file_read_plain(&ctl->arena, path, SECRET_BYTES_MAX);
    if (!secret->at) {
        say_error("%s cannot be read: %s; %s names it", path,
                  errno == EINVAL ? "it is no file" : strerror(errno), setting);
        return CTL_FAILED;
    }
    while (secret->length > 0 && (unsigned char)secret->at[secret->length - 1] <= ' ')
        secret->length--;
    return CTL_DONE;
}
