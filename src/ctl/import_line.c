#include "ctl/import_line.h"

#include <json-c/json.h>

#include "base/utf8.h"
#include "ctl/client.h"
#include "ctl/member.h"

#define DEPTH_MAX 8
#define MEMBERS_MAX 1000

struct reading {
    struct arena *arena;
    const char *fault; /* the first one */
};

static bool fail(struct reading *reading, const char *fault)
{
    if (!reading->fault)
        reading->fault = fault;
    return false;
}

/* What json-c lets pass: single quotes, and the last of two equal members wins. The colons that stand outside
 * of strings count the members as they are written. */
struct shape {
    size_t colons;
    bool single_quoted;
};

static struct shape shape_of(struct text line)
{
    struct shape shape = {0, false};
    bool inside = false;
    for (size_t i = 0; i < line.length; i++) {
        if (inside && line.at[i] == '\\')
            i++;
        else if (line.at[i] == '"')
            inside = !inside;
        else if (!inside && line.at[i] == ':')
            shape.colons++;
        else if (!inside && line.at[i] == '\'')
            shape.single_quoted = true;
    }
    return shape;
}

static size_t count_parsed(struct json_object *value)
{
    size_t count = 0;
    if (json_object_is_type(value, json_type_object)) {
        json_object_object_foreach(value, name, member)
        {
            (void)name;
            count += 1 + count_parsed(member);
        }
    } else if (json_object_is_type(value, json_type_array))
        for (size_t i = 0; i < json_object_array_length(value); i++)
            count += count_parsed(json_object_array_get_idx(value, i));
    return count;
}

/* NULL with a fault when the line is no JSON object. */
static struct json_object *parse(struct reading *reading, struct text line)
{
    struct json_tokener *tokener = json_tokener_new_ex(DEPTH_MAX);
    CHECK(tokener);
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    struct json_object *object = json_tokener_parse_ex(tokener, line.at, (int)line.length);
    enum json_tokener_error error = json_tokener_get_error(tokener);
    size_t used = json_tokener_get_parse_end(tokener);
    json_tokener_free(tokener);
    struct shape shape = shape_of(line);
    if (error != json_tokener_success || used != line.length || shape.single_quoted)
        fail(reading, error == json_tokener_continue ? "it ends before its JSON does" : "it is no JSON");
    else if (!json_object_is_type(object, json_type_object))
        fail(reading, "it is no JSON object");
    else if (shape.colons != count_parsed(object))
        fail(reading, "it names a member twice");
    else
        return object;
    json_object_put(object);
    return NULL;
}

static struct text string_of(struct json_object *value)
{
    if (!json_object_is_type(value, json_type_string))
        return TEXT_NONE;
    return (struct text){json_object_get_string(value), (size_t)json_object_get_string_len(value)};
}

/* Nothing but the members of the list: a misspelt name must not be lost. */
static bool only_known(struct json_object *object, const char *const *names)
{
    json_object_object_foreach(object, name, value)
    {
        (void)value;
        const char *const *known = names;
        while (*known && strcmp(*known, name) != 0)
            known++;
        if (!*known)
            return false;
    }
    return true;
}

/* A required string of plain text. */
static struct text plain_member(struct reading *reading, struct json_object *object, const char *name,
                                size_t bytes_max, const char *fault)
{
    struct text text = string_of(json_object_object_get(object, name));
    if (!text.at || text.length == 0 || text.length > bytes_max || !utf8_is_plain(text))
        fail(reading, fault);
    return text;
}

