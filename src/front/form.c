#include "front/form.h"

#include <stdlib.h>

#include "base/utf8.h"

/* What one call of form_read works on. */
struct reading {
    struct arena *arena;
    struct form *form;
    struct form_error *error;
};

static int length_of(struct text text)
{
    return (int)text.length; /* for %.*s: names are short */
}

/* "<param> <what>.", or "Parameter <number> <what>." of one whose name cannot be told. */
static bool fail(struct reading *reading, struct text param, const char *what)
{
    if (param.at)
        reading->error->message = arena_printf(reading->arena, "%.*s %s.", length_of(param), param.at, what);
    else
        reading->error->message =
            arena_printf(reading->arena, "Parameter %zu %s.", reading->form->count + 1, what);
    reading->error->param = param;
    return false;
}

/* ---- decoding */

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

/* The byte that an escape stands for, -1 when it is none; rest begins with its percent sign. */
static int escaped_byte(struct text rest)
{
    int high = rest.length > 1 ? hex_digit(rest.at[1]) : -1;
    int low = rest.length > 2 ? hex_digit(rest.at[2]) : -1;

    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* What is wrong with the raw text, or NULL with the decoded one. An overflow of the arena leaves it absent.
 */
static const char *decode(struct arena *arena, struct text raw, struct text *decoded)
{
    char *to = arena_alloc(arena, raw.length + 1);
    size_t length = 0;

    *decoded = TEXT_NONE;
    if (!to)
        return NULL;
    for (size_t i = 0; i < raw.length; i++) {
        int byte = raw.at[i] == '+' ? ' ' : (unsigned char)raw.at[i];
        if (byte == '%') {
            byte = escaped_byte(text_skip(raw, i));
            if (byte < 0)
                return "has a percent sign without two hexadecimal digits behind it";
            i += 2;
        }
        if (byte == 0)
            return "contains the character U+0000, which is not allowed";
        to[length++] = (char)byte;
    }
    to[length] = '\0';
    *decoded = (struct text){to, length};
    return utf8_valid(*decoded) ? NULL : "is not valid UTF-8";
}

/* ---- names */

static size_t count_of(struct text text, char c)
{
    size_t count = 0;

    for (size_t i = 0; i < text.length; i++)
        count += text.at[i] == c;
    return count;
}

/* Takes the text before the first c, or all of it, off the front of rest; c itself stays. */
static struct text take_until(struct text *rest, char c)
{
    const char *found = rest->length > 0 ? memchr(rest->at, c, rest->length) : NULL;
    struct text taken = {rest->at, found ? (size_t)(found - rest->at) : rest->length};

    *rest = text_skip(*rest, taken.length);
    return taken;
}

/* The parts of a name with so many opening brackets; false when brackets are out of place. */
static bool split_name(struct text name, size_t brackets, struct text *parts)
{
    struct text rest = name;

    parts[0] = take_until(&rest, '[');
    if (parts[0].length == 0 || memchr(parts[0].at, ']', parts[0].length))
        return false;
    for (size_t i = 1; i <= brackets; i++) {
        if (rest.length == 0 || rest.at[0] != '[')
            return false;
        rest = text_skip(rest, 1);
        parts[i] = take_until(&rest, ']');
        if (rest.length == 0 || count_of(parts[i], '[') > 0)
            return false;
        rest = text_skip(rest, 1);
    }
    return rest.length == 0;
}

static bool read_parts(struct reading *reading, struct form_pair *pair)
{
    size_t brackets = count_of(pair->name, '[');
    struct text *parts;

    if (brackets > FORM_BRACKETS_MAX)
        return fail(reading, pair->name, "has more than 5 levels of brackets");
    parts = arena_alloc(reading->arena, (brackets + 1) * sizeof *parts);
    if (!parts)
        return false;
    if (!split_name(pair->name, brackets, parts))
        return fail(reading, pair->name, "has brackets that do not match");
    pair->parts = parts;
    pair->parts_count = brackets + 1;
    return true;
}

static bool read_name(struct reading *reading, struct text raw, struct form_pair *pair)
{
    const char *wrong = decode(reading->arena, raw, &pair->name);

    if (wrong)
        return fail(reading, TEXT_NONE, wrong);
    if (!pair->name.at)
        return false;
    if (pair->name.length == 0)
        return fail(reading, TEXT_NONE, "has no name");
    if (pair->name.length > FORM_NAME_MAX_BYTES)
        return fail(reading, TEXT_NONE, "has a name of more than 200 bytes");
    if (!utf8_is_plain(pair->name))
        return fail(reading, TEXT_NONE, "has a control character in its name");
    return read_parts(reading, pair);
}

/* ---- pairs */

static bool read_pair(struct reading *reading, struct text raw)
{
    struct form_pair *pair = &reading->form->pairs[reading->form->count];
    struct text value = raw;
    struct text name = take_until(&value, '=');
    const char *wrong;

    if (!read_name(reading, name, pair))
        return false;
    wrong = decode(reading->arena, value.length > 0 ? text_skip(value, 1) : TEXT(""), &pair->value);
    if (wrong)
        return fail(reading, pair->name, wrong);
    reading->form->count++;
    return pair->value.at != NULL;
}

/* Takes what stands before the next ampersand off the front of rest. */
static struct text next_piece(struct text *rest)
{
    struct text piece = take_until(rest, '&');

    if (rest->length > 0)
        *rest = text_skip(*rest, 1);
    return piece;
}

static bool read_pairs(struct reading *reading, struct text body)
{
    struct text rest = body;
    size_t count = 0;

    while (rest.length > 0 && count <= FORM_PAIRS_MAX)
        count += next_piece(&rest).length > 0;
    if (count > FORM_PAIRS_MAX) {
        reading->error->message = TEXT("There are more than 500 parameters.");
        return false;
    }
    reading->form->pairs = arena_alloc(reading->arena, count * sizeof *reading->form->pairs);
    if (!reading->form->pairs)
        return false;
    for (rest = body; rest.length > 0;) {
        struct text piece = next_piece(&rest);
        if (piece.length > 0 && !read_pair(reading, piece))
            return false;
    }
    return true;
}

/* ---- the order of names */

static int compare_text(struct text a, struct text b)
{
    size_t length = a.length < b.length ? a.length : b.length;
    int order = length > 0 ? memcmp(a.at, b.at, length) : 0;

    return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

/* How many parts two names have in common, up to the first that is empty and to the end of the shorter. */
static size_t common_parts(const struct form_pair *a, const struct form_pair *b)
{
    size_t shorter = a->parts_count < b->parts_count ? a->parts_count : b->parts_count;
    size_t i = 0;

    while (i < shorter && text_is(a->parts[i], b->parts[i]) && a->parts[i].length > 0)
        i++;
    return i;
}

static bool is_same_list(const struct form_pair *a, const struct form_pair *b, size_t common)
{
    return common < a->parts_count && common < b->parts_count && a->parts[common].length == 0 &&
           b->parts[common].length == 0;
}

static int compare_pairs(const void *left, const void *right)
{
    const struct form_pair *a = *(const struct form_pair *const *)left;
    const struct form_pair *b = *(const struct form_pair *const *)right;
    size_t common = common_parts(a, b);
    int order = 0;

    if (common < a->parts_count && common < b->parts_count)
        order = compare_text(a->parts[common], b->parts[common]);
    else
        order = (a->parts_count > b->parts_count) - (a->parts_count < b->parts_count);
    return order != 0 ? order : (a > b) - (a < b); /* pairs of one array: as they came */
}

const struct form_pair **form_sorted(struct arena *arena, const struct form *form)
{
    const struct form_pair **sorted;

    if (form->count == 0)
        return NULL;
    sorted = arena_alloc(arena, form->count * sizeof *sorted);
    if (!sorted)
        return NULL;
    for (size_t i = 0; i < form->count; i++)
        sorted[i] = &form->pairs[i];
    qsort(sorted, form->count, sizeof *sorted, compare_pairs);
    return sorted;
}

/* What is wrong with two names that follow each other when sorted, or NULL. */
static const char *conflict_of(const struct form_pair *a, const struct form_pair *b)
{
    size_t common = common_parts(a, b);

    if (is_same_list(a, b, common))
        return (a->parts_count == common + 1) == (b->parts_count == common + 1)
                   ? NULL
                   : "is a list both of values and of dictionaries";
    if (common == a->parts_count && common == b->parts_count)
        return "is given more than once";
    if (common == a->parts_count)
        return "has brackets, but its name without them is given a value, too";
    return a->parts[common].length == 0 ? "is given both as a list and as a dictionary" : NULL;
}

static bool check_conflicts(struct reading *reading)
{
    const struct form_pair **sorted = form_sorted(reading->arena, reading->form);

    if (!sorted)
        return !arena_overflowed(reading->arena);
    for (size_t i = 1; i < reading->form->count; i++) {
        const char *wrong = conflict_of(sorted[i - 1], sorted[i]);
        if (wrong)
            return fail(reading, sorted[i]->name, wrong);
    }
    return true;
}

bool form_read(struct arena *arena, struct text body, struct form *form, struct form_error *error)
{
    struct reading reading = {.arena = arena, .form = form, .error = error};

    *form = (struct form){0};
    *error = (struct form_error){0};
    if (body.length > 0 && (body.at[0] == '{' || body.at[0] == '[')) {
        error->message = TEXT("The body looks like JSON: form-encoded parameters are expected.");
        return false;
    }
    return read_pairs(&reading, body) && check_conflicts(&reading);
}

/* ---- writing */

void form_write(const struct form *form, struct builder *out)
{
    for (size_t i = 0; i < form->count; i++) {
        const struct form_pair *pair = &form->pairs[i];
        if (i > 0)
            builder_add_char(out, '&');
        builder_add_encoded(out, pair->parts[0]);
        for (size_t part = 1; part < pair->parts_count; part++) {
            builder_add_char(out, '[');
            builder_add_encoded(out, pair->parts[part]);
            builder_add_char(out, ']');
        }
        builder_add_char(out, '=');
        builder_add_encoded(out, pair->value);
    }
}
