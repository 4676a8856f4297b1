/* This host: sockets, units and disk. */
#include <errno.h>
#include <glob.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <unistd.h>

#include "ctl/doctor.h"

#define MIB ((uint64_t)1 << 20)
#define FREE_FAILURE_BYTES (512 * MIB)
#define FREE_WARNING_BYTES (4096 * MIB)

/* ---- sockets */

/* 0, or why nobody answers. */
static int try_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int error = ENAMETOOLONG;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return errno;
    if (strlen(path) < sizeof(address.sun_path)) {
        memcpy(address.sun_path, path, strlen(path) + 1);
        error = connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 ? 0 : errno;
    }
    close(fd);
    return error;
}

/* The group is nginx's. It must be able to enter the directory and to write; others must not. */
static const char *rights_problem(const char *path)
{
    struct stat facts, above;
    char directory[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
    if (stat(path, &facts) != 0 ||
        snprintf(directory, sizeof(directory), "%s", path) >= (int)sizeof(directory) ||
        stat(dirname(directory), &above) != 0)
        return NULL;
    if (facts.st_mode & S_IRWXO)
        return "others than nginx may write to it";
    if ((facts.st_mode & (S_IRGRP | S_IWGRP)) != (S_IRGRP | S_IWGRP) && geteuid() == 0 && facts.st_uid != 0)
        return "nginx's group may not write to it";
    if (facts.st_gid != above.st_gid && !(above.st_mode & S_IXOTH))
        return "its group may not enter its directory";
    return NULL;
}

static bool check_socket(struct doctor *doctor, const char *path)
{
    struct arena *arena = &doctor->ctl->arena;
    char copy[256];
    int error = try_connect(path);
    const char *problem = error == 0 ? rights_problem(path) : NULL;
    snprintf(copy, sizeof(copy), "%s", path);
    char *name = basename(copy);
    name[strcspn(name, ".")] = '\0';
    if (error == EACCES)
        doctor_say(doctor, "sockets", HEALTH_SKIPPED, "run as root", "%s: may not be tried", path);
    else if (error != 0)
        doctor_say(doctor, "sockets", HEALTH_FAILED,
                   arena_printf(arena, "systemctl restart invoicegate@%s, or remove the file", name).at,
                   "%s: nobody answers: %s", path, strerror(error));
    else if (problem)
        doctor_say(
            doctor, "sockets", HEALTH_FAILED,
            arena_printf(arena, "give it nginx's group and the mode 0660: systemctl cat invoicegate@%s", name)
                .at,
            "%s: %s", path, problem);
    return error == 0 && !problem;
}

/* Workers that cannot write there count each for itself. */
static void check_counters(struct doctor *doctor, const char *directory)
{
    const char *pattern = arena_printf(&doctor->ctl->arena, "%s/metrics.[0-9]*", directory).at;
    glob_t found = {0};
    if (pattern && glob(pattern, 0, NULL, &found) == 0)
        doctor_say(doctor, "counters", HEALTH_OK, NULL, "workers keep them in %s", directory);
    else
        doctor_say(doctor, "counters", HEALTH_WARNING,
                   "let the user invoicegate write there (INVOICEGATE_RUNTIME_DIR), then restart the workers",
                   "no worker keeps its counters in %s: metrics would show one worker alone", directory);
    globfree(&found);
}

void doctor_check_sockets(struct doctor *doctor)
{
    struct arena *arena = &doctor->ctl->arena;
    const char *directory = doctor_setting("INVOICEGATE_RUNTIME_DIR", "/run/invoicegate");
    const char *pattern = arena_printf(arena, "%s/*.sock", directory).at;
    glob_t found = {0};
    int good = 0;
    if (pattern && glob(pattern, 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc && doctor->socket_count < DOCTOR_SOCKETS_MAX; i++) {
            doctor->sockets[doctor->socket_count++] = arena_copy(arena, text_from(found.gl_pathv[i])).at;
            good += check_socket(doctor, found.gl_pathv[i]);
        }
    globfree(&found);
    if (doctor->socket_count == 0)
        doctor_say(doctor, "sockets", HEALTH_FAILED,
                   "systemctl enable --now invoicegate@1 invoicegate@2 (as root, to see them)",
                   "there are none in %s", directory);
    else if (good == doctor->socket_count)
        doctor_say(doctor, "sockets", HEALTH_OK, NULL, "%d in %s, each with a worker behind it", good,
                   directory);
    if (good > 0)
        check_counters(doctor, directory);
}

/* ---- units */

/* As systemctl writes a time span: "1min 30s". Milliseconds; -1 for "infinity" and what is not understood. */
static long span_ms(const char *text)
{
    static const struct {
        const char *unit;
        long ms;
    } units[] = {{"h", 3600000}, {"min", 60000}, {"ms", 1}, {"s", 1000}};
    long sum_ms = 0;
    while (*text && *text != '\n') {
        char *unit;
        long number = strtol(text, &unit, 10);
        size_t length = strcspn(unit, " \n");
        size_t i = 0;
        while (i < sizeof(units) / sizeof(units[0]) &&
               (strlen(units[i].unit) != length || strncmp(unit, units[i].unit, length) != 0))
            i++;
        if (unit == text || i == sizeof(units) / sizeof(units[0]))
            return -1;
        sum_ms += number * units[i].ms;
        text = unit + length + strspn(unit + length, " ");
    }
    return sum_ms;
}

static struct text unit_property(struct doctor *doctor, const char *program, const char *name)
{
    struct text value;
    struct errand errand = {.words = {program, "show", "--value", "-p", name, "invoicegate@1.service", NULL}};
    return doctor_run(&doctor->ctl->arena, &errand, &value) == 0 ? value : TEXT("");
}

void doctor_check_units(struct doctor *doctor)
{
    long drain_ms = doctor_number("INVOICEGATE_DRAIN_MS", 40000);
    const char *program = doctor_program(&doctor->ctl->arena, "systemctl");
    if (!doctor->installed || !program || access("/run/systemd/system", F_OK) != 0) {
        doctor_say(doctor, "units", HEALTH_SKIPPED, NULL, "no systemd at work here");
        return;
    }
    long stop_ms = span_ms(unit_property(doctor, program, "TimeoutStopUSec").at);
    bool stale = text_starts(unit_property(doctor, program, "NeedDaemonReload"), TEXT("yes"));
    bool there = text_starts(unit_property(doctor, program, "LoadState"), TEXT("loaded"));
    if (!there)
        doctor_say(doctor, "units", HEALTH_FAILED, "make install, then systemctl daemon-reload",
                   "systemd does not know invoicegate@.service");
    else if (stale)
        doctor_say(doctor, "units", HEALTH_WARNING, "systemctl daemon-reload",
                   "invoicegate@.service has changed");
    else if (stop_ms >= 0 && stop_ms <= drain_ms)
        doctor_say(doctor, "units", HEALTH_FAILED,
                   "systemctl edit invoicegate@.service: raise TimeoutStopSec",
                   "systemd kills a worker after %ld ms, but a drain may take %ld ms", stop_ms, drain_ms);
    else
        doctor_say(doctor, "units", HEALTH_OK, NULL, "a worker that stops has the time it needs");
}

/* ---- disk */

static void check_space(struct doctor *doctor, const char *what, const char *path, bool silent)
{
    struct statvfs facts;
    if (!path || statvfs(path, &facts) != 0)
        return;
    uint64_t free_bytes = (uint64_t)facts.f_bavail * facts.f_frsize;
    uint64_t total_bytes = (uint64_t)facts.f_blocks * facts.f_frsize;
    int percent = total_bytes > 0 ? (int)(free_bytes * 100 / total_bytes) : 100;
    if (free_bytes < FREE_FAILURE_BYTES)
        doctor_say(doctor, "disk", HEALTH_FAILED,
                   "make room: without it nothing can be recorded, so nothing is made",
                   "%llu MB are left for %s in %s", (unsigned long long)(free_bytes / MIB), what, path);
    else if (free_bytes < FREE_WARNING_BYTES)
        doctor_say(doctor, "disk", HEALTH_WARNING,
                   "make room, or watch it: a million invoices take about 2 GB",
                   "%llu MB are left for %s in %s", (unsigned long long)(free_bytes / MIB), what, path);
    else if (!silent)
        doctor_say(doctor, "disk", HEALTH_OK, NULL, "%llu MB (%d %%) are free for %s in %s",
                   (unsigned long long)(free_bytes / MIB), percent, what, path);
}

void doctor_check_disk(struct doctor *doctor)
{
    struct db *db = &doctor->ctl->db;
    const char *host = db->connection ? PQhost(db->connection) : NULL;
    struct hearing hearing = hearing_begin();
    PGresult *place = db->connection && !db->failed && host && host[0] == '/'
                          ? db_query_params(db, "show data_directory", NULL, 0)
                          : NULL;
    (void)hearing_end(hearing, &doctor->ctl->arena);
    if (place && access(PQgetvalue(place, 0, 0), F_OK) == 0)
        check_space(doctor, "the database", PQgetvalue(place, 0, 0), false);
    else
        doctor_say(doctor, "disk", HEALTH_SKIPPED, "run it as root on the database's host, too",
                   "the database's disk is not in sight");
    PQclear(place);
    check_space(doctor, "logs", "/var/log", true);
}
