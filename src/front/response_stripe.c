#include "front/response_stripe.h"

#include <json-c/json.h>

#include "base/utf8.h"
#include "front/json.h"

#define WORD_MAX_BYTES 64
#define MESSAGE_MAX_BYTES 1000
#define PARAM_MAX_BYTES 200

/* ---- errors of our own */

/* Statuses with a type or a code that is not the usual one. */
struct kind {
    int status, sent_status;
    struct text type, code;
};

static const struct kind kinds[] = {
    {402, 402, TEXT("card_error"), TEXT_NONE},
    {404, 404, TEXT("invalid_request_error"), TEXT("resource_missing")},
    {409, 409, TEXT("idempotency_error"), TEXT("idempotency_key_in_use")},
    {422, 400, TEXT("idempotency_error"), TEXT_NONE},
    {429, 429, TEXT("invalid_request_error"), TEXT("rate_limit")},
};

static struct kind kind_of(int status)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].status == status)
            return kinds[i];
    return (struct kind){status, status, status >= 500 ? TEXT("api_error") : TEXT("invalid_request_error"),
                         TEXT_NONE};
}

struct stripe_error response_stripe_error_of(int status, struct text message)
{
    struct kind kind = kind_of(status);

    return (struct stripe_error){
        .status = kind.sent_status, .type = kind.type, .code = kind.code, .message = message};
}

static void add_member(struct builder *out, const char *name, struct text text)
{
    if (!text.at)
        return;
    if (out->length > 0 && out->at[out->length - 1] != '{')
        builder_add_char(out, ',');
    json_write_string(out, text_from(name));
    builder_add_char(out, ':');
    json_write_string(out, text);
}

struct text response_stripe_error(struct arena *arena, const struct stripe_error *error)
{
    struct builder out;

    builder_init(&out, arena, error->message.length + 128);
    builder_add(&out, TEXT("{\"error\":{"));
    add_member(&out, "type", error->type.at ? error->type : kind_of(error->status).type);
    add_member(&out, "code", error->code);
    add_member(&out, "decline_code", error->decline_code);
    add_member(&out, "doc_url", error->doc_url);
    add_member(&out, "message", error->message);
    add_member(&out, "param", error->param);
    builder_add(&out, TEXT("}}"));
    return builder_text(&out);
}

struct text response_stripe_refusal(struct arena *arena, const struct refusal *refusal)
{
    struct stripe_error error = {.status = refusal->status,
                                 .code = text_from(refusal->code),
                                 .message = refusal->message,
                                 .param = refusal->param};

    return response_stripe_error(arena, &error);
}

/* ---- errors of the upstream */

static bool is_word_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool contains(struct text text, struct text part)
{
    return text.length > 0 && memmem(text.at, text.length, part.at, part.length) != NULL;
}

/* The word that begins where the text does. */
static struct text first_word(struct text text)
{
    size_t length = 0;

    while (length < text.length && is_word_char(text.at[length]))
        length++;
    return (struct text){text.at, length};
}

/* Keys, applications and accounts that are not the caller's. */
static bool is_secret_word(struct text word, struct text account_id)
{
    static const struct text starts[] = {TEXT("sk_"),    TEXT("rk_"), TEXT("pk_"),
                                         TEXT("whsec_"), TEXT("ca_"), TEXT("acct_")};

    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
        if (text_starts(word, starts[i]))
            return !text_is(word, account_id);
    return false;
}

static bool may_be_told(struct text text, struct text account_id)
{
    if (contains(text, TEXT("dashboard")) || contains(text, TEXT("invoicegate_")))
        return false;
    while (text.length > 0) {
        struct text word = first_word(text);
        if (is_secret_word(word, account_id))
            return false;
        text = text_skip(text, word.length > 0 ? word.length : 1);
    }
    return true;
}

/* A string member of the error, absent where it is none. */
static struct text string_of(struct json_object *error, const char *name)
{
    struct json_object *value = NULL;

    if (!json_object_object_get_ex(error, name, &value) || !json_object_is_type(value, json_type_string))
        return TEXT_NONE;
    return (struct text){json_object_get_string(value), (size_t)json_object_get_string_len(value)};
}

/* A short text that may be told, copied; absent otherwise. */
static struct text told(struct arena *arena, struct text text, size_t max_bytes, struct text account_id)
{
    if (text.length == 0 || text.length > max_bytes || !utf8_is_plain(text) || !may_be_told(text, account_id))
        return TEXT_NONE;
    return arena_copy(arena, text);
}

static struct text word_of(struct arena *arena, struct json_object *error, const char *name)
{
    struct text word = string_of(error, name);

    if (word.length == 0 || word.length > WORD_MAX_BYTES || first_word(word).length != word.length)
        return TEXT_NONE;
    return arena_copy(arena, word);
}

static struct text type_of(struct arena *arena, struct json_object *error, int status)
{
    static const struct text types[] = {TEXT("invalid_request_error"), TEXT("idempotency_error"),
                                        TEXT("card_error"), TEXT("api_error")};
    struct text type = word_of(arena, error, "type");

    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (text_is(type, types[i]))
            return types[i];
    return kind_of(status).type;
}

static struct text doc_url_of(struct arena *arena, struct json_object *error, struct text account_id)
{
    struct text url = string_of(error, "doc_url");
    bool documentation = text_starts(url, TEXT("https://stripe.com/docs/")) ||
                         text_starts(url, TEXT("https://docs.stripe.com/"));

    return documentation ? told(arena, url, PARAM_MAX_BYTES, account_id) : TEXT_NONE;
}

static void fill(struct arena *arena, struct json_object *from, struct text account_id,
                 struct stripe_error *error)
{
    error->type = type_of(arena, from, error->status);
    error->code = word_of(arena, from, "code");
    error->decline_code = word_of(arena, from, "decline_code");
    error->doc_url = doc_url_of(arena, from, account_id);
    error->param = told(arena, string_of(from, "param"), PARAM_MAX_BYTES, account_id);
    error->message = told(arena, string_of(from, "message"), MESSAGE_MAX_BYTES, account_id);
    if (!error->message.at)
        error->message = TEXT("The payment provider refused the request.");
}

bool response_stripe_upstream_error(struct arena *arena, int status, struct text body, struct text account_id,
                                    struct stripe_error *error)
{
    struct text why;
    struct json_object *answer = json_read(arena, body, &why);
    struct json_object *from = NULL;
    bool is_error = json_object_is_type(answer, json_type_object) &&
                    json_object_object_get_ex(answer, "error", &from) &&
                    json_object_is_type(from, json_type_object);

    *error = (struct stripe_error){.status = status};
    if (is_error)
        fill(arena, from, account_id, error);
    json_object_put(answer);
    return is_error && !arena_overflowed(arena);
}
