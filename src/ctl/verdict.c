/* What came of a request, in one sentence. */
#include "ctl/money.h"
#include "ctl/story.h"

/* What one sentence is made of. Texts are printed with %s: fields of results have a NUL behind them. */
struct facts {
    struct arena *arena;
    const char *state;
    const char *reason;   /* " (reason)" or "" */
    const char *told;     /* what the client was told */
    const char *standing; /* who works on it; "" at its end */
    const char *doing;    /* "create", "delete", "advance"; "" at its end */
    const char *invoice_id;
    const char *amount;
    const char *status; /* of the standing invoice; NULL: none stands */
    int standing_count;
};

static const char *told_of(struct arena *arena, const struct story *story)
{
    struct text status = story_field(story->request, "http_status");
    struct text took = story_field(story->plan, "took_ms");
    int64_t took_ms;
    if (!status.at)
        return "no answer is recorded";
    if (!took.at || !text_to_int64(took, &took_ms) || took_ms == 0)
        return arena_printf(arena, "the client was told %s", status.at).at;
    return arena_printf(arena, "the client was told %s; it took %s", status.at,
                        story_duration(arena, took_ms).at)
        .at;
}

static const char *standing_of(struct arena *arena, const struct story *story)
{
    if (PQntuples(story->work) == 0)
        return "";
    if (story_field(story->work, "parked_at").at)
        return "it is parked for an operator";
    if (text_is(story_field(story->work, "held"), TEXT("f")))
        return "it was given back and waits for a worker";
    if (text_is(story_field(story->work, "worker_lives"), TEXT("f")))
        return "its worker is gone and another will take it over";
    return arena_printf(arena, "worker %s (%s, process %s) has it", story_field(story->work, "worker_id").at,
                        story_field(story->work, "host").at, story_field(story->work, "pid").at)
        .at;
}

static void take_invoices(struct facts *facts, const struct story *story)
{
    for (int row = 0; row < PQntuples(story->invoices); row++) {
        struct text status = db_cell(story->invoices, row, PQfnumber(story->invoices, "status"));
        if (text_is(status, TEXT("deleted")))
            continue;
        struct text amount =
            money(facts->arena, db_cell(story->invoices, row, PQfnumber(story->invoices, "amount_minor")),
                  db_cell(story->invoices, row, PQfnumber(story->invoices, "currency")));
        facts->standing_count++;
        facts->status = status.at ? status.at : "of unknown status";
        facts->invoice_id = PQgetvalue(story->invoices, row, PQfnumber(story->invoices, "invoice_id"));
        facts->amount = amount.at ? amount.at : "an unknown amount";
    }
}

static struct facts facts_of(struct arena *arena, const struct story *story)
{
    struct text reason = story_field(story->request, "reason");
    struct text doing = story_field(story->work, "doing");
    struct facts facts = {
        .arena = arena,
        .state = story_field(story->request, "state").at,
        .reason = reason.at ? arena_printf(arena, " (%s)", reason.at).at : "",
        .told = told_of(arena, story),
        .standing = standing_of(arena, story),
        .doing = doing.at ? doing.at : "",
        .invoice_id = story_field(story->request, "invoice_id").at,
    };
    take_invoices(&facts, story);
    return facts;
}

static struct text of_created(const struct facts *facts, enum tone *tone)
{
    bool advancing = strcmp(facts->doing, "advance") == 0;
    *tone = facts->standing_count == 1 ? TONE_GOOD : TONE_ALARM;
    if (facts->standing_count != 1)
        return arena_printf(facts->arena, "Created, but the invoice's own row is missing: %s; %s.",
                            facts->invoice_id ? facts->invoice_id : "no id", facts->told);
    return arena_printf(facts->arena, "Created: invoice %s over %s stands upstream, %s; %s%s.",
                        facts->invoice_id, facts->amount, facts->status, facts->told,
                        advancing ? "; that it advances automatically is not confirmed yet" : "");
}

static struct text of_failed(const struct facts *facts, enum tone *tone)
{
    *tone = facts->standing_count == 0 ? TONE_BAD : TONE_ALARM;
    if (strcmp(facts->doing, "delete") == 0)
        return arena_printf(facts->arena, "Failed%s: the draft %s is being deleted, %s; %s.", facts->reason,
                            facts->invoice_id ? facts->invoice_id : "that was made", facts->standing,
                            facts->told);
    if (facts->standing_count > 0)
        return arena_printf(
            facts->arena,
            "Failed%s, and yet invoice %s over %s stands upstream, %s: look at it there and decide; %s.",
            facts->reason, facts->invoice_id, facts->amount, facts->status, facts->told);
    if (facts->invoice_id)
        return arena_printf(facts->arena, "Failed%s: no invoice stands, the draft %s was deleted again; %s.",
                            facts->reason, facts->invoice_id, facts->told);
    return arena_printf(facts->arena, "Failed%s: no invoice stands or will; %s.", facts->reason, facts->told);
}

static struct text of_unfinished(const struct facts *facts, int64_t age_ms, enum tone *tone)
{
    struct arena *arena = facts->arena;
    bool unresolved = strcmp(facts->state, "unresolved") == 0;
    const char *standing = facts->standing[0] ? facts->standing : "nobody has it, which must not be";
    *tone = unresolved || !facts->standing[0] ? TONE_ALARM : TONE_BOLD;
    if (strcmp(facts->doing, "delete") == 0)
        return arena_printf(arena, "Being undone%s since %s: what was made of it is deleted; %s.",
                            facts->reason, story_duration(arena, age_ms).at, standing);
    if (unresolved)
        return arena_printf(arena, "Unresolved%s since %s: an invoice may stand upstream; %s.", facts->reason,
                            story_duration(arena, age_ms).at, standing);
    return arena_printf(arena, "Open since %s: %s.", story_duration(arena, age_ms).at, standing);
}

struct text story_verdict(struct ctl *ctl, const struct story *story, enum tone *tone)
{
    struct facts facts = facts_of(&ctl->arena, story);
    int64_t age_ms = 0;
    *tone = TONE_WARNING;
    if (!text_to_int64(story_field(story->plan, "age_ms"), &age_ms))
        age_ms = 0;
    if (facts.standing_count > 1) {
        *tone = TONE_ALARM;
        return arena_printf(&ctl->arena,
                            "%d invoices stand upstream for this one request, which must never be: "
                            "void all but one there.",
                            facts.standing_count);
    }
    if (strcmp(facts.state, "created") == 0)
        return of_created(&facts, tone);
    if (strcmp(facts.state, "failed") == 0)
        return of_failed(&facts, tone);
    if (strcmp(facts.state, "refused") == 0 && facts.standing_count == 0)
        return arena_printf(&ctl->arena, "Refused%s: nothing was sent upstream; %s.", facts.reason,
                            facts.told);
    if (strcmp(facts.state, "refused") == 0)
        return of_failed(&facts, tone);
    return of_unfinished(&facts, age_ms, tone);
}
