/* The help, drawn from the tables of commands. */
#ifndef INVOICEGATE_CTL_HELP_H
#define INVOICEGATE_CTL_HELP_H

#include <stdio.h>

#include "ctl/ctl.h"

void help_all(FILE *file);
void help_noun(FILE *file, const struct command *table);
void help_command(FILE *file, const struct command *command);

#endif
