/* The workers' settings, and whether a worker could start with them: the worker itself is asked. */
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/settings_line.h"
#include "ctl/doctor.h"
#include "ctl/file.h"
#include "ctl/options.h"

#define FILE_BYTES_MAX ((size_t)1 << 16)
#define USER "invoicegate"

static const struct {
    const char *setting;
    const char *credential;
} secrets[] = {
    {"INVOICEGATE_DIGEST_KEY_FILE", "invoicegate.digest-key"},
    {"INVOICEGATE_UPSTREAM_KEY_FILE", "invoicegate.upstream-key"},
    {"INVOICEGATE_UPSTREAM_TEST_KEY_FILE", "invoicegate.upstream-test-key"},
};

#define SECRET_COUNT (sizeof(secrets) / sizeof(secrets[0]))

/* ---- the file */

static void take_line(struct doctor *doctor, char *line)
{
    char *name, *value;
    if (settings_line(line, &name, &value) != SETTINGS_LINE_GOOD || strncmp(name, "INVOICEGATE_", 12) != 0)
        return;
    if (strcmp(name, "INVOICEGATE_DATABASE") == 0)
        doctor->worker_database = value;
    else
        setenv(name, value, 1);
}

/* The secrets that the units load, where no setting names another file. */
static void name_secrets(struct doctor *doctor, const char *credentials)
{
    for (size_t i = 0; i < SECRET_COUNT; i++) {
        struct text path = arena_printf(&doctor->ctl->arena, "%s/%s", credentials, secrets[i].credential);
        if (path.at && !doctor_setting(secrets[i].setting, NULL) && access(path.at, F_OK) == 0)
            setenv(secrets[i].setting, path.at, 1);
    }
}

bool doctor_read_settings(struct doctor *doctor, const char *file, const char *credentials)
{
    struct text text = file_read_plain(&doctor->ctl->arena, file, FILE_BYTES_MAX);
    if (!text.at) {
        doctor_say(doctor, "settings", HEALTH_FAILED, "run as root, or name the file with --settings",
                   "%s cannot be read", file);
        return true; /* the other checks have defaults */
    }
    struct text copy = arena_copy(&doctor->ctl->arena, text);
    char *rest = arena_alloc(&doctor->ctl->arena, copy.length + 1);
    if (!copy.at || !rest)
        return false;
    memcpy(rest, copy.at, copy.length + 1);
    while (rest) {
        char *line = strsep(&rest, "\n");
        take_line(doctor, line);
    }
    name_secrets(doctor, credentials);
    return true;
}

/* ---- secrets */

/* Others than root could read it: so could who breaks into another service. */
static void check_secret_file(struct doctor *doctor, const char *setting)
{
    struct stat facts;
    const char *path = doctor_setting(setting, NULL);
    if (!path || stat(path, &facts) != 0 || !(facts.st_mode & (S_IRWXG | S_IRWXO)))
        return;
    doctor_say(doctor, "secrets", HEALTH_WARNING,
               arena_printf(&doctor->ctl->arena, "chown root: %s && chmod 600 %s", path, path).at,
               "%s may be read by others than its owner", path);
}

static void check_secrets(struct doctor *doctor)
{
    int before = doctor->counts[HEALTH_WARNING];
    for (size_t i = 0; i < SECRET_COUNT; i++)
        check_secret_file(doctor, secrets[i].setting);
    if (doctor->counts[HEALTH_WARNING] == before)
        doctor_say(doctor, "secrets", HEALTH_OK, NULL,
                   "no secret's file may be read by others than its owner");
}

/* ---- the worker */

struct inquiry {
    struct doctor *doctor;
    const struct passwd *user; /* to be before the worker is run; NULL: who we are */
};

/* The worker's user cannot open root's files: it is handed copies in memory, which vanish with it. */
static void hand_over_secrets(struct arena *arena, uid_t user)
{
    for (size_t i = 0; i < SECRET_COUNT; i++) {
        const char *path = doctor_setting(secrets[i].setting, NULL);
        struct text secret = path ? file_read_plain(arena, path, FILE_BYTES_MAX) : TEXT_NONE;
        int fd = secret.at ? memfd_create("secret", 0) : -1;
        const char *copy = arena_printf(arena, "/proc/self/fd/%d", fd).at;
        if (fd < 0 || !copy || write(fd, secret.at, secret.length) != (ssize_t)secret.length ||
            fchown(fd, user, (gid_t)-1) != 0 || fchmod(fd, S_IRUSR) != 0)
            continue; /* it will say that it cannot read the file */
        setenv(secrets[i].setting, copy, 1);
    }
}

