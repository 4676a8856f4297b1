/* invoicegatectl: sets up invoicegate and looks into its books. */
#include <stdio.h>
#include <stdlib.h>

#include "ctl/clean.h"
#include "ctl/commands.h"
#include "ctl/complete.h"
#include "ctl/help.h"
#include "ctl/options.h"
#include "ctl/output.h"
#include "ctl/say.h"

#define ARENA_BYTES ((size_t)1 << 30)

static enum ctl_exit run(const struct command *command, bool utf8, int count, char **words)
{
    struct ctl ctl = {.command = command, .terminal = terminal_of_output(utf8)};
    bool help;
    arena_init(&ctl.arena, ARENA_BYTES);
    ctl.arguments = arena_zalloc(&ctl.arena, sizeof(ctl.arguments[0]) * (size_t)(count + 1));
    ctl.options = arena_zalloc(&ctl.arena, sizeof(ctl.options[0]) * (size_t)(count + 1));
    enum ctl_exit end = CTL_FAILED;
    if (!arena_overflowed(&ctl.arena))
        end = options_parse(&ctl, count, words, &help);
    if (end == CTL_DONE && help)
        help_command(stdout, command);
    else if (end == CTL_DONE)
        end = command->run(&ctl);
    if (arena_overflowed(&ctl.arena)) {
        say_error("out of memory; ask for less at once");
        end = CTL_FAILED;
    }
    db_close(&ctl.db);
    arena_free(&ctl.arena);
    return end;
}

static enum ctl_exit refuse(int count, char **words)
{
    const struct command *table = commands_of(words[0]);
    if (table && count > 1 && words[1][0] != '-')
        say_error("there is no command '%s %s'; see 'invoicegatectl %s --help'", words[0], words[1],
                  words[0]);
    else if (table)
        help_noun(stderr, table);
    else
        say_error("there is no command '%s'; see 'invoicegatectl --help'", words[0]);
    return CTL_USAGE;
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

static enum ctl_exit dispatch(bool utf8, int count, char **words)
{
    int used = 0;
    if (count > 0 && is_help(words[0])) {
        const struct command *asked = command_find(count - 1, words + 1, &used);
        if (asked)
            help_command(stdout, asked);
        else
            help_all(stdout);
        return CTL_DONE;
    }
    if (count == 0) {
        help_all(stderr);
        return CTL_USAGE;
    }
    if (strcmp(words[0], "complete") == 0) {
        complete(stdout, count - 1, words + 1);
        return CTL_DONE;
    }
    const struct command *command = command_find(count, words, &used);
    if (command)
        return run(command, utf8, count - used, words + used);
    if (count > 1 && is_help(words[1]) && commands_of(words[0])) {
        help_noun(stdout, commands_of(words[0]));
        return CTL_DONE;
    }
    return refuse(count, words);
}

int main(int argc, char **argv)
{
    bool utf8 = clean_start();
    enum ctl_exit end = dispatch(utf8, argc - 1, argv + 1);
    enum ctl_exit written = output_end();
    return (int)(end == CTL_DONE ? written : end);
}
