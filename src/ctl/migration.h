/* The numbered files of a migration directory. */
#ifndef INVOICEGATE_CTL_MIGRATION_H
#define INVOICEGATE_CTL_MIGRATION_H

#include "base/digest.h"
#include "ctl/ctl.h"

struct migration {
    int version;
    const char *name; /* the file's without number and ending: "roles" of 001_roles.sql */
    const char *sql;
    char digest[2 * DIGEST_BYTES + 1];
};

struct migrations {
    struct migration *list; /* by version, each once */
    int count;
};

/* Reads all files DIR/NNN_name.sql into the arena; other files are left alone. Says what is wrong with them.
 */
enum ctl_exit migrations_read(struct ctl *ctl, const char *directory,
                              struct migrations *migrations) MUST_CHECK;

/* Compares the files of a directory (NULL: the installed ones) with the open database: the newest number
 * applied, and how many are to come. CTL_FAILED with a complaint where the two do not belong together. */
enum ctl_exit migrations_look(struct ctl *ctl, const char *directory, int *newest, int *pending) MUST_CHECK;

#endif
