#include "upstream/calls.h"

#include <string.h>

static const struct {
    const char *name;
    bool creates;
} steps[STEP_COUNT] = {
#define X(upper, lower, creates_) [STEP_##upper] = {#lower, creates_},
    STEPS(X)
#undef X
};

const char *step_name(enum step step)
{
    CHECK(step < STEP_COUNT);
    return steps[step].name;
}

static const struct {
    const char *name, *path_end;
} acts[ACT_COUNT] = {
#define X(upper, lower, end) [ACT_##upper] = {#lower, end},
    ACTS(X)
#undef X
};

const char *plan_step_name(const struct plan *plan, enum step step)
{
    CHECK(plan->act < ACT_COUNT);
    return step == STEP_ACT ? acts[plan->act].name : step_name(step);
}

bool step_creates(enum step step)
{
    CHECK(step < STEP_COUNT);
    return steps[step].creates;
}

/* name=value, with an & before all but the first; an absent value is left out. Names are ours and go as they
 * are. */
static void add_field(struct builder *out, const char *name, struct text value)
{
    if (!value.at)
        return;
    if (out->length > 0 && out->at[out->length - 1] != '?')
        builder_add_char(out, '&');
    builder_add(out, text_from(name));
    builder_add_char(out, '=');
    builder_add_encoded(out, value);
}

static void add_number(struct builder *out, const char *name, int64_t value)
{
    builder_add_char(out, '&');
    builder_add(out, text_from(name));
    builder_add_char(out, '=');
    builder_add_int64(out, value);
}

static void path_begin(struct builder *path, struct arena *arena, const char *start)
{
    builder_init(path, arena, 160);
    builder_add(path, text_from(start));
}

static struct text request_text(const struct plan *plan, struct arena *arena)
{
    char id[UUID_TEXT_BYTES];
    uuid_text(plan->request_id, id);
    return arena_copy(arena, text_from(id));
}

/* Of the request, the step and the generation: for every step but the customer. */
static struct text request_key(const struct plan *plan, enum step step, struct arena *arena)
{
    char id[UUID_TEXT_BYTES];
    uuid_text(plan->request_id, id);
    return arena_printf(arena, "invoicegate-%s-%s-%d", id, plan_step_name(plan, step), plan->generation);
}

/* Of the client, the account, the mode and the generation: two first requests at once make one customer. */
static struct text customer_key(const struct plan *plan, struct arena *arena)
{
    uint8_t digest[DIGEST_BYTES];
    char hex[2 * DIGEST_BYTES + 1];
    struct builder input;
    builder_init(&input, arena, 160);
    builder_add_int64(&input, plan->agency_id);
    builder_add_char(&input, '\n');
    builder_add(&input, plan->client_id);
    builder_add_char(&input, '\n');
    builder_add(&input, plan->account_id);
    builder_add_char(&input, '\n');
    builder_add(&input, text_from(mode_name(plan->mode)));
    if (!digest_sha256(builder_text(&input), digest))
        return TEXT_NONE;
    digest_hex(digest, DIGEST_BYTES, hex);
    return arena_printf(arena, "invoicegate-customer-%s-%d", hex, plan->customer_generation);
}

static void make_product(const struct plan *plan, struct arena *arena, struct call *call)
{
    struct builder path;
    path_begin(&path, arena, "/v1/products/");
    builder_add_encoded(&path, plan->product_id);
    builder_add(&path, TEXT("?expand%5B%5D=default_price"));
    call->path = builder_text(&path);
}

static void make_prices(const struct plan *plan, struct arena *arena, struct call *call)
{
    struct builder path;
    path_begin(&path, arena, "/v1/prices?");
    add_field(&path, "product", plan->product_id);
    builder_add(&path, TEXT("&active=true&type=one_time&limit=2"));
    call->path = builder_text(&path);
}

static void make_customer(const struct plan *plan, struct arena *arena, struct call *call)
{
    struct builder form;
    builder_init(&form, arena, 320);
    add_field(&form, "name", plan->customer_name);
    add_field(&form, "email", plan->customer_email);
    add_field(&form, "metadata[" METADATA_CLIENT "]", plan->client_id);
    call->path = TEXT("/v1/customers");
    call->form = builder_text(&form);
    call->idempotency_key = customer_key(plan, arena);
}

/* What its caller wrote, and the mark that a look-up finds it by. */
static void make_passed_on(const struct plan *plan, enum step step, struct arena *arena, struct call *call)
{
    struct builder form;
    builder_init(&form, arena, plan->form.length + 160);
    builder_add(&form, plan->form);
    add_field(&form, "metadata[" METADATA_REQUEST "]", request_text(plan, arena));
    if (step == STEP_INVOICE)
        add_field(&form, "metadata[" METADATA_CLIENT "]", plan->client_id);
    call->path = step == STEP_INVOICE ? TEXT("/v1/invoices") : TEXT("/v1/invoiceitems");
    call->form = builder_text(&form);
    call->idempotency_key = request_key(plan, step, arena);
}

