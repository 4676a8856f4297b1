#include "sandbox/form.h"

#include <stdlib.h>
#include <string.h>

#include "sandbox/text.h"

enum { MOST_FIELDS = 2000, FIRST_FIELDS = 32, MOST_DIGITS = 18, MOST_INDEX_DIGITS = 9 };

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

size_t percent_decode(char *text, size_t len, bool plus)
{
    size_t to = 0;
    for (size_t from = 0; from < len; from++) {
        char c = text[from];
        if (c == '+' && plus) {
            c = ' ';
        } else if (c == '%' && from + 2 < len && hex_digit(text[from + 1]) >= 0 &&
                   hex_digit(text[from + 2]) >= 0) {
            c = (char)(hex_digit(text[from + 1]) * 16 + hex_digit(text[from + 2]));
            from += 2;
        }
        text[to++] = c;
    }
    return to;
}

static void add_field(struct form *form, char *name, char *value)
{
    if (form->count == form->capacity) {
        form->capacity = form->capacity == 0 ? (size_t)FIRST_FIELDS : form->capacity * 2;
        form->fields = realloc(form->fields, form->capacity * sizeof *form->fields);
        CHECK(form->fields != NULL);
    }
    form->fields[form->count++] = (struct field){.name = name, .value = value, .index = -1};
}

static bool decode(char *text, size_t len)
{
    size_t decoded = percent_decode(text, len, true);
    bool good = memchr(text, '\0', decoded) == NULL && utf8_valid(text, decoded);
    text[decoded] = '\0';
    return good;
}

enum form_result form_parse(struct form *form, char *text, size_t len)
{
    char *end = text + len;
    for (char *start = text; start < end;) {
        char *stop = memchr(start, '&', (size_t)(end - start));
        if (stop == NULL)
            stop = end;
        char *equals = memchr(start, '=', (size_t)(stop - start));
        char *name_end = equals == NULL ? stop : equals;
        char *value = equals == NULL ? stop : equals + 1;
        size_t value_len = (size_t)(stop - value);
        if (stop > start) {
            if (form->count == MOST_FIELDS)
                return FORM_TOO_MANY;
            bool good = decode(value, value_len);
            good = decode(start, (size_t)(name_end - start)) && good;
            add_field(form, start, value);
            if (!good)
                return FORM_NOT_TEXT;
        }
        start = stop + 1;
    }
    return FORM_OK;
}

void form_clear(struct form *form)
{
    form->count = 0;
}

void form_free(struct form *form)
{
    free(form->fields);
    *form = (struct form){0};
}

bool param_matches(const char *pattern, const char *name, int64_t *index)
{
    for (; *pattern != '\0'; pattern++) {
        if (*pattern == '#') {
            int digits = 0;
            for (; *name >= '0' && *name <= '9' && digits < MOST_INDEX_DIGITS; name++, digits++)
                *index = (digits == 0 ? 0 : *index) * 10 + (*name - '0');
        } else if (*pattern == '*') {
            size_t run = strcspn(name, "[]");
            if (run == 0)
                return false;
            name += run;
        } else if (*pattern != *name++) {
            return false;
        }
    }
    return *name == '\0';
}

const struct field *form_field(const struct form *form, const char *name)
{
    for (size_t i = form->count; i-- > 0;) {
        if (strcmp(form->fields[i].name, name) == 0)
            return &form->fields[i];
    }
    return NULL;
}

const char *form_text(const struct form *form, const char *name)
{
    const struct field *field = form_field(form, name);
    return field == NULL || field->value[0] == '\0' ? NULL : field->value;
}

bool form_has(const struct form *form, const char *name)
{
    return form_field(form, name) != NULL;
}

int64_t form_int(const struct form *form, const char *name, int64_t otherwise)
{
    const char *text = form_text(form, name);
    int64_t value = otherwise;
    return text != NULL && parse_int(text, &value) ? value : otherwise;
}

bool form_bool(const struct form *form, const char *name, bool otherwise)
{
    const char *text = form_text(form, name);
    return text == NULL ? otherwise : strcmp(text, "true") == 0;
}

bool parse_int(const char *text, int64_t *value)
{
    bool negative = *text == '-';
    const char *digits = text + negative;
    size_t count = strspn(digits, "0123456789");
    if (count == 0 || count > MOST_DIGITS || digits[count] != '\0')
        return false;
    int64_t number = strtoll(text, NULL, 10);
    *value = number;
    return true;
}
