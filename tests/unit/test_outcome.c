#include "unit.h"

#include "flow/outcome.h"

#define ANSWERED TRANSPORT_ANSWERED
#define NOT_SENT TRANSPORT_NOT_SENT
#define LOST TRANSPORT_LOST
#define UNSAID SHOULD_RETRY_UNSAID
#define YES SHOULD_RETRY_YES
#define NO SHOULD_RETRY_NO

/* What else an answer was. */
enum trait { PLAIN = 0, SOUND = 1, REPLAYED = 2, KEY_ERROR = 4, DOUBTED = 8, FOREIGN = 16 };

/* What is expected of a step: LOOK is UNKNOWN with a look-up. */
enum expected { OK, REFUSED, RETRY, UNKNOWN, LOOK };

static const struct {
    enum step step;
    enum transport transport;
    int status;
    enum should_retry should_retry;
    int traits;
    enum expected expected;
} table[] = {
    /* An answer that makes sense ends every step. */
    {STEP_PRODUCT, ANSWERED, 200, UNSAID, SOUND, OK},
    {STEP_PRICES, ANSWERED, 200, UNSAID, SOUND, OK},
    {STEP_CUSTOMER, ANSWERED, 200, UNSAID, SOUND, OK},
    {STEP_INVOICE, ANSWERED, 200, UNSAID, SOUND, OK},
    {STEP_INVOICE, ANSWERED, 201, UNSAID, SOUND, OK},
    {STEP_INVOICE, ANSWERED, 200, UNSAID, SOUND | REPLAYED, OK},
    {STEP_INVOICE, ANSWERED, 200, UNSAID, SOUND | REPLAYED | DOUBTED, OK},
    {STEP_INVOICE, ANSWERED, 200, NO, SOUND | DOUBTED, OK},
    {STEP_LINES, ANSWERED, 200, UNSAID, SOUND | DOUBTED, OK},
    {STEP_LOOKUP, ANSWERED, 200, UNSAID, SOUND, OK},
    {STEP_ADVANCE, ANSWERED, 200, UNSAID, SOUND, OK},
    {STEP_DELETE, ANSWERED, 200, UNSAID, SOUND, OK},
    /* A success without its object is a cut-off body. */
    {STEP_PRODUCT, ANSWERED, 200, UNSAID, PLAIN, RETRY},
    {STEP_PRODUCT, ANSWERED, 200, NO, PLAIN, REFUSED},
    {STEP_LOOKUP, ANSWERED, 204, UNSAID, PLAIN, RETRY},
    {STEP_INVOICE, ANSWERED, 200, UNSAID, PLAIN, UNKNOWN},
    {STEP_INVOICE, ANSWERED, 204, UNSAID, PLAIN, UNKNOWN},
    {STEP_INVOICE, ANSWERED, 200, UNSAID, REPLAYED, LOOK},
    {STEP_INVOICE, ANSWERED, 200, NO, PLAIN, LOOK},
    {STEP_DELETE, ANSWERED, 200, NO, PLAIN, UNKNOWN},
    /* Nothing was sent. */
    {STEP_PRODUCT, NOT_SENT, 0, UNSAID, PLAIN, RETRY},
    {STEP_INVOICE, NOT_SENT, 0, UNSAID, PLAIN, RETRY},
    {STEP_INVOICE, NOT_SENT, 0, UNSAID, DOUBTED, UNKNOWN},
    {STEP_DELETE, NOT_SENT, 0, UNSAID, PLAIN, RETRY},
    {STEP_DELETE, NOT_SENT, 0, UNSAID, DOUBTED, UNKNOWN},
    /* The answer was lost. */
    {STEP_PRODUCT, LOST, 0, UNSAID, PLAIN, RETRY},
    {STEP_PRICES, LOST, 0, UNSAID, PLAIN, RETRY},
    {STEP_LOOKUP, LOST, 0, UNSAID, PLAIN, RETRY},
    {STEP_CUSTOMER, LOST, 0, UNSAID, PLAIN, UNKNOWN},
    {STEP_INVOICE, LOST, 0, UNSAID, PLAIN, UNKNOWN},
    {STEP_LINES, LOST, 0, UNSAID, PLAIN, UNKNOWN},
    {STEP_ADVANCE, LOST, 0, UNSAID, PLAIN, UNKNOWN},
    {STEP_DELETE, LOST, 0, UNSAID, PLAIN, UNKNOWN},
    /* The upstream's own refusals. */
    {STEP_PRODUCT, ANSWERED, 404, UNSAID, PLAIN, REFUSED},
    {STEP_INVOICE, ANSWERED, 400, UNSAID, PLAIN, REFUSED},
    {STEP_INVOICE, ANSWERED, 402, UNSAID, PLAIN, REFUSED},
    {STEP_INVOICE, ANSWERED, 404, UNSAID, PLAIN, REFUSED},
    {STEP_INVOICE, ANSWERED, 400, NO, PLAIN, REFUSED},
    {STEP_INVOICE, ANSWERED, 400, UNSAID, REPLAYED, REFUSED},
    {STEP_INVOICE, ANSWERED, 400, UNSAID, DOUBTED, REFUSED},
    {STEP_INVOICE, ANSWERED, 402, UNSAID, REPLAYED | DOUBTED, REFUSED},
    {STEP_INVOICE, ANSWERED, 400, YES, PLAIN, RETRY},
    {STEP_INVOICE, ANSWERED, 400, YES, DOUBTED, UNKNOWN},
    {STEP_DELETE, ANSWERED, 400, UNSAID, PLAIN, REFUSED},
    {STEP_DELETE, ANSWERED, 400, UNSAID, DOUBTED, REFUSED},
    /* What is gone is deleted. */
    {STEP_DELETE, ANSWERED, 404, UNSAID, SOUND, OK},
    {STEP_DELETE, ANSWERED, 404, NO, SOUND | DOUBTED, OK},
    /* If the upstream does not say so, somebody else did. */
    {STEP_DELETE, ANSWERED, 404, UNSAID, PLAIN, REFUSED},
    {STEP_DELETE, ANSWERED, 404, UNSAID, FOREIGN | DOUBTED, REFUSED},
    {STEP_DELETE, ANSWERED, 404, YES, PLAIN, RETRY},
    /* A refusal that is not in the upstream's words is that of somebody on the way. */
    {STEP_INVOICE, ANSWERED, 404, UNSAID, FOREIGN, REFUSED},
    {STEP_INVOICE, ANSWERED, 404, UNSAID, FOREIGN | DOUBTED, UNKNOWN},
    {STEP_INVOICE, ANSWERED, 400, UNSAID, FOREIGN | DOUBTED, UNKNOWN},
    {STEP_LINES, ANSWERED, 402, UNSAID, FOREIGN | REPLAYED | DOUBTED, LOOK},
    {STEP_ADVANCE, ANSWERED, 404, UNSAID, PLAIN, REFUSED},
    /* The gateway is kept out: says nothing of earlier attempts. */
    {STEP_PRODUCT, ANSWERED, 401, UNSAID, PLAIN, REFUSED},
    {STEP_INVOICE, ANSWERED, 401, UNSAID, PLAIN, REFUSED},
    {STEP_INVOICE, ANSWERED, 403, UNSAID, PLAIN, REFUSED},
    {STEP_INVOICE, ANSWERED, 302, UNSAID, PLAIN, REFUSED},
    {STEP_INVOICE, ANSWERED, 401, UNSAID, DOUBTED, UNKNOWN},
    {STEP_INVOICE, ANSWERED, 401, NO, DOUBTED, UNKNOWN},
    {STEP_INVOICE, ANSWERED, 403, UNSAID, DOUBTED, UNKNOWN},
    {STEP_INVOICE, ANSWERED, 403, UNSAID, REPLAYED | DOUBTED, LOOK},
    {STEP_INVOICE, ANSWERED, 302, UNSAID, DOUBTED, UNKNOWN},
    {STEP_INVOICE, ANSWERED, 403, YES, PLAIN, RETRY},
    {STEP_DELETE, ANSWERED, 401, UNSAID, PLAIN, REFUSED},
    {STEP_INVOICE, ANSWERED, 408, UNSAID, PLAIN, REFUSED},
    {STEP_INVOICE, ANSWERED, 408, UNSAID, DOUBTED, UNKNOWN},
    /* Not now. */
    {STEP_PRODUCT, ANSWERED, 429, UNSAID, PLAIN, RETRY},
    {STEP_INVOICE, ANSWERED, 429, UNSAID, PLAIN, RETRY},
    {STEP_INVOICE, ANSWERED, 429, NO, PLAIN, REFUSED},
    {STEP_INVOICE, ANSWERED, 429, UNSAID, DOUBTED, UNKNOWN},
    {STEP_INVOICE, ANSWERED, 429, NO, DOUBTED, LOOK},
    /* It may have been executed. */
    {STEP_PRODUCT, ANSWERED, 500, UNSAID, PLAIN, RETRY},
    {STEP_PRODUCT, ANSWERED, 500, NO, PLAIN, REFUSED},
    {STEP_PRODUCT, ANSWERED, 409, UNSAID, PLAIN, RETRY},
    {STEP_LOOKUP, ANSWERED, 503, YES, PLAIN, RETRY},
    {STEP_INVOICE, ANSWERED, 500, UNSAID, PLAIN, UNKNOWN},
    {STEP_INVOICE, ANSWERED, 502, UNSAID, PLAIN, UNKNOWN},
    {STEP_INVOICE, ANSWERED, 503, YES, PLAIN, UNKNOWN},
    {STEP_INVOICE, ANSWERED, 504, UNSAID, SOUND, UNKNOWN},
    {STEP_INVOICE, ANSWERED, 500, UNSAID, REPLAYED, LOOK},
    {STEP_INVOICE, ANSWERED, 500, NO, PLAIN, LOOK},
    {STEP_INVOICE, ANSWERED, 500, YES, REPLAYED, LOOK},
    {STEP_INVOICE, ANSWERED, 409, UNSAID, PLAIN, UNKNOWN},
    {STEP_INVOICE, ANSWERED, 424, UNSAID, PLAIN, UNKNOWN},
    {STEP_INVOICE, ANSWERED, 100, UNSAID, PLAIN, UNKNOWN},
    {STEP_INVOICE, ANSWERED, 999, UNSAID, SOUND, UNKNOWN},
    {STEP_DELETE, ANSWERED, 500, UNSAID, REPLAYED, UNKNOWN},
    {STEP_DELETE, ANSWERED, 500, NO, PLAIN, UNKNOWN},
    {STEP_ADVANCE, ANSWERED, 500, UNSAID, REPLAYED, LOOK},
    /* The key was spent on other bytes; a key that is merely in use will be free. */
    {STEP_CUSTOMER, ANSWERED, 400, UNSAID, KEY_ERROR, LOOK},
    {STEP_INVOICE, ANSWERED, 400, UNSAID, KEY_ERROR, LOOK},
    {STEP_INVOICE, ANSWERED, 400, NO, KEY_ERROR | DOUBTED, LOOK},
    {STEP_LINES, ANSWERED, 400, UNSAID, KEY_ERROR, LOOK},
    {STEP_CUSTOMER, ANSWERED, 409, UNSAID, KEY_ERROR, UNKNOWN},
    {STEP_INVOICE, ANSWERED, 409, UNSAID, KEY_ERROR, UNKNOWN},
    {STEP_LINES, ANSWERED, 409, YES, KEY_ERROR | DOUBTED, UNKNOWN},
    {STEP_PRODUCT, ANSWERED, 400, UNSAID, KEY_ERROR, REFUSED},
};

