#include "ctl/migration.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctl/file.h"
#include "ctl/say.h"

#define FILE_BYTES_MAX ((size_t)1 << 20)
#define NUMBER_DIGITS 3
#define SUFFIX ".sql"

/* NNN_name.sql */
static int is_migration(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);
    size_t suffix = strlen(SUFFIX);
    return length > NUMBER_DIGITS + 1 + suffix && strspn(entry->d_name, "0123456789") == NUMBER_DIGITS &&
           entry->d_name[NUMBER_DIGITS] == '_' && strcmp(entry->d_name + length - suffix, SUFFIX) == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static bool digest_of(struct text sql, char hex[2 * DIGEST_BYTES + 1])
{
    uint8_t digest[DIGEST_BYTES];
    if (!digest_sha256(sql, digest))
        return false;
    digest_hex(digest, sizeof(digest), hex);
    return true;
}

static enum ctl_exit read_one(struct ctl *ctl, const char *directory, const char *file,
                              struct migration *migration)
{
    struct text path = arena_printf(&ctl->arena, "%s/%s", directory, file);
    struct text sql = path.at ? file_read(&ctl->arena, path.at, FILE_BYTES_MAX) : TEXT_NONE;
    if (!sql.at) {
        say_error("%s/%s cannot be read: %s", directory, file, strerror(errno));
        return CTL_FAILED;
    }
    if (strlen(sql.at) != sql.length || !digest_of(sql, migration->digest)) {
        say_error("%s/%s is no text", directory, file);
        return CTL_FAILED;
    }
    size_t name_length = strlen(file) - NUMBER_DIGITS - 1 - strlen(SUFFIX);
    migration->version = (int)strtol(file, NULL, 10);
    migration->name = arena_copy(&ctl->arena, (struct text){file + NUMBER_DIGITS + 1, name_length}).at;
    migration->sql = sql.at;
    return CTL_DONE;
}

static enum ctl_exit read_all(struct ctl *ctl, const char *directory, struct dirent **entries, int count,
                              struct migrations *migrations)
{
    migrations->list = arena_zalloc(&ctl->arena, sizeof(migrations->list[0]) * (size_t)count);
    if (!migrations->list)
        return CTL_FAILED;
    for (int i = 0; i < count; i++) {
        enum ctl_exit end = read_one(ctl, directory, entries[i]->d_name, &migrations->list[i]);
        if (end != CTL_DONE)
            return end;
        if (i > 0 && migrations->list[i].version == migrations->list[i - 1].version) {
            say_error("%s has two files of number %03d: %s and %s", directory, migrations->list[i].version,
                      entries[i - 1]->d_name, entries[i]->d_name);
            return CTL_FAILED;
        }
    }
    migrations->count = count;
    return CTL_DONE;
}

enum ctl_exit migrations_read(struct ctl *ctl, const char *directory, struct migrations *migrations)
{
    struct dirent **entries = NULL;
    int count = scandir(directory, &entries, is_migration, by_name);
    enum ctl_exit end = CTL_FAILED;
    if (count < 0)
        say_error("%s cannot be read: %s; --sql names the directory of the migrations", directory,
                  strerror(errno));
    else if (count == 0)
        say_error("%s has no migrations (NNN_name.sql); --sql names their directory", directory);
    else
        end = read_all(ctl, directory, entries, count, migrations);
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
    return end;
}
