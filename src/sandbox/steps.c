#include "sandbox/steps.h"

#include <string.h>

static const char *const names[] = {
#define X(name, text) text,
    STEPS(X)
#undef X
};

const char *step_name(enum step step)
{
    return names[step];
}

enum step step_by_name(const char *name)
{
    int i = 0;
    while (i < STEP_COUNT && strcmp(names[i], name) != 0)
        i++;
    return (enum step)i;
}
