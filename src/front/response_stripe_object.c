/* The upstream's objects with our own metadata cut out of their bytes. They have been found valid before a
 * cutter sees them, so that it may step over what it knows to be there. */
#include "front/json.h"
#include "front/response_stripe.h"

#define MAX_LEVELS 64

/* All before copied has been written, or cut away. */
struct cutter {
    const char *at, *end;
    const char *copied;
    struct builder *out;
};

static void write_until(struct cutter *cutter, const char *end)
{
    builder_add(cutter->out, (struct text){cutter->copied, (size_t)(end - cutter->copied)});
    cutter->copied = end;
}

static void skip_space(struct cutter *cutter)
{
    while (cutter->at < cutter->end && memchr(" \t\r\n", *cutter->at, 4))
        cutter->at++;
}

static void skip_char(struct cutter *cutter)
{
    CHECK(cutter->at < cutter->end);
    cutter->at++;
}

static char next_char(const struct cutter *cutter)
{
    return cutter->at < cutter->end ? *cutter->at : '\0';
}

/* Answers what stands between the quotes, with its escapes. */
static struct text read_string(struct cutter *cutter)
{
    const char *start;

    skip_char(cutter);
    start = cutter->at;
    while (next_char(cutter) != '"') {
        if (next_char(cutter) == '\\')
            skip_char(cutter);
        skip_char(cutter);
    }
    cutter->at++;
    return (struct text){start, (size_t)(cutter->at - 1 - start)};
}

/* A member's name and the colon behind it. */
static struct text read_name(struct cutter *cutter)
{
    struct text name = read_string(cutter);

    skip_space(cutter);
    skip_char(cutter);
    skip_space(cutter);
    return name;
}

static void skip_value(struct cutter *cutter)
{
    int levels = 0;

    do {
        char c = next_char(cutter);
        if (c == '"') {
            (void)read_string(cutter);
            continue;
        }
        levels += (c == '{' || c == '[') - (c == '}' || c == ']');
        skip_char(cutter);
    } while (levels > 0 || (next_char(cutter) && !strchr(",]} \t\r\n", next_char(cutter))));
}

/* ---- names: an escape may stand for any of their characters */

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    const char *found = strchr(digits, c);

    return found - digits < 16 ? (int)(found - digits) : (int)(found - digits) - 6;
}

/* Takes one character off the front; 0 stands for any that is not ASCII. */
static char take_char(struct text *name)
{
    char c = name->at[0];
    unsigned unit = 0;

    *name = text_skip(*name, 1);
    if (c != '\\')
        return c;
    c = name->at[0];
    *name = text_skip(*name, 1);
    if (c != 'u')
        return c;
    for (size_t i = 0; i < 4; i++)
        unit = unit << 4 | (unsigned)hex_digit(name->at[i]);
    *name = text_skip(*name, 4);
    return unit < 0x80 ? (char)unit : '\0';
}

/* Takes the start off the front; false where the name begins otherwise. */
static bool take_start(struct text *name, struct text start)
{
    for (size_t i = 0; i < start.length; i++)
        if (name->length == 0 || take_char(name) != start.at[i])
            return false;
    return true;
}

static bool is_metadata(struct text name)
{
    return take_start(&name, TEXT("metadata")) && name.length == 0;
}

static bool is_ours(struct text name)
{
    return take_start(&name, TEXT("invoicegate_"));
}

/* ---- cutting */

/* What one object of metadata has shown so far. */
struct members {
    const char *start;       /* behind its opening bracket */
    const char *first_start; /* of the first member */
    size_t kept, cut;
};

/* Each member is written together with what stands between it and its predecessor; the first one that is kept
 * takes the place of the first of all. */
static void keep_or_cut(struct cutter *cutter, struct members *members, bool keep, const char *start)
{
    if (!keep) {
        members->cut++;
        cutter->copied = cutter->at;
        return;
    }
    if (members->kept++ == 0 && members->cut > 0) {
        cutter->copied = members->start;
        write_until(cutter, members->first_start);
        cutter->copied = start;
    }
    write_until(cutter, cutter->at);
}

static void cut_members(struct cutter *cutter)
{
    struct members members = {0};

    skip_char(cutter);
    write_until(cutter, cutter->at);
    members.start = cutter->at;
    skip_space(cutter);
    members.first_start = cutter->at;
    while (next_char(cutter) != '}') {
        const char *start = cutter->at;
        struct text name = read_name(cutter);
        skip_value(cutter);
        keep_or_cut(cutter, &members, !is_ours(name), start);
        skip_space(cutter);
        if (next_char(cutter) == ',') {
            skip_char(cutter);
            skip_space(cutter);
        }
    }
    if (members.kept == 0 && members.cut > 0)
        cutter->copied = cutter->at;
    skip_char(cutter);
}

static void cut(struct cutter *cutter)
{
    while (cutter->at < cutter->end) {
        struct text string;
        if (*cutter->at != '"') {
            cutter->at++;
            continue;
        }
        string = read_string(cutter);
        skip_space(cutter);
        if (next_char(cutter) != ':') /* no member's name */
            continue;
        skip_char(cutter);
        skip_space(cutter);
        if (next_char(cutter) == '{' && is_metadata(string))
            cut_members(cutter);
    }
    write_until(cutter, cutter->end);
}

struct text response_stripe_object(struct arena *arena, struct text object)
{
    struct cutter cutter = {.at = object.at, .end = object.at, .copied = object.at};
    struct builder out;

    if (!json_is_valid(object, MAX_LEVELS))
        return TEXT_NONE;
    cutter.end += object.length;
    skip_space(&cutter);
    if (next_char(&cutter) != '{')
        return TEXT_NONE;
    builder_init(&out, arena, object.length + 1);
    cutter.out = &out;
    cut(&cutter);
    return builder_text(&out);
}
