#include "front/header.h"

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static struct text trim(struct text text)
{
    while (text.length > 0 && is_space(text.at[0]))
        text = text_skip(text, 1);
    while (text.length > 0 && is_space(text.at[text.length - 1]))
        text.length--;
    return text;
}

/* ---- Content-Type */

/* Takes what stands before the next semicolon outside of quotes off the front of rest. */
static struct text next_parameter(struct text *rest)
{
    struct text parameter = *rest;
    bool quoted = false;
    size_t i;

    for (i = 0; i < rest->length; i++) {
        if (quoted && rest->at[i] == '\\' && i + 1 < rest->length)
            i++;
        else if (rest->at[i] == '"')
            quoted = !quoted;
        else if (rest->at[i] == ';' && !quoted)
            break;
    }
    parameter.length = i;
    *rest = text_skip(*rest, i < rest->length ? i + 1 : i);
    return trim(parameter);
}

/* True for every parameter but a charset that is not UTF-8. */
static bool charset_is_good(struct text parameter)
{
    static const struct text name = TEXT("charset=");
    struct text start = {parameter.at, name.length};
    struct text value;

    if (parameter.length < name.length || !text_is_nocase(start, name))
        return true;
    value = text_skip(parameter, name.length);
    return text_is_nocase(value, TEXT("utf-8")) || text_is_nocase(value, TEXT("\"utf-8\""));
}

bool header_is_json(struct text content_type)
{
    struct text rest = content_type;

    if (!text_is_nocase(next_parameter(&rest), TEXT("application/json")))
        return false;
    while (rest.length > 0)
        if (!charset_is_good(next_parameter(&rest)))
            return false;
    return true;
}

/* ---- Authorization */

struct text header_api_key(struct text authorization)
{
    static const struct text scheme = TEXT("Bearer ");
    struct text start = {authorization.at, scheme.length};

    if (authorization.length < scheme.length || !text_is_nocase(start, scheme))
        return authorization;
    authorization = text_skip(authorization, scheme.length);
    while (authorization.length > 0 && *authorization.at == ' ')
        authorization = text_skip(authorization, 1);
    return authorization;
}

/* ---- Idempotency-Key */

static bool is_printable(struct text text)
{
    for (size_t i = 0; i < text.length; i++)
        if (text.at[i] < 0x20 || text.at[i] > 0x7e)
            return false;
    return true;
}

/* The inside of a quoted string, which must end with the header. */
static bool unquote(struct arena *arena, struct text header, struct text *key)
{
    struct builder out;

    builder_init(&out, arena, header.length);
    for (size_t i = 1; i < header.length; i++) {
        char c = header.at[i];
        if (c == '"') {
            *key = builder_text(&out);
            return i == header.length - 1;
        }
        if (c == '\\') {
            if (++i == header.length || (header.at[i] != '"' && header.at[i] != '\\'))
                return false;
            c = header.at[i];
        }
        builder_add_char(&out, c);
    }
    return false;
}

bool header_idempotency_key(struct arena *arena, struct text header, struct text *key)
{
    struct text found = header;

    if (!is_printable(header))
        return false;
    if (header.length > 0 && header.at[0] == '"') {
        if (!unquote(arena, header, &found))
            return false;
    } else if (header.length > 0 && memchr(header.at, ',', header.length)) {
        return false; /* what proxies make of two headers */
    }
    if (found.length == 0 || found.length > IDEMPOTENCY_KEY_MAX_BYTES)
        return false;
    *key = found;
    return true;
}
