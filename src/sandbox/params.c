#include "sandbox/params.h"

#include <ctype.h>
#include <string.h>

#include "sandbox/errors.h"

enum { MOST_KEY_CHARS = 40, MOST_VALUE_CHARS = 500, MOST_DECIMALS = 6, MOST_WHOLE = 12 };

static bool in_dialect(const struct param *param, bool old_dialect)
{
    return param->dialect == DIALECT_BOTH || (param->dialect == DIALECT_OLD) == old_dialect;
}

static const struct param *find_param(const struct param *params, struct field *field, bool old_dialect)
{
    for (const struct param *param = params; param->name != NULL; param++) {
        if (in_dialect(param, old_dialect) && param_matches(param->name, field->name, &field->index))
            return param;
    }
    return NULL;
}

static bool check_known(struct call *call, const struct param *params)
{
    struct text names = {0};
    const char *first = NULL;
    size_t count = 0;
    for (size_t i = 0; i < call->form.count; i++) {
        struct field *field = &call->form.fields[i];
        field->param = find_param(params, field, call->view.old_dialect);
        if (field->param != NULL)
            continue;
        first = first == NULL ? field->name : first;
        text_string(&names, count++ == 0 ? "" : ", ");
        text_string(&names, field->name);
    }
    if (count > 0)
        call_invalid(call, "parameter_unknown", first, "Received unknown parameter%s: %.2000s",
                     count == 1 ? "" : "s", text_end(&names));
    text_free(&names);
    return count == 0;
}

static bool check_required(struct call *call, const struct param *params)
{
    for (const struct param *param = params; param->name != NULL; param++) {
        if (!param->required || form_has(&call->form, param->name))
            continue;
        call_invalid(call, "parameter_missing", param->name, "Missing required param: %s.", param->name);
        return false;
    }
    return true;
}

static bool is_choice(const char *choices, const char *value)
{
    size_t len = strlen(value);
    for (const char *choice = choices; *choice != '\0';) {
        size_t choice_len = strcspn(choice, "|");
        if (choice_len == len && memcmp(choice, value, len) == 0)
            return true;
        choice += choice_len + (choice[choice_len] == '|');
    }
    return false;
}

static bool is_decimal(const char *value)
{
    size_t whole = strspn(value, "0123456789");
    const char *rest = value + whole;
    size_t decimals = *rest == '.' ? strspn(rest + 1, "0123456789") : 0;
    const char *end = *rest == '.' ? rest + 1 + decimals : rest;
    return whole > 0 && whole <= MOST_WHOLE && decimals <= MOST_DECIMALS && *end == '\0' &&
           (*rest != '.' || decimals > 0);
}

static bool is_currency(const char *value)
{
    return strlen(value) == 3 && isalpha((unsigned char)value[0]) && isalpha((unsigned char)value[1]) &&
           isalpha((unsigned char)value[2]);
}

static bool check_int(struct call *call, const struct field *field)
{
    int64_t number = 0;
    if (!parse_int(field->value, &number))
        call_invalid(call, "parameter_invalid_integer", field->name, "Invalid integer: %.200s", field->value);
    else if (number < field->param->least)
        call_invalid(call, "parameter_invalid_integer", field->name,
                     "This value must be greater than or equal to %lld.", (long long)field->param->least);
    else if (number > field->param->most)
        call_invalid(call, "parameter_invalid_integer", field->name,
                     "This value must be less than or equal to %lld.", (long long)field->param->most);
    else
        return true;
    return false;
}

static bool check_text(struct call *call, const struct field *field)
{
    size_t length = utf8_length(field->value);
    bool good = length <= (size_t)field->param->most;
    if (!good)
        call_invalid(call, "parameter_invalid_string", field->name,
                     "Invalid string: %.20s...; must be at most %lld characters", field->value,
                     (long long)field->param->most);
    return good;
}

static bool check_metadata(struct call *call, const struct field *field)
{
    const char *bracket = strrchr(field->name, '[');
    bool whole = field->param->name[strlen(field->param->name) - 1] != ']' ||
                 strcmp(field->param->name, "lines[#][metadata]") == 0;
    if (whole && field->value[0] != '\0')
        call_invalid(call, "parameter_invalid_hash", field->name, "Invalid hash");
    else if (!whole && utf8_length(bracket + 1) - 1 > MOST_KEY_CHARS)
        call_invalid(call, "parameter_invalid_string", field->name,
                     "Metadata keys can have up to 40 characters");
    else if (utf8_length(field->value) > MOST_VALUE_CHARS)
        call_invalid(call, "parameter_invalid_string", field->name,
                     "Metadata values can have up to 500 characters");
    else
        return true;
    return false;
}

static bool fail_value(struct call *call, const struct field *field, const char *code, const char *what)
{
    call_invalid(call, code, field->name, "Invalid %s: %.200s", what, field->value);
    return false;
}

static bool fail_choice(struct call *call, const struct field *field)
{
    struct text choices = {0};
    for (const char *c = field->param->choices; *c != '\0'; c++)
        text_string(&choices, *c == '|' ? ", " : (const char[]){*c, '\0'});
    call_invalid(call, "parameter_invalid_enum", field->name, "Invalid %s: must be one of %s", field->name,
                 text_end(&choices));
    text_free(&choices);
    return false;
}

static bool check_value(struct call *call, const struct field *field)
{
    const char *value = field->value;
    switch (field->param->type) {
    case PARAM_TEXT:
        return check_text(call, field);
    case PARAM_ID:
        if (value[0] != '\0')
            return check_text(call, field);
        call_invalid(call, "parameter_invalid_empty", field->name,
                     "You passed an empty string for '%s'. We assume empty values are an attempt to unset a "
                     "parameter; however '%s' cannot be unset.",
                     field->name, field->name);
        return false;
    case PARAM_INT:
        return check_int(call, field);
    case PARAM_BOOL:
        return strcmp(value, "true") == 0 || strcmp(value, "false") == 0 ||
               fail_value(call, field, "parameter_invalid_boolean", "boolean");
    case PARAM_ENUM:
        return is_choice(field->param->choices, value) || fail_choice(call, field);
    case PARAM_CURRENCY:
        return is_currency(value) || fail_value(call, field, "parameter_invalid_currency", "currency");
    case PARAM_DECIMAL:
        return is_decimal(value) || fail_value(call, field, "parameter_invalid_decimal", "decimal");
    case PARAM_METADATA:
        return check_metadata(call, field);
    case PARAM_ANY:
        return true;
    }
    return true;
}

bool params_check(struct call *call, const struct param *params)
{
    if (!check_known(call, params) || !check_required(call, params))
        return false;
    for (size_t i = 0; i < call->form.count; i++) {
        if (!check_value(call, &call->form.fields[i]))
            return false;
    }
    return true;
}
