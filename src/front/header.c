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

static bool is_type(struct text content_type, struct text wanted)
{
    struct text rest = content_type;

    if (!text_is_nocase(next_parameter(&rest), wanted))
        return false;
    while (rest.length > 0)
        if (!charset_is_good(next_parameter(&rest)))
            return false;
    return true;
}

bool header_is_json(struct text content_type)
{
    return is_type(content_type, TEXT("application/json"));
}

bool header_is_form(struct text content_type)
{
    return is_type(content_type, TEXT("application/x-www-form-urlencoded"));
}

/* ---- Authorization */

/* Takes a scheme and the spaces behind it off the front; false where it is not there. */
static bool skip_scheme(struct text *authorization, struct text scheme)
{
    struct text start = {authorization->at, scheme.length};

    if (authorization->length <= scheme.length || !text_is_nocase(start, scheme) ||
        authorization->at[scheme.length] != ' ')
        return false;
    *authorization = text_skip(*authorization, scheme.length);
    while (authorization->length > 0 && *authorization->at == ' ')
        *authorization = text_skip(*authorization, 1);
    return true;
}

struct text header_api_key(struct text authorization)
{
    (void)skip_scheme(&authorization, TEXT("Bearer"));
    return authorization;
}

static int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = c ? strchr(digits, c) : NULL;

    return found ? (int)(found - digits) : -1;
}

/* RFC 4648 to the letter: padded, nothing in between, no bits left over. */
static bool decode_base64(struct text encoded, char room[HEADER_BASIC_MAX_BYTES], struct text *decoded)
{
    size_t length = 0, padding = 0;
    unsigned bits = 0, bits_count = 0;

    if (encoded.length % 4 != 0 || encoded.length / 4 * 3 > HEADER_BASIC_MAX_BYTES)
        return false;
    while (padding < 2 && encoded.length > 0 && encoded.at[encoded.length - 1] == '=') {
        encoded.length--;
        padding++;
    }
    for (size_t i = 0; i < encoded.length; i++) {
        int digit = base64_digit(encoded.at[i]);
        if (digit < 0)
            return false;
        bits = (bits << 6 | (unsigned)digit) & 0xfffU;
        bits_count += 6;
        if (bits_count >= 8) {
            bits_count -= 8;
            room[length++] = (char)(bits >> bits_count & 0xffU);
        }
    }
    *decoded = (struct text){room, length};
    return (bits & ((1U << bits_count) - 1)) == 0;
}

bool header_basic_key(struct text authorization, char room[HEADER_BASIC_MAX_BYTES], struct text *key)
{
    struct text credentials;
    const char *colon;

    if (!skip_scheme(&authorization, TEXT("Basic")) || !decode_base64(authorization, room, &credentials))
        return false;
    colon = credentials.length > 0 ? memchr(credentials.at, ':', credentials.length) : NULL;
    if (!colon || colon != credentials.at + credentials.length - 1)
        return false;
    *key = (struct text){credentials.at, credentials.length - 1};
    return true;
}

/* ---- Stripe-Version */

#define VERSION_NAME_MAX_BYTES 40

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool header_is_version(struct text version)
{
    static const char form[] = "dddd-dd-dd";

    if (version.length < sizeof form - 1)
        return false;
    for (size_t i = 0; i < sizeof form - 1; i++)
        if (form[i] == 'd' ? !is_digit(version.at[i]) : version.at[i] != form[i])
            return false;
    version = text_skip(version, sizeof form - 1);
    if (version.length == 0)
        return true;
    if (version.at[0] != '.' || version.length < 2 || version.length > VERSION_NAME_MAX_BYTES)
        return false;
    for (size_t i = 1; i < version.length; i++)
        if (!(version.at[i] >= 'a' && version.at[i] <= 'z') && !is_digit(version.at[i]) &&
            version.at[i] != '_')
            return false;
    return true;
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

static bool is_quoted(struct text header)
{
    return header.length > 0 && header.at[0] == '"';
}

bool header_idempotency_key(struct arena *arena, struct text header, struct text *key)
{
    /* A comma outside of quotes is what proxies make of two headers. */
    if (!is_quoted(header) && header.length > 0 && memchr(header.at, ',', header.length))
        return false;
    return header_upstream_idempotency_key(arena, header, key);
}

bool header_upstream_idempotency_key(struct arena *arena, struct text header, struct text *key)
{
    struct text found = header;

    if (!is_printable(header) || (is_quoted(header) && !unquote(arena, header, &found)))
        return false;
    if (found.length == 0 || found.length > IDEMPOTENCY_KEY_MAX_BYTES)
        return false;
    *key = found;
    return true;
}
