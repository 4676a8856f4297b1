/* Secrets of the operator, kept in files: named by a setting or lying in systemd's credentials directory. */
#ifndef INVOICEGATE_CTL_SECRET_H
#define INVOICEGATE_CTL_SECRET_H

#include "ctl/ctl.h"

/* The file's content without the white space at its end, as the worker takes it. Says what is missing (never
 * what is in it). */
enum ctl_exit secret_read(struct ctl *ctl, const char *setting, const char *credential,
                          struct text *secret) MUST_CHECK;

#endif
