#include "ctl/options.h"

#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/utf8.h"
#include "ctl/say.h"

#define DURATION_MAX_S (3650 * INT64_C(86400))

static const struct option common[] = {
    {"json", NULL, NULL, NULL, false, false},
    {"help", NULL, NULL, NULL, false, false},
    {NULL, NULL, NULL, NULL, false, false},
};

enum ctl_exit usage_error(const struct ctl *ctl, const char *format, ...)
{
    char line[1024];
    const char *noun = ctl->command->noun;
    const char *gap = ctl->command->verb ? " " : "";
    const char *verb = ctl->command->verb ? ctl->command->verb : "";
    va_list values;
    va_start(values, format);
    vsnprintf(line, sizeof(line), format, values);
    va_end(values);
    say_error("%s%s%s: %s; see 'invoicegatectl %s%s%s --help'", noun, gap, verb, line, noun, gap, verb);
    return CTL_USAGE;
}

static const struct option *option_in(const struct option *options, const char *name, size_t length)
{
    for (; options && options->name; options++)
        if (strlen(options->name) == length && memcmp(options->name, name, length) == 0)
            return options;
    return NULL;
}

/* Whether the value is one of the words of the list. */
static bool chosen(const char *choices, const char *value)
{
    size_t length = strlen(value);
    while (choices && *choices) {
        size_t word = strcspn(choices, " ");
        if (word == length && memcmp(choices, value, length) == 0)
            return true;
        choices += word + strspn(choices + word, " ");
    }
    return false;
}

static enum ctl_exit take(struct ctl *ctl, const struct option *option, const char *value)
{
    if (option->choices && !chosen(option->choices, value))
        return usage_error(ctl, "--%s takes one of: %s", option->name, option->choices);
    if (!option->repeats && option_given(ctl, option->name))
        return usage_error(ctl, "--%s is given twice", option->name);
    ctl->options[ctl->option_count++] = (struct given_option){option, value};
    return CTL_DONE;
}

/* One option with its value, which may be the next word. Answers how many words were used, 0 after a
 * complaint. */
static int take_option(struct ctl *ctl, const char *word, const char *next)
{
    const char *name = word + 2;
    size_t length = strcspn(name, "=");
    const char *value = name[length] == '=' ? name + length + 1 : NULL;
    const struct option *option = option_in(ctl->command->options, name, length);
    int used = 1;
    if (!option) {
        usage_error(ctl, "there is no option --%.*s", (int)length, name);
        return 0;
    }
    if (!option->value && value) {
        usage_error(ctl, "--%s takes no value", option->name);
        return 0;
    }
    if (option->value && !value) {
        if (!next || strncmp(next, "--", 2) == 0) {
            usage_error(ctl, "--%s needs a value: --%s %s", option->name, option->name, option->value);
            return 0;
        }
        value = next;
        used = 2;
    }
    return take(ctl, option, value ? value : "") == CTL_DONE ? used : 0;
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static enum ctl_exit check_complete(const struct ctl *ctl)
{
    const struct command *command = ctl->command;
    if (ctl->argument_count < command->arguments_min)
        return usage_error(ctl, "it needs %s", command->arguments);
    if (ctl->argument_count > command->arguments_max)
        return usage_error(ctl, "'%s' is one argument too many", ctl->arguments[command->arguments_max]);
    for (const struct option *option = command->options; option && option->name; option++)
        if (option->required && !option_given(ctl, option->name))
            return usage_error(ctl, "--%s %s is missing", option->name, option->value);
    return CTL_DONE;
}

enum ctl_exit options_parse(struct ctl *ctl, int count, char **words, bool *help)
{
    bool only_arguments = false;
    *help = false;
    for (int i = 0; i < count; i++)
        if (is_help(words[i])) {
            *help = true;
            return CTL_DONE;
        }
    for (int i = 0; i < count;) {
        bool dashed = !only_arguments && words[i][0] == '-' && words[i][1] != '\0';
        int used = 1;
        if (dashed && strcmp(words[i], "--") == 0)
            only_arguments = true;
        else if (dashed && strcmp(words[i], "--json") == 0)
            ctl->json = true;
        else if (dashed && words[i][1] != '-')
            return usage_error(ctl, "there is no option %s", words[i]);
        else if (dashed)
            used = take_option(ctl, words[i], i + 1 < count ? words[i + 1] : NULL);
        else
            ctl->arguments[ctl->argument_count++] = words[i];
        if (used == 0)
            return CTL_USAGE;
        i += used;
    }
    return check_complete(ctl);
}

bool option_given(const struct ctl *ctl, const char *name)
{
    CHECK(option_in(ctl->command->options, name, strlen(name)) || option_in(common, name, strlen(name)));
    for (int i = 0; i < ctl->option_count; i++)
        if (strcmp(ctl->options[i].option->name, name) == 0)
            return true;
    return false;
}

const char *option_text(const struct ctl *ctl, const char *name)
{
    CHECK(option_in(ctl->command->options, name, strlen(name)));
    for (int i = ctl->option_count - 1; i >= 0; i--)
        if (strcmp(ctl->options[i].option->name, name) == 0)
            return ctl->options[i].value;
    return NULL;
}

const char *option_list(struct ctl *ctl, const char *name)
{
    if (!option_given(ctl, name))
        return NULL;
    struct json_object *array = json_object_new_array();
    for (int i = 0; i < ctl->option_count; i++)
        if (strcmp(ctl->options[i].option->name, name) == 0)
            json_object_array_add(array, json_object_new_string(ctl->options[i].value));
    struct text list = arena_copy(&ctl->arena, text_from(json_object_to_json_string(array)));
    json_object_put(array);
    return list.at;
}

bool option_number(const struct ctl *ctl, const char *name, int64_t *number)
{
    const char *value = option_text(ctl, name);
    *number = 0;
    if (!value)
        return true;
    if (text_to_int64(text_from(value), number) && *number > 0)
        return true;
    usage_error(ctl, "--%s takes a positive number, not '%s'", name, value);
    return false;
}

/* In a form, 9 stands for any digit; everything else for itself. Answers the length matched, 0 when it
 * differs. */
static size_t match_form(const char *value, const char *form)
{
    size_t at = 0;
    for (; form[at]; at++)
        if (form[at] == '9' ? value[at] < '0' || value[at] > '9' : value[at] != form[at])
            return 0;
    return at;
}

static int two_digits(const char *digits)
{
    return (digits[0] - '0') * 10 + digits[1] - '0';
}

/* At the beginning of the value; PostgreSQL knows no year 0. */
static bool date_valid(const char *value)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (match_form(value, "9999-99-99") == 0)
        return false;
    int year = two_digits(value) * 100 + two_digits(value + 2);
    int month = two_digits(value + 5);
    int day = two_digits(value + 8);
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return year >= 1 && month >= 1 && month <= 12 && day >= 1 &&
           day <= days[month - 1] + (month == 2 && leap ? 1 : 0);
}

