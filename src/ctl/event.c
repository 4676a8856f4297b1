#include "ctl/event.h"

#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

const char *event_who(void)
{
    const char *behind_sudo = getenv("SUDO_USER");
    const struct passwd *user = getpwuid(getuid());
    if (behind_sudo && *behind_sudo && getuid() == 0)
        return behind_sudo;
    return user ? user->pw_name : "unknown";
}

void event_write(struct ctl *ctl, const char *about, int64_t agency_id, const char *what, const char *why)
{
    struct text reason = arena_printf(&ctl->arena, "%s; by %s", why, event_who());
    DB_RUN(&ctl->db,
           "insert into gateway.events (subject_id, about, agency_id, what, why) "
           "values (gateway.uuid_new(), $1, nullif($2::bigint, 0), $3, $4)",
           db_text(about), db_int(agency_id), db_text(what), db_text(reason.at));
}
