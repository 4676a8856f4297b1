#include "base/tokens.h"

#include <string.h>

#include "base/utf8.h"

#define ROOM_FIRST 384

/* The text being read. Past its end the cursor sees NUL, which no rule accepts. */
struct cursor {
    struct tokens *tokens;
    const char *at;
    const char *end;
    int depth;
};

static char peek(const struct cursor *cursor)
{
    return cursor->at < cursor->end ? *cursor->at : '\0';
}

static void skip_space(struct cursor *cursor)
{
    while (cursor->at < cursor->end &&
           (*cursor->at == ' ' || *cursor->at == '\n' || *cursor->at == '\r' || *cursor->at == '\t'))
        cursor->at++;
}

static bool grow(struct tokens *tokens)
{
    uint32_t room = tokens->room ? tokens->room * 2 : ROOM_FIRST;
    struct token *grown = arena_alloc(tokens->arena, room * sizeof(*grown));
    if (!grown)
        return false;
    if (tokens->count > 0)
        memcpy(grown, tokens->at, tokens->count * sizeof(*grown));
    tokens->at = grown;
    tokens->room = room;
    return true;
}

/* Begins a token here; UINT32_MAX when memory is out. */
static uint32_t begin(struct cursor *cursor, enum token_type type)
{
    struct tokens *tokens = cursor->tokens;
    if (tokens->count == tokens->room && !grow(tokens))
        return UINT32_MAX;
    tokens->at[tokens->count] =
        (struct token){.start = (uint32_t)(cursor->at - tokens->text.at), .type = (uint8_t)type};
    return tokens->count++;
}

static void finish(struct cursor *cursor, uint32_t index)
{
    cursor->tokens->at[index].end = (uint32_t)(cursor->at - cursor->tokens->text.at);
    cursor->tokens->at[index].next = cursor->tokens->count;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Behind a backslash. */
static bool read_escape(struct cursor *cursor)
{
    char c = peek(cursor);
    if (c == '\0' || !strchr("\"\\/bfnrtu", c))
        return false;
    cursor->at++;
    for (int i = 0; c == 'u' && i < 4; i++, cursor->at++)
        if (!is_hex(peek(cursor)))
            return false;
    return true;
}

static bool read_string(struct cursor *cursor)
{
    uint32_t index;
    cursor->at++;
    index = begin(cursor, TOKEN_STRING);
    if (index == UINT32_MAX)
        return false;
    while (cursor->at < cursor->end && *cursor->at != '"') {
        unsigned char c = (unsigned char)*cursor->at++;
        if (c < 0x20)
            return false;
        if (c != '\\')
            continue;
        cursor->tokens->at[index].escaped = true;
        if (!read_escape(cursor))
            return false;
    }
    if (peek(cursor) != '"')
        return false;
    finish(cursor, index);
    cursor->at++;
    return true;
}

static bool read_digits(struct cursor *cursor)
{
    const char *first = cursor->at;
    while (peek(cursor) >= '0' && peek(cursor) <= '9')
        cursor->at++;
    return cursor->at > first;
}

static bool read_number(struct cursor *cursor)
{
    uint32_t index = begin(cursor, TOKEN_NUMBER);
    if (index == UINT32_MAX)
        return false;
    cursor->at += peek(cursor) == '-';
    if (peek(cursor) == '0')
        cursor->at++;
    else if (!read_digits(cursor))
        return false;
    if (peek(cursor) == '.') {
        cursor->at++;
        if (!read_digits(cursor))
            return false;
    }
    if (peek(cursor) == 'e' || peek(cursor) == 'E') {
        cursor->at++;
        cursor->at += peek(cursor) == '+' || peek(cursor) == '-';
        if (!read_digits(cursor))
            return false;
    }
    finish(cursor, index);
    return true;
}

static bool read_word(struct cursor *cursor, enum token_type type, struct text word)
{
    uint32_t index = begin(cursor, type);
    if (index == UINT32_MAX || (size_t)(cursor->end - cursor->at) < word.length ||
        memcmp(cursor->at, word.at, word.length) != 0)
        return false;
    cursor->at += word.length;
    finish(cursor, index);
    return true;
}

static bool read_value(struct cursor *cursor);

static bool read_member(struct cursor *cursor)
{
    if (peek(cursor) != '"' || !read_string(cursor))
        return false;
    skip_space(cursor);
    if (peek(cursor) != ':')
        return false;
    cursor->at++;
    return read_value(cursor);
}

/* An object or an array: what stands between its brackets, separated by commas. */
static bool read_children(struct cursor *cursor, enum token_type type)
{
    char close = type == TOKEN_OBJECT ? '}' : ']';
    uint32_t index = begin(cursor, type);
    if (index == UINT32_MAX || ++cursor->depth > TOKENS_DEPTH_MAX)
        return false;
    cursor->at++;
    skip_space(cursor);
    while (peek(cursor) != close) {
        if (!(type == TOKEN_OBJECT ? read_member(cursor) : read_value(cursor)))
            return false;
        skip_space(cursor);
        if (peek(cursor) == close)
            break;
        if (peek(cursor) != ',')
            return false;
        cursor->at++;
        skip_space(cursor);
        if (peek(cursor) == close)
            return false;
    }
    cursor->at++;
    cursor->depth--;
    finish(cursor, index);
    return true;
}

static bool read_value(struct cursor *cursor)
{
    skip_space(cursor);
    switch (peek(cursor)) {
    case '{':
        return read_children(cursor, TOKEN_OBJECT);
    case '[':
        return read_children(cursor, TOKEN_ARRAY);
    case '"':
        return read_string(cursor);
    case 't':
        return read_word(cursor, TOKEN_TRUE, TEXT("true"));
    case 'f':
        return read_word(cursor, TOKEN_FALSE, TEXT("false"));
    case 'n':
        return read_word(cursor, TOKEN_NULL, TEXT("null"));
    default:
        return read_number(cursor);
    }
}

bool tokens_read(struct tokens *tokens, struct arena *arena, struct text text)
{
    struct cursor cursor = {.tokens = tokens, .at = text.at, .end = text_skip(text, text.length).at};
    *tokens = (struct tokens){.text = text, .arena = arena};
    if (!text.at || text.length > UINT32_MAX / 2 || !read_value(&cursor))
        return false;
    skip_space(&cursor);
    return cursor.at == cursor.end;
}

struct text tokens_bytes(const struct tokens *tokens, uint32_t index)
{
    const struct token *token = &tokens->at[index];
    uint32_t quotes = token->type == TOKEN_STRING;
    return (struct text){tokens->text.at + token->start - quotes, token->end - token->start + 2 * quotes};
}

static struct text raw(const struct tokens *tokens, uint32_t index)
{
    const struct token *token = &tokens->at[index];
    return (struct text){tokens->text.at + token->start, token->end - token->start};
}

uint32_t tokens_member(const struct tokens *tokens, uint32_t object, struct text name)
{
    uint32_t value = 0;
    if (tokens->at[object].type != TOKEN_OBJECT)
        return 0;
    for (uint32_t i = object + 1; i < tokens->at[object].next; i = tokens->at[i + 1].next) {
        struct text found = raw(tokens, i);
        if (found.length == name.length && memcmp(found.at, name.at, name.length) == 0)
            value = i + 1;
    }
    return value;
}

static uint32_t hex4(const char *at)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++)
        value = value << 4 | (uint32_t)(at[i] <= '9' ? at[i] - '0' : (at[i] | 32) - 'a' + 10);
    return value;
}

