#include "sandbox/text.h"

#include <stdio.h>
#include <stdlib.h>

#include "sandbox/check.h"

enum { FIRST_CAPACITY_BYTES = 512, NUMBER_BYTES = 24, FIRST_VISIBLE = 0x20 };

void text_reserve(struct text *text, size_t len)
{
    size_t capacity = text->capacity == 0 ? (size_t)FIRST_CAPACITY_BYTES : text->capacity;
    while (capacity - text->len < len)
        capacity *= 2;
    text->data = realloc(text->data, capacity);
    CHECK(text->data != NULL);
    text->capacity = capacity;
}

void text_free(struct text *text)
{
    free(text->data);
    *text = (struct text){0};
}

void text_string(struct text *text, const char *string)
{
    text_add(text, string, strlen(string));
}

void text_char(struct text *text, char c)
{
    text_add(text, &c, 1);
}

void text_int(struct text *text, int64_t value)
{
    char digits[NUMBER_BYTES];
    char *start = digits + sizeof digits;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        *--start = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0)
        *--start = '-';
    text_add(text, start, (size_t)(digits + sizeof digits - start));
}

void text_bool(struct text *text, bool value)
{
    text_string(text, value ? "true" : "false");
}

void text_vformat(struct text *text, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int needed = vsnprintf(NULL, 0, format, arguments);
    CHECK(needed >= 0);
    text_reserve(text, (size_t)needed + 1);
    vsnprintf(text->data + text->len, (size_t)needed + 1, format, again);
    text->len += (size_t)needed;
    va_end(again);
}

void text_format(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    text_vformat(text, format, arguments);
    va_end(arguments);
}

size_t utf8_sequence(const char *bytes, size_t len)
{
    const unsigned char *b = (const unsigned char *)bytes;
    if (len == 0)
        return 0;
    if (b[0] < 0x80)
        return 1;
    size_t need = b[0] >= 0xf0 ? 4 : b[0] >= 0xe0 ? 3 : 2;
    if (b[0] < 0xc2 || b[0] > 0xf4 || need > len)
        return 0;
    for (size_t i = 1; i < need; i++) {
        if ((b[i] & 0xc0) != 0x80)
            return 0;
    }
    bool overlong = (b[0] == 0xe0 && b[1] < 0xa0) || (b[0] == 0xf0 && b[1] < 0x90);
    bool surrogate = b[0] == 0xed && b[1] >= 0xa0;
    bool beyond = b[0] == 0xf4 && b[1] >= 0x90;
    return overlong || surrogate || beyond ? 0 : need;
}

bool utf8_valid(const char *bytes, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t step = utf8_sequence(bytes + i, len - i);
        if (step == 0)
            return false;
        i += step;
    }
    return true;
}

size_t utf8_length(const char *string)
{
    size_t count = 0;
    for (; *string != '\0'; string++)
        count += ((unsigned char)*string & 0xc0) != 0x80;
    return count;
}

static void add_escaped(struct text *text, unsigned char c)
{
    const char *shorts = "\"\"\\\\\nn\rr\tt\bb\ff";
    for (const char *s = shorts; *s != '\0'; s += 2) {
        if ((unsigned char)s[0] == c) {
            text_add(text, (const char[]){'\\', s[1]}, 2);
            return;
        }
    }
    text_format(text, "\\u%04x", c);
}

static bool is_plain(unsigned char c)
{
    return c >= FIRST_VISIBLE && c < 0x7f && c != '"' && c != '\\';
}

void text_quoted_bytes(struct text *text, const char *bytes, size_t len)
{
    text_char(text, '"');
    for (size_t i = 0; i < len;) {
        size_t run = i;
        while (run < len && is_plain((unsigned char)bytes[run]))
            run++;
        text_add(text, bytes + i, run - i);
        i = run;
        if (i == len)
            break;
        unsigned char c = (unsigned char)bytes[i];
        size_t step = utf8_sequence(bytes + i, len - i);
        if (step == 0)
            text_string(text, "\\ufffd");
        else if (step == 1)
            add_escaped(text, c);
        else
            text_add(text, bytes + i, step);
        i += step == 0 ? 1 : step;
    }
    text_char(text, '"');
}

void text_quoted(struct text *text, const char *string)
{
    if (string == NULL)
        text_add(text, "null", 4);
    else
        text_quoted_bytes(text, string, strlen(string));
}

void text_member(struct text *text, const char *name)
{
    if (text->len > 0 && text->data[text->len - 1] != '{')
        text_char(text, ',');
    text_quoted(text, name);
    text_char(text, ':');
}

void text_member_string(struct text *text, const char *name, const char *value)
{
    text_member(text, name);
    text_quoted(text, value);
}

void text_member_int(struct text *text, const char *name, int64_t value)
{
    text_member(text, name);
    text_int(text, value);
}

void text_member_bool(struct text *text, const char *name, bool value)
{
    text_member(text, name);
    text_bool(text, value);
}

const char *text_end(struct text *text)
{
    text_reserve(text, 1);
    text->data[text->len] = '\0';
    return text->data;
}
