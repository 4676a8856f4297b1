#include "sandbox/check.h"

#include <stdio.h>
#include <stdlib.h>

void check_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "invoicegate-sandbox: %s:%d: cannot happen: not (%s)\n", file, line, condition);
    abort();
}
