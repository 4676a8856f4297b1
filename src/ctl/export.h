/* A table as a file of JSON lines, and the proof that the file holds it. */
#ifndef INVOICEGATE_CTL_EXPORT_H
#define INVOICEGATE_CTL_EXPORT_H

#include "ctl/ctl.h"

struct export
{
    int64_t rows;
    char digest[48]; /* the sum of the lines' digests, which no order changes; decimal */
};

/* Writes every row of gateway.TABLE to the path, a JSON object a line, and waits until it is on the disk. The
 * transaction is the caller's. Says what goes wrong. */
enum ctl_exit export_table(struct ctl *ctl, const char *table, const char *path) MUST_CHECK;
/* What the server says of the table in the same transaction. */
enum ctl_exit export_expected(struct ctl *ctl, const char *table, struct export *expected) MUST_CHECK;
/* Reads the file back: how many lines there are, each a JSON object, and their digest. */
enum ctl_exit export_check(const char *path, const struct export *expected) MUST_CHECK;

#endif