static enum expected shown(struct decision decision)
{
    static const enum expected expected[OUTCOME_COUNT] = {
        [OUTCOME_OK] = OK, [OUTCOME_REFUSED] = REFUSED, [OUTCOME_RETRY] = RETRY, [OUTCOME_UNKNOWN] = UNKNOWN};
    return decision.look_up ? LOOK : expected[decision.outcome];
}

static void decides_as_the_table_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct facts facts = {.transport = table[i].transport,
                              .status = table[i].status,
                              .should_retry = table[i].should_retry,
                              .sound = table[i].traits & SOUND,
                              .replayed = table[i].traits & REPLAYED,
                              .spoken = !(table[i].traits & FOREIGN),
                              .idempotency_error = table[i].traits & KEY_ERROR};
        enum expected got = shown(outcome_decide(table[i].step, &facts, table[i].traits & DOUBTED));
        if (got != table[i].expected)
            fail_msg("row %zu: %s, status %d: got %d, not %d", i, step_name(table[i].step), table[i].status,
                     got, table[i].expected);
    }
}

/* One point of the product of all inputs, and what was decided there. */
struct point {
    enum step step;
    struct facts facts;
    bool was_unknown;
    struct decision decision;
};

static const int statuses[] = {0,   100, 199, 200, 201, 204, 299, 300, 302, 304, 307, 399, 400,
                               401, 402, 403, 404, 405, 408, 409, 410, 413, 415, 422, 424, 429,
                               451, 499, 500, 501, 502, 503, 504, 529, 599, 600, 999};

