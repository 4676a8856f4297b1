/* What every command of invoicegatectl is given and what it answers.
 *
 * A command is a noun and a verb with its options, its help and one function. The tables of commands stand
 * with their nouns; main.c lists them. Everything is const but struct ctl, which lives as long as the one
 * command. */
#ifndef INVOICEGATE_CTL_CTL_H
#define INVOICEGATE_CTL_CTL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/text.h"
#include "ctl/db.h"
#include "ctl/terminal.h"

enum ctl_exit {
    CTL_DONE = 0,
    CTL_FAILED = 1,
    CTL_USAGE = 2,
    CTL_NOT_FOUND = 3,
    CTL_DATABASE = 4,
    CTL_UPSTREAM = 5,
};

struct option {
    const char *name;    /* without the dashes; NULL ends a table */
    const char *value;   /* what to call its value in the help; NULL: the option takes none */
    const char *help;    /* one line */
    const char *choices; /* "live test": the only values allowed; NULL: any */
    bool required;
    bool repeats;
};

struct ctl;

struct command {
    const char *noun;
    const char *verb;      /* NULL: the noun is the whole command */
    const char *arguments; /* as the help shows them, "" for none */
    int arguments_min;
    int arguments_max;
    const char *summary;          /* one line */
    const char *more;             /* a paragraph for its own help, or NULL */
    const struct option *options; /* --json and --help come by themselves */
    const char *examples;         /* lines, each with its newline */
    enum ctl_exit (*run)(struct ctl *ctl);
};

struct given_option {
    const struct option *option;
    const char *value; /* "" for options without a value */
};

struct ctl {
    const struct command *command;
    struct arena arena; /* everything that lives until the end of the command */
    const char **arguments;
    int argument_count;
    struct given_option *options;
    int option_count;
    bool json;
    struct terminal terminal; /* standard output */
    struct db db;             /* opened by the first db_open */
};

#endif