/* A member of the client as the database takes it: {"name", "email" (string or null), "admin" (boolean)}. */
static struct json_object *member_of(struct reading *reading, struct json_object *given)
{
    static const char *const names[] = {"name", "email", "admin", NULL};
    if (!json_object_is_type(given, json_type_object)) {
        fail(reading, "a member is no JSON object");
        return NULL;
    }
    struct json_object *email = json_object_object_get(given, "email");
    struct json_object *admin = json_object_object_get(given, "admin");
    struct text name = string_of(json_object_object_get(given, "name"));
    struct text address = string_of(email);
    if (!only_known(given, names))
        fail(reading, "a member has something else than name, email and admin");
    else if (email && !address.at)
        fail(reading, "a member's email is no string");
    else if (admin && !json_object_is_type(admin, json_type_boolean))
        fail(reading, "a member's admin is neither true nor false");
    else if (member_fault(name, address))
        fail(reading, member_fault(name, address));
    if (reading->fault)
        return NULL;
    struct json_object *member = json_object_new_object();
    json_object_object_add(member, "name", json_object_new_string_len(name.at, (int)name.length));
    json_object_object_add(member, "email",
                           address.length > 0 ? json_object_new_string_len(address.at, (int)address.length)
                                              : NULL);
    json_object_object_add(member, "admin", json_object_new_boolean(json_object_get_boolean(admin)));
    return member;
}

static struct json_object *members_of(struct reading *reading, struct json_object *given)
{
    struct json_object *members = json_object_new_array();
    bool list = json_object_is_type(given, json_type_array);
    size_t count = list ? json_object_array_length(given) : 0;
    if (given && !list)
        fail(reading, "members is no list");
    else if (count > MEMBERS_MAX)
        fail(reading, "it has more than 1000 members");
    for (size_t i = 0; i < count && !reading->fault; i++)
        json_object_array_add(members, member_of(reading, json_object_array_get_idx(given, i)));
    return members;
}

/* COPY's text format: a backslash is doubled; control characters were refused. */
static void add_field(struct builder *builder, struct text field, char end)
{
    for (size_t i = 0; i < field.length; i++) {
        if (field.at[i] == '\\')
            builder_add_char(builder, '\\');
        builder_add_char(builder, field.at[i]);
    }
    builder_add_char(builder, end);
}

static struct text row_of(struct reading *reading, struct json_object *object, int64_t number)
{
    static const char *const names[] = {"client_id", "name", "members", NULL};
    struct text client_id = plain_member(reading, object, "client_id", CLIENT_ID_BYTES_MAX,
                                         "client_id is missing or no text of at most 255 bytes");
    struct text name = plain_member(reading, object, "name", CLIENT_NAME_BYTES_MAX,
                                    "name is missing or no text of at most 200 bytes");
    if (!only_known(object, names))
        fail(reading, "it has something else than client_id, name and members");
    struct json_object *members = members_of(reading, json_object_object_get(object, "members"));
    struct text row = TEXT_NONE;
    if (!reading->fault) {
        struct builder builder;
        builder_init(&builder, reading->arena, 512);
        builder_add_int64(&builder, number);
        builder_add_char(&builder, '\t');
        add_field(&builder, client_id, '\t');
        add_field(&builder, name, '\t');
        add_field(&builder,
                  text_from(json_object_to_json_string_ext(members, JSON_C_TO_STRING_NOSLASHESCAPE)), '\n');
        row = builder_text(&builder);
    }
    json_object_put(members);
    return row;
}

static bool is_blank(struct text line)
{
    for (size_t i = 0; i < line.length; i++)
        if (line.at[i] != ' ' && line.at[i] != '\t' && line.at[i] != '\r')
            return false;
    return true;
}

struct text import_line_row(struct arena *arena, struct text line, int64_t number, const char **fault)
{
    struct reading reading = {.arena = arena};
    struct text row = TEXT_NONE;
    if (is_blank(line))
        return TEXT_NONE;
    while (line.length > 0 && strchr(" \t\r", line.at[line.length - 1]))
        line.length--;
    if (!utf8_valid(line))
        fail(&reading, "it is not UTF-8");
    struct json_object *object = reading.fault ? NULL : parse(&reading, line);
    if (object)
        row = row_of(&reading, object, number);
    json_object_put(object);
    if (!row.at)
        fail(&reading, "it is too large");
    *fault = reading.fault;
    return row;
}