static bool is_one_of(int status, const int *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (list[i] == status)
            return true;
    return false;
}

static bool is_success(int status)
{
    return status >= 200 && status < 300;
}

/* A 4xx with which the upstream decided about this very request. */
static bool is_own_refusal(const struct facts *facts)
{
    static const int others[] = {401, 403, 409, 424, 429};
    return facts->status >= 400 && facts->status < 500 && facts->spoken && !facts->idempotency_error &&
           !is_one_of(facts->status, others, COUNT_OF(others));
}

static bool is_gone(const struct point *point)
{
    return point->step == STEP_DELETE && point->facts.status == 404 && point->facts.sound;
}

/* Somebody's 404 to a deletion: not believed, but looked into. */
static bool is_elsewhere(const struct point *point)
{
    return point->step == STEP_DELETE && point->facts.status == 404 && !point->facts.sound;
}

/* Whether the attempt itself may have been executed without our learning what came of it. */
static bool may_have_run(const struct point *point)
{
    static const int doubtful[] = {409, 424};
    const struct facts *facts = &point->facts;
    if (facts->transport != ANSWERED)
        return facts->transport == LOST;
    return facts->idempotency_error || is_one_of(facts->status, doubtful, COUNT_OF(doubtful)) ||
           facts->status < 200 || facts->status >= 500 || (is_success(facts->status) && !facts->sound);
}

