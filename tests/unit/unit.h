/* What every unit test needs: cmocka and its headers, in the order that it wants. */
#ifndef INVOICEGATE_TESTS_UNIT_H
#define INVOICEGATE_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

#define assert_text(text_, string_)                                                                          \
    do {                                                                                                     \
        struct text got_ = (text_);                                                                          \
        assert_non_null(got_.at);                                                                            \
        if (got_.length != strlen(string_) || memcmp(got_.at, (string_), got_.length) != 0)                  \
            fail_msg("got \"%.*s\", not \"%s\"", (int)got_.length, got_.at, (string_));                      \
    } while (0)

#endif
