#include "front/response.h"

#include "front/json.h"

/* "NAME": or ,"NAME": and the text in quotes; null where it is absent. */
static void add_member(struct builder *out, const char *name_and_colon, struct text text)
{
    builder_add(out, text_from(name_and_colon));
    if (text.at)
        json_write_string(out, text);
    else
        builder_add(out, TEXT("null"));
}

static struct text lower_case(struct arena *arena, struct text text)
{
    struct text lower = arena_copy(arena, text);
    char *at = (char *)(uintptr_t)lower.at; /* our own copy */

    for (size_t i = 0; i < lower.length; i++)
        if (at[i] >= 'A' && at[i] <= 'Z')
            at[i] = (char)(at[i] - 'A' + 'a');
    return lower;
}

struct text response_invoice(struct arena *arena, const struct invoice_answer *invoice)
{
    struct text currency = lower_case(arena, invoice->currency);
    struct builder out;

    builder_init(&out, arena, 512);
    add_member(&out, "{\"id\":", invoice->id);
    builder_add(&out, TEXT(",\"amount\":"));
    builder_add_int64(&out, invoice->amount_minor);
    add_member(&out, ",\"currency\":", currency);
    add_member(&out, ",\"status\":", invoice->status);
    add_member(&out, ",\"number\":", invoice->number);
    add_member(&out, ",\"customer\":{\"id\":", invoice->customer_id);
    add_member(&out, ",\"email\":", invoice->customer_email);
    add_member(&out, ",\"name\":", invoice->customer_name);
    add_member(&out, "},\"description\":", invoice->description.at ? invoice->description : TEXT(""));
    builder_add(&out, TEXT(",\"created\":"));
    builder_add_int64(&out, invoice->created_s);
    builder_add_char(&out, '}');
    return builder_text(&out);
}

struct text response_error(struct arena *arena, struct text message)
{
    struct builder out;

    builder_init(&out, arena, message.length + 32);
    add_member(&out, "{\"error\":", message);
    builder_add_char(&out, '}');
    return builder_text(&out);
}