static void unknown_is_sticky(const struct point *point)
{
    const struct facts *facts = &point->facts;
    if (!point->was_unknown || !step_creates(point->step) || point->decision.outcome == OUTCOME_UNKNOWN)
        return;
    assert_int_equal(facts->transport, ANSWERED);
    if (point->decision.outcome == OUTCOME_OK)
        assert_true((is_success(facts->status) && facts->sound) || is_gone(point));
    else
        assert_true(point->decision.outcome == OUTCOME_REFUSED &&
                    (is_own_refusal(facts) || is_elsewhere(point)));
}

static void what_may_have_run_is_unknown(const struct point *point)
{
    if (step_creates(point->step) && may_have_run(point) && !is_gone(point))
        assert_int_equal(point->decision.outcome, OUTCOME_UNKNOWN);
}

static void what_was_not_sent_is_tried_again(const struct point *point)
{
    if (point->facts.transport == NOT_SENT) {
        assert_int_equal(point->decision.outcome, point->was_unknown ? OUTCOME_UNKNOWN : OUTCOME_RETRY);
        assert_false(point->decision.look_up);
    }
}

static void only_an_answer_ends_a_step(const struct point *point)
{
    enum outcome outcome = point->decision.outcome;
    if (outcome == OUTCOME_OK || outcome == OUTCOME_REFUSED)
        assert_int_equal(point->facts.transport, ANSWERED);
    if (outcome == OUTCOME_OK)
        assert_true((is_success(point->facts.status) && point->facts.sound) || is_gone(point));
    if (outcome == OUTCOME_REFUSED)
        assert_false(is_success(point->facts.status) && point->facts.sound);
}

static void reading_leaves_no_doubt(const struct point *point)
{
    if (!step_creates(point->step) && !point->was_unknown)
        assert_int_not_equal(point->decision.outcome, OUTCOME_UNKNOWN);
}

static void only_the_unknown_is_looked_up(const struct point *point)
{
    if (point->decision.look_up)
        assert_int_equal(point->decision.outcome, OUTCOME_UNKNOWN);
}

/* A saved answer and a key spent on other bytes stay what they are. */
static void what_cannot_change_is_looked_up(const struct point *point)
{
    const struct facts *facts = &point->facts;
    bool spent = facts->idempotency_error && facts->status != 409;
    bool saved = facts->replayed && (facts->status >= 500 || facts->status == 409);
    if (facts->transport != ANSWERED || point->step == STEP_DELETE || !step_creates(point->step))
        return;
    if (spent || saved)
        assert_true(point->decision.look_up);
}

static void what_may_change_is_repeated(const struct point *point)
{
    const struct facts *facts = &point->facts;
    if (!facts->replayed && facts->should_retry != NO && !(facts->idempotency_error && facts->status != 409))
        assert_false(point->decision.look_up);
}

