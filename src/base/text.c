#include "base/text.h"

#define ID_MAX_BYTES 255

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool text_is_nocase(struct text a, struct text b)
{
    if (a.length != b.length)
        return false;
    for (size_t i = 0; i < a.length; i++)
        if (lower(a.at[i]) != lower(b.at[i]))
            return false;
    return true;
}

bool text_starts(struct text whole, struct text start)
{
    return whole.length >= start.length &&
           (start.length == 0 || memcmp(whole.at, start.at, start.length) == 0);
}

bool text_to_int64(struct text digits, int64_t *value)
{
    size_t i = 0;
    bool negative = digits.length > 0 && digits.at[0] == '-';
    int64_t sum = 0;

    if (negative)
        i = 1;
    if (i == digits.length)
        return false;
    for (; i < digits.length; i++) {
        if (digits.at[i] < '0' || digits.at[i] > '9')
            return false;
        /* Summed downwards: the smallest number has no positive twin. */
        if (__builtin_mul_overflow(sum, (int64_t)10, &sum) ||
            __builtin_sub_overflow(sum, (int64_t)(digits.at[i] - '0'), &sum))
            return false;
    }
    if (!negative && sum == INT64_MIN)
        return false;
    *value = negative ? sum : -sum;
    return true;
}

struct text text_of_int64(int64_t value, char room[TEXT_INT64_BYTES])
{
    uint64_t left = value < 0 ? -(uint64_t)value : (uint64_t)value;
    char *end = room + TEXT_INT64_BYTES, *at = end;

    do
        *--at = (char)('0' + left % 10);
    while ((left /= 10) > 0);
    if (value < 0)
        *--at = '-';
    return (struct text){at, (size_t)(end - at)};
}

static bool is_id_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || c == '-';
}

bool text_is_id(struct text text)
{
    if (text.length == 0 || text.length > ID_MAX_BYTES)
        return false;
    for (size_t i = 0; i < text.length; i++)
        if (!is_id_char(text.at[i]))
            return false;
    return true;
}
