#include "flow/outcome.h"

static const char *const names[OUTCOME_COUNT] = {
#define X(upper, lower) [OUTCOME_##upper] = #lower,
    OUTCOMES(X)
#undef X
};

const char *outcome_name(enum outcome outcome)
{
    CHECK(outcome < OUTCOME_COUNT);
    return names[outcome];
}

/* What a status means by itself. IN_DOUBT: the upstream may have begun to execute. */
enum meaning { MEANS_DONE, MEANS_NO, MEANS_KEPT_OUT, MEANS_NOT_NOW, MEANS_IN_DOUBT };

static const struct {
    int status;
    enum meaning meaning;
} meanings[] = {
    {400, MEANS_NO},       {402, MEANS_NO},       {404, MEANS_NO},
    {409, MEANS_IN_DOUBT}, {424, MEANS_IN_DOUBT}, {429, MEANS_NOT_NOW},
};

static enum meaning meaning_of(enum step step, int status)
{
    if (status == 404 && step == STEP_DELETE)
        return MEANS_DONE; /* what is gone is deleted, if the upstream says so */
    for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
        if (meanings[i].status == status)
            return meanings[i].meaning;
    if (status >= 200 && status < 300)
        return MEANS_DONE;
    /* Redirections are never followed. Who redirects, or gives another 4xx, has not executed this call; but
     * it may be somebody on the way, who knows nothing of earlier attempts. */
    if (status >= 300 && status < 500)
        return MEANS_KEPT_OUT;
    return MEANS_IN_DOUBT;
}

/* A refusal that is not in the upstream's own words is that of somebody on the way. */
static enum meaning meaning_in(enum step step, const struct facts *facts)
{
    enum meaning meaning = meaning_of(step, facts->status);
    return meaning == MEANS_NO && step_creates(step) && !facts->spoken ? MEANS_KEPT_OUT : meaning;
}

/* A clean "it did not happen" stays UNKNOWN when an earlier attempt may have happened. */
static struct decision not_happened(enum outcome outcome, bool was_unknown, bool repeatable)
{
    return was_unknown ? (struct decision){OUTCOME_UNKNOWN, !repeatable} : (struct decision){outcome, false};
}

static struct decision in_doubt(enum step step, const struct facts *facts, bool was_unknown)
{
    bool final = facts->replayed || facts->should_retry == SHOULD_RETRY_NO;
    if (step_creates(step))
        return (struct decision){OUTCOME_UNKNOWN, final && step != STEP_DELETE};
    return not_happened(final ? OUTCOME_REFUSED : OUTCOME_RETRY, was_unknown, !final);
}

struct decision outcome_decide(enum step step, const struct facts *facts, bool was_unknown)
{
    bool no_more = facts->should_retry == SHOULD_RETRY_NO;
    if (facts->transport == TRANSPORT_NOT_SENT)
        return not_happened(OUTCOME_RETRY, was_unknown, true);
    if (facts->transport == TRANSPORT_LOST)
        return step_creates(step) ? (struct decision){OUTCOME_UNKNOWN, false}
                                  : not_happened(OUTCOME_RETRY, was_unknown, true);
    /* With a 409 the key is merely in use by an earlier attempt: that passes. */
    if (facts->idempotency_error && facts->status != 409 && step_creates(step))
        return (struct decision){OUTCOME_UNKNOWN, true};
    switch (meaning_in(step, facts)) {
    case MEANS_DONE:
        if (facts->sound)
            return (struct decision){OUTCOME_OK, false};
        if (facts->status == 404) /* somebody's 404, not the upstream's word that it is gone */
            return facts->should_retry == SHOULD_RETRY_YES ? not_happened(OUTCOME_RETRY, was_unknown, true)
                                                           : (struct decision){OUTCOME_REFUSED, false};
        return in_doubt(step, facts, was_unknown);
    case MEANS_NO:
        if (facts->should_retry == SHOULD_RETRY_YES)
            return not_happened(OUTCOME_RETRY, was_unknown, true);
        return (struct decision){OUTCOME_REFUSED, false};
    case MEANS_KEPT_OUT:
        if (facts->should_retry == SHOULD_RETRY_YES)
            return not_happened(OUTCOME_RETRY, was_unknown, true);
        return not_happened(OUTCOME_REFUSED, was_unknown, !facts->replayed);
    case MEANS_NOT_NOW:
        return not_happened(no_more ? OUTCOME_REFUSED : OUTCOME_RETRY, was_unknown, !no_more);
    case MEANS_IN_DOUBT:
        break;
    }
    return in_doubt(step, facts, was_unknown);
}
