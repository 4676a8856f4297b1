#include "ctl/clean.h"

#include <langinfo.h>
#include <locale.h>
#include <wchar.h>

#define ESCAPE_BYTES 16
#define INVALID UINT32_MAX

static bool codeset_is_utf8(void)
{
    return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

bool clean_start(void)
{
    bool utf8 = setlocale(LC_CTYPE, "") && codeset_is_utf8();
    if (!utf8)
        (void)setlocale(LC_CTYPE, "C.UTF-8");
    return utf8;
}

/* The length that a first byte promises, 0 when none starts so. */
static size_t promised_bytes(unsigned char first)
{
    if (first < 0x80)
        return 1;
    if (first >= 0xc2 && first <= 0xdf)
        return 2;
    if (first >= 0xe0 && first <= 0xef)
        return 3;
    return first >= 0xf0 && first <= 0xf4 ? 4 : 0;
}

/* Takes one code point off the front; INVALID takes one byte. */
static uint32_t next_point(struct text *rest, size_t *bytes)
{
    const unsigned char *at = (const unsigned char *)rest->at;
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = promised_bytes(at[0]);
    uint32_t point = length == 1 ? at[0] : (uint32_t)(at[0] & (0xff >> (length + 1)));
    bool valid = length > 0 && length <= rest->length;
    for (size_t i = 1; valid && i < length; i++) {
        valid = (at[i] & 0xc0) == 0x80;
        point = point << 6 | (at[i] & 0x3f);
    }
    if (valid && (point < smallest[length] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)))
        valid = false;
    *bytes = valid ? length : 1;
    rest->at += *bytes;
    rest->length -= *bytes;
    return valid ? point : INVALID;
}

/* Characters that steer instead of showing. The two joiners (U+200C, U+200D) stay: names need them. */
static bool steers(uint32_t point)
{
    if (point < 0x20 || (point >= 0x7f && point <= 0x9f))
        return true;
    if (point == 0x200c || point == 0x200d)
        return false;
    return (point >= 0x200b && point <= 0x200f) || (point >= 0x2028 && point <= 0x202e) ||
           (point >= 0x2060 && point <= 0x206f) || point == 0x061c || point == 0xfeff ||
           (point >= 0xfff9 && point <= 0xfffb) || (point >= 0xe0000 && point <= 0xe0fff);
}

static bool shows(uint32_t point)
{
    return point != INVALID && !steers(point) && wcwidth((wchar_t)point) >= 0;
}

/* The written-out form of a code point, or of one byte that is no UTF-8. */
static struct text escape(uint32_t point, unsigned char byte, char room[ESCAPE_BYTES])
{
    int length;
    if (point == INVALID)
        length = snprintf(room, ESCAPE_BYTES, "\\x%02x", byte);
    else if (point < 0x100)
        length = snprintf(room, ESCAPE_BYTES, "\\x%02x", point);
    else
        length = snprintf(room, ESCAPE_BYTES, point < 0x10000 ? "\\u%04x" : "\\U%06x", point);
    return (struct text){room, (size_t)length};
}

/* What stands for the next character of the text: itself or its written-out form. */
static struct text next_shown(struct text *rest, char room[ESCAPE_BYTES])
{
    const char *start = rest->at;
    size_t bytes;
    uint32_t point = next_point(rest, &bytes);
    if (shows(point))
        return (struct text){start, bytes};
    return escape(point, (unsigned char)*start, room);
}

struct text clean(struct arena *arena, struct text text)
{
    if (!text.at)
        return TEXT_NONE;
    char room[ESCAPE_BYTES];
    struct builder builder;
    builder_init(&builder, arena, text.length + 1);
    while (text.length > 0)
        builder_add(&builder, next_shown(&text, room));
    return builder_text(&builder);
}

void clean_put(FILE *file, struct text text)
{
    char room[ESCAPE_BYTES];
    while (text.length > 0) {
        struct text shown = next_shown(&text, room);
        fwrite(shown.at, 1, shown.length, file);
    }
}

static void put_json_escape(FILE *file, uint32_t point)
{
    if (point == INVALID)
        fputs("\\ufffd", file);
    else if (point < 0x10000)
        fprintf(file, "\\u%04x", point);
    else
        fprintf(file, "\\u%04x\\u%04x", 0xd800 + ((point - 0x10000) >> 10),
                0xdc00 + ((point - 0x10000) & 0x3ff));
}

void clean_put_json(FILE *file, struct text json)
{
    while (json.length > 0) {
        const char *start = json.at;
        size_t bytes;
        uint32_t point = next_point(&json, &bytes);
        if (point == '\n' || shows(point)) /* json-c breaks lines between members only */
            fwrite(start, 1, bytes, file);
        else
            put_json_escape(file, point);
    }
}

int clean_width(struct text text)
{
    int columns = 0;
    while (text.length > 0) {
        size_t bytes;
        uint32_t point = next_point(&text, &bytes);
        int width = point == INVALID ? 1 : wcwidth((wchar_t)point);
        columns += width < 0 ? 1 : width;
    }
    return columns;
}

struct text clean_fit(struct text text, int columns)
{
    struct text rest = text;
    size_t length = 0;
    while (rest.length > 0) {
        size_t bytes;
        uint32_t point = next_point(&rest, &bytes);
        int width = point == INVALID ? 1 : wcwidth((wchar_t)point);
        columns -= width < 0 ? 1 : width;
        if (columns < 0)
            break;
        length += bytes;
    }
    return (struct text){text.at, length};
}
