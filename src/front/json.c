#include "front/json.h"

#include <json-c/json.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>

#include "base/utf8.h"

#define MAX_LEVELS 16

/* Our own reading of the grammar in RFC 8259, before json-c sees a byte. Each read_ function takes what it
 * names from the front of the text and answers whether it was there; wrong is where the first thing out of
 * place stands. */
struct scan {
    const char *at, *end;
    int max_levels;
    bool nul_allowed;
    size_t members; /* of all objects, duplicates counted */
    const char *wrong;
};

static bool read_value(struct scan *scan, int level);

static bool fail(struct scan *scan, const char *why)
{
    if (!scan->wrong)
        scan->wrong = why;
    return false;
}

static void skip_space(struct scan *scan)
{
    while (scan->at < scan->end &&
           (*scan->at == ' ' || *scan->at == '\t' || *scan->at == '\n' || *scan->at == '\r'))
        scan->at++;
}

static bool read_char(struct scan *scan, char c)
{
    if (scan->at == scan->end || *scan->at != c)
        return false;
    scan->at++;
    return true;
}

static bool read_word(struct scan *scan, const char *word)
{
    size_t length = strlen(word);

    if ((size_t)(scan->end - scan->at) < length || memcmp(scan->at, word, length) != 0)
        return fail(scan, "a value is missing");
    scan->at += length;
    return true;
}

static bool read_digits(struct scan *scan)
{
    const char *start = scan->at;

    while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9')
        scan->at++;
    return scan->at > start;
}

static bool read_number(struct scan *scan)
{
    bool negative = read_char(scan, '-');

    if (!negative && (*scan->at < '0' || *scan->at > '9'))
        return fail(scan, "a value is missing");
    if (!read_char(scan, '0') && !read_digits(scan))
        return fail(scan, "a number is malformed");
    if (read_char(scan, '.') && !read_digits(scan))
        return fail(scan, "a number is malformed");
    if (read_char(scan, 'e') || read_char(scan, 'E')) {
        if (!read_char(scan, '+'))
            read_char(scan, '-');
        if (!read_digits(scan))
            return fail(scan, "a number is malformed");
    }
    return true;
}

/* The four digits behind \u. */
static bool read_hex(struct scan *scan, unsigned *unit)
{
    *unit = 0;
    for (int i = 0; i < 4; i++) {
        char c = '\0';
        if (scan->at < scan->end)
            c = *scan->at++;
        if (c >= '0' && c <= '9')
            *unit = *unit << 4 | (unsigned)(c - '0');
        else if (c >= 'a' && c <= 'f')
            *unit = *unit << 4 | (unsigned)(c - 'a' + 10);
        else if (c >= 'A' && c <= 'F')
            *unit = *unit << 4 | (unsigned)(c - 'A' + 10);
        else
            return fail(scan, "a \\u escape is malformed");
    }
    return true;
}

static bool read_unicode_escape(struct scan *scan)
{
    unsigned unit, low;

    if (!read_hex(scan, &unit))
        return false;
    if (unit == 0 && !scan->nul_allowed)
        return fail(scan, "the character U+0000 is not allowed");
    if (unit < 0xd800 || unit > 0xdfff)
        return true;
    if (unit > 0xdbff || !read_char(scan, '\\') || !read_char(scan, 'u') || !read_hex(scan, &low) ||
        low < 0xdc00 || low > 0xdfff)
        return fail(scan, "half of a surrogate pair stands alone");
    return true;
}

static bool read_escape(struct scan *scan)
{
    if (read_char(scan, 'u'))
        return read_unicode_escape(scan);
    if (scan->at == scan->end || !*scan->at || !strchr("\"\\/bfnrt", *scan->at))
        return fail(scan, "an escape is malformed");
    scan->at++;
    return true;
}

static bool read_string(struct scan *scan)
{
    if (!read_char(scan, '"'))
        return fail(scan, "a member's name is missing");
    while (scan->at < scan->end) {
        unsigned char c = (unsigned char)*scan->at++;
        if (c == '"')
            return true;
        if (c < 0x20)
            return fail(scan, "a control character stands in a string");
        if (c == '\\' && !read_escape(scan))
            return false;
    }
    return fail(scan, "a string does not end");
}

static bool read_member(struct scan *scan, int level)
{
    scan->members++;
    skip_space(scan);
    if (!read_string(scan))
        return false;
    skip_space(scan);
    if (!read_char(scan, ':'))
        return fail(scan, "a colon is missing");
    return read_value(scan, level);
}

/* An object or an array, behind its opening bracket. */
static bool read_container(struct scan *scan, int level, bool object)
{
    char closing = object ? '}' : ']';

    if (level > scan->max_levels)
        return fail(scan, "it has more than 16 levels");
    skip_space(scan);
    if (read_char(scan, closing))
        return true;
    do {
        if (!(object ? read_member(scan, level) : read_value(scan, level)))
            return false;
        skip_space(scan);
    } while (read_char(scan, ','));
    return read_char(scan, closing) || fail(scan, "a comma or a closing bracket is missing");
}

static bool read_value(struct scan *scan, int level)
{
    skip_space(scan);
    if (scan->at == scan->end)
        return fail(scan, "it ends too early");
    switch (*scan->at) {
    case '{':
    case '[':
        return read_container(scan, level + 1, *scan->at++ == '{');
    case '"':
        return read_string(scan);
    case 't':
        return read_word(scan, "true");
    case 'f':
        return read_word(scan, "false");
    case 'n':
        return read_word(scan, "null");
    default:
        return read_number(scan);
    }
}

