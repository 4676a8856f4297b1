#include "ctl/help.h"

#include "ctl/commands.h"

#define SUMMARY_COLUMN 46

static int put_usage(FILE *file, const struct command *command)
{
    return fprintf(file, "%s%s%s%s%s", command->noun, command->verb ? " " : "",
                   command->verb ? command->verb : "", command->arguments[0] ? " " : "", command->arguments);
}

static int put_option(FILE *file, const struct option *option)
{
    return fprintf(file, "--%s%s%s%s", option->name, option->value ? " " : "",
                   option->value ? option->value : "", option->repeats ? " ..." : "");
}

static void put_lines(FILE *file, const struct command *command)
{
    for (; command->noun; command++) {
        int columns = fprintf(file, "  ");
        columns += put_usage(file, command);
        for (const struct option *option = command->options; option && option->name; option++)
            if (option->required) {
                columns += fprintf(file, " ");
                columns += put_option(file, option);
            }
        if (columns >= SUMMARY_COLUMN)
            columns = fprintf(file, "\n") - 1;
        fprintf(file, "%*s%s\n", SUMMARY_COLUMN - columns, "", command->summary);
    }
}

void help_all(FILE *file)
{
    fprintf(file, "invoicegatectl: sets up invoicegate and looks into its books\n\n"
                  "usage: invoicegatectl COMMAND [OPTION...]\n\n");
    for (const struct command *const *table = command_tables; *table; table++)
        put_lines(file, *table);
    fprintf(file, "\nEvery command takes --help and --json.\n\n"
                  "environment:\n"
                  "  INVOICEGATE_DATABASE           libpq connection string; default dbname=invoicegate\n"
                  "  INVOICEGATE_DIGEST_KEY_FILE    what keys the digests of API keys (or "
                  "$CREDENTIALS_DIRECTORY/digest-key)\n"
                  "  NO_COLOR                       no colours on a terminal either\n\n"
                  "exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 database, 5 upstream\n");
}

void help_noun(FILE *file, const struct command *table)
{
    put_lines(file, table);
    fprintf(file, "\nEach takes --help, which has examples, and --json.\n");
}

void help_command(FILE *file, const struct command *command)
{
    fprintf(file, "usage: invoicegatectl ");
    put_usage(file, command);
    fprintf(file, " [OPTION...]\n\n%s\n", command->summary);
    if (command->more)
        fprintf(file, "\n%s\n", command->more);
    fprintf(file, "\noptions:\n");
    for (const struct option *option = command->options; option && option->name; option++) {
        int columns = fprintf(file, "  ");
        columns += put_option(file, option);
        fprintf(file, "%*s%s%s\n", columns < 30 ? 30 - columns : 1, "", option->help,
                option->required ? " (required)" : "");
    }
    fprintf(file, "  %-28sprint JSON\n  %-28sprint this\n\nexamples:\n%s", "--json", "--help",
            command->examples);
}
