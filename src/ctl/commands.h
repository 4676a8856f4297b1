/* The tables of commands, one a noun, each ended by a row without a noun. */
#ifndef INVOICEGATE_CTL_COMMANDS_H
#define INVOICEGATE_CTL_COMMANDS_H

#include "ctl/ctl.h"

extern const struct command migrate_commands[];
extern const struct command agency_commands[];
extern const struct command key_commands[];
extern const struct command account_commands[];
extern const struct command client_commands[];
extern const struct command member_commands[];
extern const struct command product_commands[];
extern const struct command list_commands[];
extern const struct command unresolved_commands[];
extern const struct command settle_commands[];
extern const struct command audit_commands[];
extern const struct command dashboard_commands[];
extern const struct command retention_commands[];
extern const struct command reconcile_commands[];
extern const struct command show_commands[];
extern const struct command doctor_commands[];

/* All of the above in the order of the help, ended by NULL. */
extern const struct command *const command_tables[];

/* The table of a noun, or NULL. */
const struct command *commands_of(const char *noun);
/* The command that the first words name, and how many words that took; or NULL. */
const struct command *command_find(int count, char **words, int *used);

#define COMMANDS_END                                                                                         \
    {                                                                                                        \
        .noun = NULL                                                                                         \
    }
#define OPTIONS_END                                                                                          \
    {                                                                                                        \
        .name = NULL                                                                                         \
    }

#endif
