#include "ctl/member.h"

#include "base/utf8.h"
#include "ctl/options.h"

#define NAME_BYTES_MAX 200
#define EMAIL_BYTES_MAX 254
#define ADMIN ":admin"

/* Something before and behind one @, no blanks: whether it can be delivered is the upstream's to say. */
static bool email_valid(struct text email)
{
    const char *at = memchr(email.at, '@', email.length);
    size_t before = at ? (size_t)(at - email.at) : 0;
    return before > 0 && before + 1 < email.length && !memchr(at + 1, '@', email.length - before - 1) &&
           !memchr(email.at, ' ', email.length) && email.length <= EMAIL_BYTES_MAX;
}

const char *member_fault(struct text name, struct text email)
{
    if (name.length == 0)
        return "a member's name is empty";
    if (name.length > NAME_BYTES_MAX)
        return "a member's name is longer than 200 bytes";
    if (!utf8_is_plain(name) || (email.at && !utf8_is_plain(email)))
        return "a member's name or address is not plain UTF-8 text";
    if (email.length > 0 && !email_valid(email))
        return "a member's e-mail address is none";
    return NULL;
}

bool member_parse(struct ctl *ctl, const char *written, struct member *member)
{
    struct text rest = text_from(written);
    size_t admin = strlen(ADMIN);
    member->is_admin = rest.length > admin && memcmp(rest.at + rest.length - admin, ADMIN, admin) == 0;
    if (member->is_admin)
        rest.length -= admin;
    const char *colon = memrchr(rest.at, ':', rest.length);
    if (!colon) {
        usage_error(ctl, "a member is written NAME:EMAIL or NAME:EMAIL:admin, where EMAIL may be empty");
        return false;
    }
    struct text name = {rest.at, (size_t)(colon - rest.at)};
    struct text email = {colon + 1, rest.length - name.length - 1};
    const char *fault = member_fault(name, email);
    if (fault) {
        usage_error(ctl, "%s", fault);
        return false;
    }
    member->name = arena_copy(&ctl->arena, name).at;
    member->email = email.length > 0 ? arena_copy(&ctl->arena, email).at : NULL;
    return member->name != NULL;
}
