/* What an attempt's answer means for its step. Pure: the heart of "nothing lost, nothing doubled". */
#ifndef INVOICEGATE_FLOW_OUTCOME_H
#define INVOICEGATE_FLOW_OUTCOME_H

#include <stdbool.h>

#include "upstream/upstream.h"

/* name in the audit */
#define OUTCOMES(X)                                                                                          \
    X(OK, ok)           /* done, and the answer makes sense */                                               \
    X(REFUSED, refused) /* the upstream decided no: repeating is pointless and nothing was made */           \
    X(RETRY, retry)     /* it did not happen */                                                              \
    X(UNKNOWN, unknown) /* it may have happened: never to be taken for a failure */

enum outcome {
#define X(upper, lower) OUTCOME_##upper,
    OUTCOMES(X)
#undef X
        OUTCOME_COUNT
};

const char *outcome_name(enum outcome outcome);

/* What is known of an answer. */
struct facts {
    enum transport transport;
    int status;
    enum should_retry should_retry;
    bool replayed;          /* the upstream gave a saved answer */
    bool sound;             /* the body is a JSON object with what the step needs */
    bool spoken;            /* the body is the upstream's own error object */
    bool idempotency_error; /* an error of type idempotency_error */
};

struct decision {
    enum outcome outcome; /* of this attempt and all before it */
    bool look_up;         /* with UNKNOWN: repeating the call cannot change it, look what is there */
};

/* was_unknown: an earlier attempt of this step, by whatever worker, may have happened. */
struct decision outcome_decide(enum step step, const struct facts *facts, bool was_unknown);

#endif