static void make_invoice(const struct plan *plan, struct arena *arena, struct call *call)
{
    struct builder form;
    builder_init(&form, arena, 480);
    add_field(&form, "customer", plan->customer_id);
    add_field(&form, "collection_method", plan->collection_method);
    if (plan->days_until_due >= 0)
        add_number(&form, "days_until_due", plan->days_until_due);
    add_field(&form, "auto_advance", TEXT("false"));
    add_field(&form, "pending_invoice_items_behavior", TEXT("exclude"));
    add_field(&form, "currency", plan->currency);
    add_field(&form, "metadata[" METADATA_REQUEST "]", request_text(plan, arena));
    add_field(&form, "metadata[" METADATA_CLIENT "]", plan->client_id);
    call->path = TEXT("/v1/invoices");
    call->form = builder_text(&form);
    call->idempotency_key = request_key(plan, STEP_INVOICE, arena);
}

static struct text invoice_path(const struct plan *plan, const char *end, struct arena *arena)
{
    struct builder path;
    path_begin(&path, arena, "/v1/invoices/");
    builder_add_encoded(&path, plan->invoice_id);
    builder_add(&path, text_from(end));
    return builder_text(&path);
}

static void make_lines(const struct plan *plan, struct arena *arena, struct call *call)
{
    struct builder form;
    builder_init(&form, arena, 160);
    add_field(&form, "lines[0][pricing][price]", plan->price_id);
    add_field(&form, "lines[0][quantity]", TEXT("1"));
    call->path = invoice_path(plan, "/add_lines", arena);
    call->form = builder_text(&form);
    call->idempotency_key = request_key(plan, STEP_LINES, arena);
}

static void make_act(const struct plan *plan, struct arena *arena, struct call *call)
{
    CHECK(plan->act != ACT_NONE);
    if (plan->act == ACT_INVOICEITEM) {
        make_passed_on(plan, STEP_ACT, arena, call);
        return;
    }
    call->path = invoice_path(plan, acts[plan->act].path_end, arena);
    call->form = plan->form;
    call->idempotency_key = request_key(plan, STEP_ACT, arena);
}

static void make_read(const struct plan *plan, struct arena *arena, struct call *call)
{
    call->path = invoice_path(plan, "", arena);
    if (plan->query.length > 0)
        call->path = arena_printf(arena, "%s?%.*s", call->path.at, (int)plan->query.length, plan->query.at);
}

static void make_lookup(const struct plan *plan, struct arena *arena, struct call *call)
{
    struct builder path;
    bool items = plan->act == ACT_INVOICEITEM;
    path_begin(&path, arena, items ? "/v1/invoiceitems?limit=25" : "/v1/invoices?limit=25");
    add_field(&path, "customer", plan->customer_id);
    add_number(&path, "created%5Bgte%5D", plan->list_since_s);
    add_field(&path, "starting_after", plan->list_cursor);
    call->path = builder_text(&path);
}

static void make_advance(const struct plan *plan, struct arena *arena, struct call *call)
{
    call->path = invoice_path(plan, "", arena);
    call->form = TEXT("auto_advance=true");
    call->idempotency_key = request_key(plan, STEP_ADVANCE, arena);
}

bool call_make(enum step step, const struct plan *plan, struct arena *arena, struct call *call)
{
    *call = (struct call){.method = step_creates(step) ? METHOD_POST : METHOD_GET,
                          .account_id = plan->account_id,
                          .version = plan->upstream_version,
                          .mode = plan->mode};
    switch (step) {
    case STEP_PRODUCT:
        make_product(plan, arena, call);
        break;
    case STEP_PRICES:
        make_prices(plan, arena, call);
        break;
    case STEP_CUSTOMER:
        make_customer(plan, arena, call);
        break;
    case STEP_INVOICE:
        if (plan->form.at)
            make_passed_on(plan, step, arena, call);
        else
            make_invoice(plan, arena, call);
        break;
    case STEP_LINES:
        make_lines(plan, arena, call);
        break;
    case STEP_LOOKUP:
        make_lookup(plan, arena, call);
        break;
    case STEP_ADVANCE:
        make_advance(plan, arena, call);
        break;
    case STEP_DELETE:
        call->method = METHOD_DELETE;
        call->path = invoice_path(plan, "", arena);
        break;
    case STEP_ACT:
        make_act(plan, arena, call);
        break;
    case STEP_READ:
        make_read(plan, arena, call);
        break;
    case STEP_COUNT:
        NEVER("a step");
    }
    return !arena_overflowed(arena) && (call->method != METHOD_POST || call->idempotency_key.at);
}
