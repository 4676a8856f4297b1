/* Assertions that hold in every build, and the marker of calls whose answer must be looked at. */
#ifndef INVOICEGATE_BASE_CHECK_H
#define INVOICEGATE_BASE_CHECK_H

#define MUST_CHECK __attribute__((warn_unused_result))

/* CHECK(x): x cannot be false, whatever a client, the database or the upstream sends. Never use it on input.
 */
#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (__builtin_expect(!(condition), 0))                                                               \
            check_failed(__FILE__, __LINE__, #condition);                                                    \
    } while (0)

/* NEVER("what"): this place cannot be reached. (clang refuses CHECK(!"what").) */
#define NEVER(what) check_failed(__FILE__, __LINE__, what)

_Noreturn void check_failed(const char *file, int line, const char *condition);

#endif