static bool read_document(struct scan *scan)
{
    if (!read_value(scan, 0))
        return false;
    skip_space(scan);
    return scan->at == scan->end || fail(scan, "something follows behind its end");
}

/* ---- what json-c made of it */

/* Members in the parsed tree; fewer than were scanned where json-c let a duplicate replace its twin. */
static size_t count_members(struct json_object *value, bool *finite)
{
    size_t members = 0;

    if (json_object_is_type(value, json_type_object)) {
        json_object_object_foreach(value, name, member)
        {
            (void)name;
            members += 1 + count_members(member, finite);
        }
    } else if (json_object_is_type(value, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(value); i++)
            members += count_members(json_object_array_get_idx(value, i), finite);
    } else if (json_object_is_type(value, json_type_double) && !isfinite(json_object_get_double(value))) {
        *finite = false;
    }
    return members;
}

static bool is_space(char c)
{
    return memchr(" \t\r\n", c, 4) != NULL;
}

/* Whether json-c came to the end of a good text. Where it finds no memory it stops on its way and answers
 * what it has. */
static bool came_through(struct text body, size_t parsed_bytes, const struct json_object *value)
{
    struct text rest = text_skip(body, parsed_bytes);

    while (rest.length > 0 && is_space(rest.at[0]))
        rest = text_skip(rest, 1);
    while (body.length > 0 && is_space(body.at[0]))
        body = text_skip(body, 1);
    return rest.length == 0 && (value || body.at[0] == 'n'); /* of null it makes nothing */
}

/* What is in a text that has been found good. False when memory is out. */
static bool parse(struct text body, struct json_object **value)
{
    struct json_tokener *tokener = json_tokener_new();
    size_t parsed_bytes;

    *value = NULL;
    if (!tokener)
        return false;
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    *value = json_tokener_parse_ex(tokener, body.at, (int)body.length);
    parsed_bytes = json_tokener_get_parse_end(tokener);
    /* A number at the very end may go on for all that json-c knows. */
    if (json_tokener_get_error(tokener) == json_tokener_continue) {
        *value = json_tokener_parse_ex(tokener, "", 1);
        parsed_bytes = body.length;
    }
    json_tokener_free(tokener);
    return came_through(body, parsed_bytes, *value);
}

static struct text malformed(struct arena *arena, const struct scan *scan, const char *start)
{
    return arena_printf(arena, "The body is not valid JSON: %s (byte %zu).", scan->wrong,
                        (size_t)(scan->at - start) + 1);
}

struct json_object *json_read(struct arena *arena, struct text body, struct text *why)
{
    struct scan scan = {0};
    struct json_object *value;
    bool finite = true;

    *why = TEXT("The body is empty: a JSON object is expected.");
    if (body.length == 0)
        return NULL;
    *why = TEXT("The body is too long.");
    if (body.length > INT_MAX)
        return NULL;
    *why = TEXT("The body is not valid UTF-8.");
    if (!utf8_valid(body))
        return NULL;
    scan = (struct scan){.at = body.at, .end = body.at + body.length, .max_levels = MAX_LEVELS};
    if (!read_document(&scan)) {
        *why = malformed(arena, &scan, body.at);
        return NULL;
    }
    *why = TEXT("The body is not a JSON object.");
    if (!parse(body, &value)) {
        arena_fail(arena);
        json_object_put(value);
        return NULL;
    }
    if (!value)
        return NULL;
    if (count_members(value, &finite) == scan.members && finite)
        return value;
    *why = finite ? TEXT("The body is not valid JSON: a member appears twice in one object.")
                  : TEXT("The body is not valid JSON: a number is too large.");
    json_object_put(value);
    return NULL;
}

bool json_is_valid(struct text text, int max_levels)
{
    struct scan scan = {.at = text.at, .end = text.at, .max_levels = max_levels, .nul_allowed = true};

    if (text.length == 0 || !utf8_valid(text))
        return false;
    scan.end += text.length;
    return read_document(&scan);
}

/* ---- writing */

static char short_escape(char c)
{
    static const char plain[] = "\"\\\b\f\n\r\t";
    static const char escapes[] = "\"\\bfnrt";
    const char *found = c && ((unsigned char)c < 0x20 || c == '"' || c == '\\') ? strchr(plain, c) : NULL;

    return found ? escapes[found - plain] : '\0';
}

void json_write_string(struct builder *out, struct text text)
{
    size_t start = 0; /* of the run that needs no escape */

    builder_add_char(out, '"');
    for (size_t i = 0; i < text.length; i++) {
        char escape = short_escape(text.at[i]);
        char hex[8];
        if (!escape && (unsigned char)text.at[i] >= 0x20)
            continue;
        builder_add(out, (struct text){text.at + start, i - start});
        start = i + 1;
        if (escape)
            snprintf(hex, sizeof hex, "\\%c", escape);
        else
            snprintf(hex, sizeof hex, "\\u%04x", (unsigned char)text.at[i]);
        builder_add(out, text_from(hex));
    }
    builder_add(out, (struct text){text.at + start, text.length - start});
    builder_add_char(out, '"');
}
