/* What standard output is: how wide, and whether it wants colours and block characters. */
#ifndef INVOICEGATE_CTL_TERMINAL_H
#define INVOICEGATE_CTL_TERMINAL_H

#include <stdbool.h>

struct terminal {
    int width;    /* columns; 0: no terminal, lines may be as long as they are */
    bool colours; /* never with NO_COLOR */
    bool utf8;    /* the environment says so */
};

enum tone { TONE_PLAIN, TONE_GOOD, TONE_BAD, TONE_WARNING, TONE_ALARM, TONE_BOLD, TONE_DIM };

struct terminal terminal_of_output(bool utf8);
/* What switches a tone on and off again; "" without colours. */
const char *tone_on(const struct terminal *terminal, enum tone tone);
const char *tone_off(const struct terminal *terminal, enum tone tone);

/* The tone of a request's state or an invoice's status. */
enum tone tone_of_state(const char *state);

#endif
