#include "ctl/commands.h"

const struct command *const command_tables[] = {
    migrate_commands,
    agency_commands,
    key_commands,
    account_commands,
    client_commands,
    member_commands,
    product_commands,
    list_commands,
    show_commands,
    unresolved_commands,
    settle_commands,
    audit_commands,
    dashboard_commands,
    retention_commands,
    reconcile_commands,
    doctor_commands,
    NULL,
};

const struct command *commands_of(const char *noun)
{
    for (const struct command *const *table = command_tables; *table; table++)
        for (const struct command *command = *table; command->noun; command++)
            if (strcmp(command->noun, noun) == 0)
                return command;
    return NULL;
}

const struct command *command_find(int count, char **words, int *used)
{
    const struct command *command = count > 0 ? commands_of(words[0]) : NULL;
    for (; command && command->noun && strcmp(command->noun, words[0]) == 0; command++) {
        if (!command->verb) {
            *used = 1;
            return command;
        }
        if (count > 1 && strcmp(command->verb, words[1]) == 0) {
            *used = 2;
            return command;
        }
    }
    return NULL;
}
