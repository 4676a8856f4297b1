#include "base/utf8.h"

#include <stdint.h>

/* What may follow a first byte (RFC 3629, section 4): the range of the second byte excludes overlong forms,
 * surrogates and what is above U+10FFFF; all later bytes are 80..BF. */
struct lead {
    uint8_t first, last;
    uint8_t second_from, second_to;
    uint8_t bytes;
};

static const struct lead leads[] = {
    {0x00, 0x7f, 0x00, 0x00, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
    {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
    {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
};

static const struct lead *lead_of(uint8_t byte)
{
    for (size_t i = 0; i < sizeof leads / sizeof *leads; i++)
        if (byte >= leads[i].first && byte <= leads[i].last)
            return &leads[i];
    return NULL;
}

size_t utf8_next(struct text text)
{
    const uint8_t *at = (const uint8_t *)text.at;
    const struct lead *lead = text.length > 0 ? lead_of(at[0]) : NULL;

    if (!lead || lead->bytes > text.length)
        return 0;
    if (lead->bytes > 1 && (at[1] < lead->second_from || at[1] > lead->second_to))
        return 0;
    for (size_t i = 2; i < lead->bytes; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    return lead->bytes;
}

/* Most texts are ASCII: eight bytes at a time. */
static struct text skip_ascii(struct text text)
{
    uint64_t bytes;

    while (text.length >= sizeof bytes) {
        memcpy(&bytes, text.at, sizeof bytes);
        if (bytes & UINT64_C(0x8080808080808080))
            break;
        text = text_skip(text, sizeof bytes);
    }
    while (text.length > 0 && (uint8_t)text.at[0] < 0x80)
        text = text_skip(text, 1);
    return text;
}

bool utf8_valid(struct text text)
{
    while ((text = skip_ascii(text)).length > 0) {
        size_t bytes = utf8_next(text);
        if (bytes == 0)
            return false;
        text = text_skip(text, bytes);
    }
    return true;
}

size_t utf8_length(struct text text)
{
    size_t points = 0;

    for (size_t i = 0; i < text.length; i++)
        points += (text.at[i] & 0xc0) != 0x80;
    return points;
}

bool utf8_is_plain(struct text text)
{
    for (size_t i = 0; i < text.length; i++)
        if ((uint8_t)text.at[i] < 0x20 || text.at[i] == 0x7f)
            return false;
    return utf8_valid(text);
}