/* In the child that becomes the worker. */
static bool become_worker(void *owner)
{
    const struct inquiry *inquiry = owner;
    const struct passwd *user = inquiry->user;
    if (inquiry->doctor->installed)
        unsetenv("INVOICEGATE_DATABASE");
    if (inquiry->doctor->worker_database)
        setenv("INVOICEGATE_DATABASE", inquiry->doctor->worker_database, 1);
    if (!user)
        return true;
    hand_over_secrets(&inquiry->doctor->ctl->arena, user->pw_uid);
    return initgroups(USER, user->pw_gid) == 0 && setgid(user->pw_gid) == 0 && setuid(user->pw_uid) == 0;
}

/* The reason in a line of the log; absent when the line has none. */
static struct text reason_in(struct arena *arena, const char *line)
{
    struct json_object *object = json_tokener_parse(line);
    struct json_object *why = NULL;
    struct text reason = TEXT_NONE;
    if (json_object_object_get_ex(object, "why", &why)) {
        struct text whole = text_from(json_object_get_string(why));
        if (whole.at) /* null is a reason, too */
            whole.length = strcspn(whole.at, "\n");
        reason = arena_copy(arena, whole);
    }
    json_object_put(object);
    return reason;
}

/* Of what "invoicegate --check" says under its own name. */
static bool tells_failure(const char *words)
{
    static const char *const others[] = {"settings and database are fine", "the upstream accepts ",
                                         "warning: "};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (strncmp(words, others[i], strlen(others[i])) == 0)
            return false;
    return true;
}

/* What the worker said, in one line: the first failure under its name; of a database, the reason in its log,
 * which that line only points to. */
static struct text essence(struct arena *arena, struct text said, int status)
{
    static const char name[] = "invoicegate: ";
    struct text found = TEXT_NONE, reason = TEXT_NONE;
    char *rest = arena_alloc(arena, said.length + 1);
    if (rest)
        memcpy(rest, said.at, said.length + 1);
    while (rest) {
        char *line = strsep(&rest, "\n");
        bool named = strncmp(line, name, sizeof(name) - 1) == 0;
        if (!reason.at)
            reason = reason_in(arena, line);
        if (!found.at && named && tells_failure(line + sizeof(name) - 1))
            found = text_from(line + sizeof(name) - 1);
    }
    if (reason.at && (!found.at || status == CTL_DATABASE))
        return reason;
    return found.at ? found : TEXT("it says nothing");
}

/* Beside this program. */
static const char *worker_program(struct arena *arena)
{
    char path[PATH_MAX] = "";
    ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
    char *slash = length > 0 ? strrchr(path, '/') : NULL;
    if (slash)
        *slash = '\0';
    const char *program = slash ? arena_printf(arena, "%s/invoicegate", path).at : NULL;
    return program && access(program, X_OK) == 0 ? program : doctor_program(arena, "invoicegate");
}

void doctor_check_worker(struct doctor *doctor)
{
    struct arena *arena = &doctor->ctl->arena;
    struct inquiry inquiry = {.doctor = doctor};
    struct text said;
    struct errand errand = {.words = {worker_program(arena), "--check", NULL},
                            .errors_too = true,
                            .prepare = become_worker,
                            .owner = &inquiry};
    bool as_user = doctor->installed && !option_given(doctor->ctl, "settings") && geteuid() == 0;
    if (as_user)
        inquiry.user = getpwnam(USER);
    if (as_user && !inquiry.user)
        doctor_say(doctor, "user", HEALTH_FAILED, "run systemd-sysusers", "there is no user " USER);
    check_secrets(doctor);
    int status = errand.words[0] ? doctor_run(arena, &errand, &said) : -1;
    if (status == 0)
        doctor_say(doctor, "settings", HEALTH_OK, NULL,
                   "a worker could start: settings and database are fine");
    else if (status < 0)
        doctor_say(doctor, "settings", HEALTH_FAILED, "install invoicegate beside invoicegatectl",
                   "the worker's program could not be run");
    else
        doctor_say(doctor, "settings", HEALTH_FAILED,
                   doctor->installed ? "correct the settings or the database, then try again"
                                     : "name the workers' settings with --settings FILE",
                   "a worker could not start: %s", essence(arena, said, status).at);
}
