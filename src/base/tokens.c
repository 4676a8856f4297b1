#include "base/tokens.h"

#include <endian.h>
#include <string.h>

#include "base/utf8.h"

#define ROOM_FIRST 384
#define NONE UINT32_MAX

/* The text being read. Each read_ function is told where something begins and answers where it ends: NULL
 * when it is not there, or memory is out. */
struct reader {
    struct tokens *tokens;
    const char *end;
    int depth;
};

static const char *skip_space(const struct reader *reader, const char *at)
{
    while (at < reader->end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
        at++;
    return at;
}

static bool is_there(const struct reader *reader, const char *at, char c)
{
    return at < reader->end && *at == c;
}

static __attribute__((noinline)) bool grow(struct tokens *tokens)
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

/* Begins a token without children; NONE when memory is out. */
static inline uint32_t begin(struct reader *reader, enum token_type type, const char *at)
{
    struct tokens *tokens = reader->tokens;
    uint32_t index = tokens->count;
    if (__builtin_expect(index == tokens->room, false) && !grow(tokens))
        return NONE;
    tokens->at[index] =
        (struct token){.start = (uint32_t)(at - tokens->text.at), .next = index + 1, .type = (uint8_t)type};
    tokens->count++;
    return index;
}

static void finish(const struct reader *reader, uint32_t index, const char *at)
{
    reader->tokens->at[index].end = (uint32_t)(at - reader->tokens->text.at);
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Behind a backslash. */
static const char *read_escape(const struct reader *reader, const char *at)
{
    bool unicode = is_there(reader, at, 'u');
    if (at == reader->end || *at == '\0' || !strchr("\"\\/bfnrtu", *at))
        return NULL;
    at++;
    for (int i = 0; unicode && i < 4; i++, at++)
        if (at == reader->end || !is_hex(*at))
            return NULL;
    return at;
}

typedef uint8_t bytes16 __attribute__((vector_size(16)));

/* The first byte that a string must be asked about (a quote, a backslash, a control character), or where less
 * than 16 are left. Most of an answer is in strings: 16 at a time, in whatever registers the machine has. */
static const char *skip_plain(const char *at, const char *end)
{
    for (; end - at >= 16; at += 16) {
        bytes16 bytes, found;
        uint64_t halves[2];
        memcpy(&bytes, at, sizeof bytes);
        found = (bytes16)(bytes == '"') | (bytes16)(bytes == '\\') | (bytes16)(bytes < ' ');
        memcpy(halves, &found, sizeof halves);
        if (halves[0] != 0) /* the first byte is the lowest */
            return at + __builtin_ctzll(le64toh(halves[0])) / 8;
        if (halves[1] != 0)
            return at + 8 + __builtin_ctzll(le64toh(halves[1])) / 8;
    }
    return at;
}

static const char *read_string(struct reader *reader, const char *at)
{
    uint32_t index = begin(reader, TOKEN_STRING, ++at);
    if (index == NONE)
        return NULL;
    while ((at = skip_plain(at, reader->end)) < reader->end && *at != '"') {
        unsigned char c = (unsigned char)*at++;
        if (c < 0x20)
            return NULL;
        if (c != '\\')
            continue;
        reader->tokens->at[index].escaped = true;
        at = read_escape(reader, at);
        if (!at)
            return NULL;
    }
    finish(reader, index, at);
    return at < reader->end ? at + 1 : NULL;
}

static const char *read_digits(const struct reader *reader, const char *at)
{
    const char *first = at;
    while (at < reader->end && *at >= '0' && *at <= '9')
        at++;
    return at > first ? at : NULL;
}

static const char *read_number(struct reader *reader, const char *at)
{
    uint32_t index = begin(reader, TOKEN_NUMBER, at);
    if (index == NONE)
        return NULL;
    at += is_there(reader, at, '-');
    at = is_there(reader, at, '0') ? at + 1 : read_digits(reader, at);
    if (at && is_there(reader, at, '.'))
        at = read_digits(reader, at + 1);
    if (at && (is_there(reader, at, 'e') || is_there(reader, at, 'E'))) {
        at++;
        at += is_there(reader, at, '+') || is_there(reader, at, '-');
        at = read_digits(reader, at);
    }
    if (at)
        finish(reader, index, at);
    return at;
}

static const char *read_word(struct reader *reader, const char *at, enum token_type type, struct text word)
{
    uint32_t index = begin(reader, type, at);
    if (index == NONE || (size_t)(reader->end - at) < word.length || memcmp(at, word.at, word.length) != 0)
        return NULL;
    finish(reader, index, at + word.length);
    return at + word.length;
}

static struct text raw(const struct tokens *tokens, uint32_t index)
{
    const struct token *token = &tokens->at[index];
    return (struct text){tokens->text.at + token->start, token->end - token->start};
}

/* Where to look for a member of the whole text's object. */
static size_t place_of(struct text name)
{
    if (name.length == 0)
        return 0;
    return (name.length * 5 + (unsigned char)name.at[name.length / 2] * 3U +
            (unsigned char)name.at[name.length - 1]) %
           TOKENS_PLACES;
}

static void keep_name(struct tokens *tokens, uint32_t name)
{
    uint32_t *place = &tokens->named[place_of(raw(tokens, name))];
    tokens->at[name].next = *place;
    *place = name;
}

static const char *read_value(struct reader *reader, const char *at);

static const char *read_member(struct reader *reader, const char *at)
{
    uint32_t name = reader->tokens->count;
    at = is_there(reader, at, '"') ? read_string(reader, at) : NULL;
    if (!at)
        return NULL;
    if (reader->depth == 1)
        keep_name(reader->tokens, name);
    at = skip_space(reader, at);
    return is_there(reader, at, ':') ? read_value(reader, at + 1) : NULL;
}

/* An object or an array: what stands between its brackets, separated by commas. */
static const char *read_children(struct reader *reader, const char *at, enum token_type type)
{
    char close = type == TOKEN_OBJECT ? '}' : ']';
    uint32_t index = begin(reader, type, at);
    if (index == NONE || ++reader->depth > TOKENS_DEPTH_MAX)
        return NULL;
    at = skip_space(reader, at + 1);
    for (bool more = !is_there(reader, at, close); more; at += more) {
        at = type == TOKEN_OBJECT ? read_member(reader, skip_space(reader, at)) : read_value(reader, at);
        if (!at)
            return NULL;
        at = skip_space(reader, at);
        more = is_there(reader, at, ',');
    }
    if (!is_there(reader, at, close))
        return NULL;
    reader->depth--;
    finish(reader, index, at + 1);
    reader->tokens->at[index].next = reader->tokens->count;
    return at + 1;
}

static const char *read_value(struct reader *reader, const char *at)
{
    at = skip_space(reader, at);
    if (at == reader->end)
        return NULL;
    switch (*at) {
    case '{':
        return read_children(reader, at, TOKEN_OBJECT);
    case '[':
        return read_children(reader, at, TOKEN_ARRAY);
    case '"':
        return read_string(reader, at);
    case 't':
        return read_word(reader, at, TOKEN_TRUE, TEXT("true"));
    case 'f':
        return read_word(reader, at, TOKEN_FALSE, TEXT("false"));
    case 'n':
        return read_word(reader, at, TOKEN_NULL, TEXT("null"));
    default:
        return read_number(reader, at);
    }
}

bool tokens_read(struct tokens *tokens, struct arena *arena, struct text text)
{
    struct reader reader = {.tokens = tokens, .end = text_skip(text, text.length).at};
    const char *at;
    *tokens = (struct tokens){.text = text, .arena = arena};
    if (!text.at || text.length > UINT32_MAX / 2)
        return false;
    at = read_value(&reader, text.at);
    return at && skip_space(&reader, at) == reader.end;
}

struct text tokens_bytes(const struct tokens *tokens, uint32_t index)
{
    const struct token *token = &tokens->at[index];
    uint32_t quotes = token->type == TOKEN_STRING;
    return (struct text){tokens->text.at + token->start - quotes, token->end - token->start + 2 * quotes};
}

/* The whole text's object is large and asked often; the others' members are looked through. */
uint32_t tokens_member(const struct tokens *tokens, uint32_t object, struct text name)
{
    uint32_t value = 0;
    if (tokens->at[object].type != TOKEN_OBJECT)
        return 0;
    if (object == 0) {
        uint32_t i = tokens->named[place_of(name)];
        while (i && !text_is(raw(tokens, i), name))
            i = tokens->at[i].next;
        return i ? i + 1 : 0;
    }
    for (uint32_t i = object + 1; i < tokens->at[object].next; i = tokens->at[i + 1].next)
        if (text_is(raw(tokens, i), name))
            value = i + 1;
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
