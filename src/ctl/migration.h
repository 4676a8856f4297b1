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

#endif
