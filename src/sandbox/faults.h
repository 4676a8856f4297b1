// Faults on demand: rules that say which calls go wrong, and how.
#pragma once

#include "sandbox/call.h"

// How an answer goes onto the wire.
enum wire_how { WIRE_PLAIN, WIRE_RESET, WIRE_HANG, WIRE_CUT, WIRE_ENDLESS, WIRE_DRIP, WIRE_REFUSE };

// What becomes of an answer's text.
enum alter {
    ALTER_NONE,
    ALTER_STATUS, // an error of the rule's or the kind's status
    ALTER_IDEMPOTENCY,
    ALTER_HTML,
    ALTER_REDIRECT,
    ALTER_GARBAGE,
    ALTER_NUL,
    ALTER_WRONG_ID,
    ALTER_NO_ID,
    ALTER_NOT_OBJECT,
    ALTER_AMOUNT, // the last three: answers of calls that execute nothing; the others are stored so
    ALTER_CURRENCY,
    ALTER_QUANTITY,
};

struct fault_kind {
    const char *name;
    bool before; // the call is not processed
    unsigned effects;
    enum alter alter;
    enum wire_how how;
    int status;
    int64_t delay_ms;
    const char *should_retry;
};

struct fault_rule {
    struct fault_rule *next;
    const struct fault_kind *kind;
    char account[ACCOUNT_BYTES]; // empty: any
    enum step step;
    int64_t id;
    double probability;
    int64_t count; // fires at most so often; -1: no limit
    int64_t skip;
    int64_t matched;
    int64_t fired;
    int64_t delay_ms; // -1: the kind's
    int64_t bytes;    // -1: a default
    int retry_after_s;
    int status; // 0: the kind's
    bool raw;
};

struct faults {
    struct fault_rule *first; // owned
    int64_t next_id;
};

const struct fault_kind *fault_kind_find(const char *name);
void fault_kinds_write(struct text *text);

// The first rule that fires on this call; NULL when none does. random is the generator's state.
const struct fault_rule *faults_pick(struct faults *faults, const struct call *call, uint64_t *random);

// Takes the rule over (from malloc) and gives it its id.
void faults_add(struct faults *faults, struct fault_rule *rule);

// id 0: all of them. Answers how many went.
int64_t faults_remove(struct faults *faults, int64_t id);
void faults_write(struct text *text, const struct faults *faults);

// The answer of a call that is not processed.
void fault_answer(struct call *call, const struct fault_rule *rule);

// Spoils the answer of a call that was processed; plain is its text.
void fault_alter(struct call *call, const struct fault_rule *rule, struct text *plain);