static char *put_utf8(char *out, uint32_t c)
{
    if (c < 0x80) {
        *out++ = (char)c;
    } else if (c < 0x800) {
        *out++ = (char)(0xc0 | c >> 6);
        *out++ = (char)(0x80 | (c & 63));
    } else if (c < 0x10000) {
        *out++ = (char)(0xe0 | c >> 12);
        *out++ = (char)(0x80 | (c >> 6 & 63));
        *out++ = (char)(0x80 | (c & 63));
    } else {
        *out++ = (char)(0xf0 | c >> 18);
        *out++ = (char)(0x80 | (c >> 12 & 63));
        *out++ = (char)(0x80 | (c >> 6 & 63));
        *out++ = (char)(0x80 | (c & 63));
    }
    return out;
}

/* \uXXXX at *at (behind the u), with the second half of a pair if it follows. A lone half stays one: it is no
 * valid UTF-8, and the caller finds that out. */
static uint32_t read_unicode(const char **at, const char *end)
{
    uint32_t c = hex4(*at);
    *at += 4;
    if (c >= 0xd800 && c < 0xdc00 && end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u') {
        uint32_t low = hex4(*at + 2);
        if (low >= 0xdc00 && low < 0xe000) {
            *at += 6;
            return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        }
    }
    return c;
}

/* A decoded string is never longer than its escaped form. */
static struct text decode(const struct tokens *tokens, struct text escaped)
{
    static const char names[] = "bfnrt", values[] = "\b\f\n\r\t";
    const char *at = escaped.at, *end = at + escaped.length;
    char *copy = arena_alloc(tokens->arena, escaped.length + 1), *out = copy;
    if (!copy)
        return TEXT_NONE;
    while (at < end) {
        const char *name;
        char c = *at++;
        if (c != '\\') {
            *out++ = c;
            continue;
        }
        c = *at++;
        name = strchr(names, c);
        if (c == 'u')
            out = put_utf8(out, read_unicode(&at, end));
        else
            *out++ = name ? values[name - names] : c;
    }
    *out = '\0';
    return (struct text){copy, (size_t)(out - copy)};
}

struct text tokens_string(const struct tokens *tokens, uint32_t index)
{
    const struct token *token = &tokens->at[index];
    struct text text;
    if (token->type != TOKEN_STRING)
        return TEXT_NONE;
    text = raw(tokens, index);
    if (token->escaped)
        text = decode(tokens, text);
    if (!text.at || memchr(text.at, '\0', text.length) || !utf8_valid(text))
        return TEXT_NONE;
    return text;
}
