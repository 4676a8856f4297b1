#include "ctl/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define WIDTH_DEFAULT 100
#define WIDTH_MIN 40

static int width_of(int fd)
{
    struct winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return WIDTH_DEFAULT;
    return size.ws_col < WIDTH_MIN ? WIDTH_MIN : size.ws_col;
}

struct terminal terminal_of_output(bool utf8)
{
    const char *no_colour = getenv("NO_COLOR");
    const char *kind = getenv("TERM");
    bool dumb = !kind || !*kind || strcmp(kind, "dumb") == 0;
    struct terminal terminal = {.utf8 = utf8};
    if (!isatty(STDOUT_FILENO))
        return terminal;
    terminal.width = width_of(STDOUT_FILENO);
    terminal.colours = !dumb && !(no_colour && *no_colour);
    return terminal;
}

const char *tone_on(const struct terminal *terminal, enum tone tone)
{
    static const char *const codes[] = {
        [TONE_PLAIN] = "",           [TONE_GOOD] = "\033[32m",    [TONE_BAD] = "\033[31m",
        [TONE_WARNING] = "\033[33m", [TONE_ALARM] = "\033[1;35m", [TONE_BOLD] = "\033[1m",
        [TONE_DIM] = "\033[2m",
    };
    return terminal->colours ? codes[tone] : "";
}

const char *tone_off(const struct terminal *terminal, enum tone tone)
{
    return terminal->colours && tone != TONE_PLAIN ? "\033[0m" : "";
}

enum tone tone_of_state(const char *state)
{
    static const struct {
        const char *state;
        enum tone tone;
    } tones[] = {
        {"created", TONE_GOOD},      {"failed", TONE_BAD},       {"refused", TONE_WARNING},
        {"open", TONE_BOLD},         {"unresolved", TONE_ALARM}, {"ok", TONE_GOOD},
        {"retry", TONE_WARNING},     {"unknown", TONE_ALARM},    {"active", TONE_GOOD},
        {"revoked", TONE_BAD},       {"expired", TONE_WARNING},  {"paid", TONE_GOOD},
        {"uncollectible", TONE_BAD}, {"void", TONE_DIM},         {"erased", TONE_BAD},
        {"waits", TONE_WARNING},     {"stays", TONE_DIM},        {"changed", TONE_BAD},
        {"pending", TONE_WARNING},   {"applied", TONE_GOOD},     {"billable", TONE_GOOD},
    };
    for (size_t i = 0; i < sizeof(tones) / sizeof(tones[0]); i++)
        if (strcmp(tones[i].state, state) == 0)
            return tones[i].tone;
    return TONE_PLAIN;
}