static void the_upstreams_wish_is_obeyed(const struct point *point)
{
    if (point->facts.transport != ANSWERED)
        return;
    if (point->facts.should_retry == YES && !point->facts.replayed)
        assert_int_not_equal(point->decision.outcome, OUTCOME_REFUSED);
    if (point->facts.should_retry == NO)
        assert_int_not_equal(point->decision.outcome, OUTCOME_RETRY);
}

/* A doubtful past never makes an attempt look better or worse, only less certain. */
static void the_past_only_adds_doubt(const struct point *point)
{
    struct decision clean = outcome_decide(point->step, &point->facts, false);
    if (point->decision.outcome != OUTCOME_UNKNOWN)
        assert_int_equal(point->decision.outcome, clean.outcome);
    if (clean.outcome == OUTCOME_UNKNOWN)
        assert_true(point->decision.outcome == OUTCOME_UNKNOWN && point->decision.look_up == clean.look_up);
}

/* Without a whole answer there is nothing else to be looked at. */
static void a_missing_answer_says_nothing(const struct point *point)
{
    struct facts bare = {.transport = point->facts.transport};
    if (point->facts.transport != ANSWERED)
        assert_int_equal(shown(point->decision),
                         shown(outcome_decide(point->step, &bare, point->was_unknown)));
}

typedef void property_fn(const struct point *point);

static property_fn *const properties[] = {
    unknown_is_sticky,
    what_may_have_run_is_unknown,
    what_was_not_sent_is_tried_again,
    only_an_answer_ends_a_step,
    reading_leaves_no_doubt,
    only_the_unknown_is_looked_up,
    what_cannot_change_is_looked_up,
    what_may_change_is_repeated,
    the_upstreams_wish_is_obeyed,
    the_past_only_adds_doubt,
    a_missing_answer_says_nothing,
};

#define POINTS (STEP_COUNT * 3 * COUNT_OF(statuses) * 3 * 32)

/* Takes a number apart into one point of the product. */
static struct point point_at(size_t number)
{
    struct point point = {.facts = {.sound = number & 1,
                                    .replayed = number & 2,
                                    .idempotency_error = number & 4,
                                    .spoken = number & 16},
                          .was_unknown = number & 8};
    number /= 32;
    point.facts.should_retry = (enum should_retry)(number % 3);
    number /= 3;
    point.facts.transport = (enum transport)(number % 3);
    number /= 3;
    point.facts.status = statuses[number % COUNT_OF(statuses)];
    point.step = (enum step)(number / COUNT_OF(statuses));
    return point;
}

static void properties_hold_everywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < POINTS; i++) {
        struct point point = point_at(i);
        point.decision = outcome_decide(point.step, &point.facts, point.was_unknown);
        for (size_t p = 0; p < COUNT_OF(properties); p++)
            properties[p](&point);
    }
}

/* However often a doubtful invoice is tried in vain, only the four ways out lead out. */
static void doubt_survives_any_number_of_failures(void **state)
{
    static const struct facts failures[] = {
        {.transport = NOT_SENT},
        {.transport = ANSWERED, .status = 401},
        {.transport = ANSWERED, .status = 429},
        {.transport = ANSWERED, .status = 503},
        {.transport = LOST},
        {.transport = ANSWERED, .status = 403, .should_retry = NO},
        {.transport = ANSWERED, .status = 307},
    };
    bool unknown = true;

    (void)state;
    for (size_t i = 0; i < 1000; i++) {
        struct decision decision =
            outcome_decide(STEP_INVOICE, &failures[(i * i + i / 7) % COUNT_OF(failures)], unknown);
        unknown = decision.outcome == OUTCOME_UNKNOWN;
        assert_true(unknown);
    }
}

static void outcomes_have_names(void **state)
{
    (void)state;
    assert_string_equal(outcome_name(OUTCOME_OK), "ok");
    assert_string_equal(outcome_name(OUTCOME_REFUSED), "refused");
    assert_string_equal(outcome_name(OUTCOME_RETRY), "retry");
    assert_string_equal(outcome_name(OUTCOME_UNKNOWN), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decides_as_the_table_says),
        cmocka_unit_test(properties_hold_everywhere),
        cmocka_unit_test(doubt_survives_any_number_of_failures),
        cmocka_unit_test(outcomes_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
