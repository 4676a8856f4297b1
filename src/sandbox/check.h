// Assertions that stay in every build, for what cannot happen. Input is never asserted on.
#pragma once

#define MUST_CHECK __attribute__((warn_unused_result))

#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (__builtin_expect(!(condition), 0))                                                               \
            check_failed(#condition, __FILE__, __LINE__);                                                    \
    } while (0)

_Noreturn void check_failed(const char *condition, const char *file, int line);
