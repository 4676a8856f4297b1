// An append-only string builder with what JSON needs. Not NUL-terminated unless text_end is called.
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct text {
    char *data; // owned; text_free gives it back
    size_t len;
    size_t capacity;
};

// Room for len more bytes at data + len. Out of memory ends the program.
void text_reserve(struct text *text, size_t len);

static inline void text_add(struct text *text, const char *bytes, size_t len)
{
    if (text->capacity - text->len < len)
        text_reserve(text, len);
    if (len > 0 && bytes != NULL && text->data != NULL)
        memcpy(text->data + text->len, bytes, len);
    text->len += len;
}

static inline void text_clear(struct text *text)
{
    text->len = 0;
}

void text_free(struct text *text);
void text_string(struct text *text, const char *string);
void text_char(struct text *text, char c);
void text_int(struct text *text, int64_t value);
void text_bool(struct text *text, bool value);
void text_format(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_vformat(struct text *text, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

// A JSON string, or null for NULL. What is not UTF-8 becomes U+FFFD.
void text_quoted(struct text *text, const char *string);
void text_quoted_bytes(struct text *text, const char *bytes, size_t len);

// `"name":` followed by a quoted string or a number; a comma first unless an object has just been opened.
void text_member(struct text *text, const char *name);
void text_member_string(struct text *text, const char *name, const char *value);
void text_member_int(struct text *text, const char *name, int64_t value);
void text_member_bool(struct text *text, const char *name, bool value);

// Appends a NUL that is not counted and answers the whole as a string.
const char *text_end(struct text *text);

// The length of the UTF-8 sequence at bytes, 0 when there is none that is valid.
size_t utf8_sequence(const char *bytes, size_t len);
bool utf8_valid(const char *bytes, size_t len);
size_t utf8_length(const char *string);
