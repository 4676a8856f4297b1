#include "ctl/complete.h"

#include "ctl/commands.h"

static void put_nouns(FILE *file)
{
    const char *before = "";
    for (const struct command *const *table = command_tables; *table; table++)
        for (const struct command *command = *table; command->noun; command++) {
            if (strcmp(command->noun, before) != 0)
                fprintf(file, "%s\n", command->noun);
            before = command->noun;
        }
    fprintf(file, "help\n--help\n");
}

static void put_verbs(FILE *file, const char *noun)
{
    const struct command *command = commands_of(noun);
    for (; command && command->noun && strcmp(command->noun, noun) == 0; command++)
        if (command->verb)
            fprintf(file, "%s\n", command->verb);
}

static const struct option *option_of(const struct command *command, const char *word)
{
    if (strncmp(word, "--", 2) != 0)
        return NULL;
    for (const struct option *option = command->options; option && option->name; option++)
        if (strcmp(option->name, word + 2) == 0)
            return option;
    return NULL;
}

static void put_choices(FILE *file, const char *choices)
{
    for (; *choices; choices++)
        fputc(*choices == ' ' ? '\n' : *choices, file);
    fputc('\n', file);
}

static void put_options(FILE *file, const struct command *command)
{
    for (const struct option *option = command->options; option && option->name; option++)
        fprintf(file, "--%s\n", option->name);
    fprintf(file, "--json\n--help\n");
}

void complete(FILE *file, int count, char **words)
{
    int used = 0;
    if (count > 1 && strcmp(words[0], "help") == 0) {
        words++;
        count--;
    }
    const struct command *command = command_find(count - 1, words, &used);
    if (count <= 1) {
        put_nouns(file);
        return;
    }
    if (!command) {
        if (count == 2)
            put_verbs(file, words[0]);
        return;
    }
    const struct option *before = count > used + 1 ? option_of(command, words[count - 2]) : NULL;
    if (before && before->choices)
        put_choices(file, before->choices);
    else if ((!before || !before->value) && (words[count - 1][0] == '-' || command->arguments_max == 0))
        put_options(file, command);
}