/* "T99:99" with seconds or without: up to the end of the day, which may have a leap second. */
static bool clock_valid(const char *value, size_t length)
{
    int minute = two_digits(value + 4);
    int second = length > 6 ? two_digits(value + 7) : 0;
    return minute < 60 && second <= 60 && two_digits(value + 1) * 3600 + minute * 60 + second <= 86400;
}

static bool zone_valid(const char *value)
{
    if (strcmp(value, "Z") == 0)
        return true;
    return (match_form(value, "+99:99") == 6 || match_form(value, "-99:99") == 6) && !value[6] &&
           two_digits(value + 1) < 16 && two_digits(value + 4) < 60;
}

/* What is behind the date: nothing, or a time of day. Says whether a zone is given. */
static bool time_valid(const char *rest, bool *zoned)
{
    size_t used = match_form(rest, "T99:99:99");
    if (used == 0)
        used = match_form(rest, "T99:99");
    if (used > 0 && !clock_valid(rest, used))
        return false;
    if (used == 9 && rest[used] == '.')
        used += 1 + strspn(rest + used + 1, "0123456789");
    rest += used;
    *zoned = *rest != '\0';
    if (!*zoned)
        return true;
    return used > 0 && zone_valid(rest);
}

bool option_moment(struct ctl *ctl, const char *name, const char **moment)
{
    bool zoned = false;
    const char *value = option_text(ctl, name);
    *moment = NULL;
    if (!value)
        return true;
    if (!date_valid(value) || !time_valid(value + 10, &zoned)) {
        usage_error(ctl, "--%s takes a moment such as 2026-01-31 or 2026-01-31T12:00:00Z, not '%s'", name,
                    value);
        return false;
    }
    *moment = zoned ? value : arena_printf(&ctl->arena, "%s UTC", value).at;
    return *moment != NULL;
}

bool option_duration(const struct ctl *ctl, const char *name, const char *fallback, int64_t *seconds)
{
    static const char units[] = "smhd";
    static const int64_t unit_s[] = {1, 60, 3600, 86400};
    const char *value = option_given(ctl, name) ? option_text(ctl, name) : fallback;
    struct text digits = {value, strspn(value, "0123456789")};
    const char *unit = value[digits.length] ? strchr(units, value[digits.length]) : NULL;
    bool whole = unit && !value[digits.length + 1];
    if (strcmp(value, "0") == 0) {
        *seconds = 0;
        return true;
    }
    if (whole && digits.length <= 9 && text_to_int64(digits, seconds)) {
        *seconds *= unit_s[unit - units];
        if (*seconds <= DURATION_MAX_S)
            return true;
    }
    usage_error(ctl, "--%s takes a time such as 30m, 24h or 7d, not '%s'", name, value);
    return false;
}

bool check_plain(const struct ctl *ctl, const char *what, const char *value, size_t bytes_max)
{
    struct text text = text_from(value);
    if (!value || strspn(value, " ") == text.length)
        usage_error(ctl, "%s is empty", what);
    else if (text.length > bytes_max)
        usage_error(ctl, "%s is longer than %zu bytes", what, bytes_max);
    else if (!utf8_is_plain(text))
        usage_error(ctl, "%s is not plain UTF-8 text", what);
    else
        return true;
    return false;
}
