#include "ctl/money.h"

#include <ctype.h>

#define DECIMALS_DEFAULT 2

static const struct {
    const char *currency;
    int decimals;
} exceptions[] = {
    {"bif", 0}, {"clp", 0}, {"djf", 0}, {"gnf", 0}, {"jpy", 0}, {"kmf", 0}, {"krw", 0},
    {"mga", 0}, {"pyg", 0}, {"rwf", 0}, {"vnd", 0}, {"vuv", 0}, {"xaf", 0}, {"xof", 0},
    {"xpf", 0}, {"bhd", 3}, {"jod", 3}, {"kwd", 3}, {"omr", 3}, {"tnd", 3},
};

static int decimals_of(struct text currency)
{
    for (size_t i = 0; i < sizeof(exceptions) / sizeof(exceptions[0]); i++)
        if (text_is_nocase(currency, text_from(exceptions[i].currency)))
            return exceptions[i].decimals;
    return DECIMALS_DEFAULT;
}

struct text money(struct arena *arena, struct text minor, struct text currency)
{
    if (!minor.at)
        return TEXT_NONE;
    struct builder builder;
    builder_init(&builder, arena, minor.length + currency.length + 8);
    if (minor.length > 0 && minor.at[0] == '-') {
        builder_add_char(&builder, '-');
        minor = (struct text){minor.at + 1, minor.length - 1};
    }
    size_t decimals = (size_t)decimals_of(currency);
    size_t places = minor.length > decimals ? minor.length : decimals + 1;
    for (size_t place = places; place > 0; place--) {
        builder_add_char(&builder, place > minor.length ? '0' : minor.at[minor.length - place]);
        if (place == decimals + 1 && decimals > 0)
            builder_add_char(&builder, '.');
    }
    builder_add_char(&builder, ' ');
    for (size_t i = 0; i < currency.length; i++)
        builder_add_char(&builder, (char)toupper((unsigned char)currency.at[i]));
    return builder_text(&builder);
}
