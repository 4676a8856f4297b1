/* nginx's own view of its configuration (nginx -T), and whether workers and limits fit. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ctl/doctor.h"
#include "ctl/options.h"

#define SERVERS_MAX 64

struct view {
    char *text;       /* the whole configuration without comments */
    char *upstream;   /* what stands in the braces of `upstream invoicegate`; NULL: there is none */
    int server_count; /* of its unix sockets */
    const char *servers[SERVERS_MAX];
};

/* Comments become spaces. A # inside of quotes is kept: JSON and patterns have some. */
static void blank_comments(char *text)
{
    char quote = '\0';
    for (; *text; text++) {
        if (quote && *text == '\\' && text[1])
            text++;
        else if (quote)
            quote = *text == quote ? '\0' : quote;
        else if (*text == '"' || *text == '\'')
            quote = *text;
        else if (*text == '#')
            for (; text[1] && text[1] != '\n'; text++)
                *text = ' ';
    }
}

/* Behind a directive's name and the space after it, or NULL. */
static char *find_directive(char *text, const char *name)
{
    size_t length = strlen(name);
    for (char *at = text; (at = strstr(at, name)); at += length) {
        bool begins = at == text || isspace((unsigned char)at[-1]) || strchr(";{}", at[-1]);
        if (begins && isspace((unsigned char)at[length]))
            return at + length + strspn(at + length, " \t\n");
    }
    return NULL;
}

/* "65", "10s", "500ms", "1m": milliseconds; -1 where the directive is missing. */
static long time_of(char *text, const char *name)
{
    char *value = text ? find_directive(text, name) : NULL;
    char *unit;
    if (!value)
        return -1;
    long number = strtol(value, &unit, 10);
    if (strncmp(unit, "ms", 2) == 0)
        return number;
    return number * (*unit == 'm' ? 60000 : *unit == 'h' ? 3600000 : 1000);
}

/* Takes the block apart. Answers whether every worker may refuse without being shunned. */
static bool read_upstream(struct doctor *doctor, struct view *view)
{
    bool tolerant = true;
    char *block = view->text;
    while ((block = find_directive(block, "upstream")) && strncmp(block, "invoicegate", 11) != 0)
        ;
    char *brace = block ? strchr(block, '{') : NULL;
    char *end = brace ? strchr(brace, '}') : NULL;
    if (!end)
        return true;
    view->upstream = (char *)(uintptr_t)arena_copy(&doctor->ctl->arena,
                                                   (struct text){brace + 1, (size_t)(end - brace) - 1})
                         .at;
    for (char *at = view->upstream;
         at && (at = find_directive(at, "server")) && view->server_count < SERVERS_MAX;) {
        size_t line = strcspn(at, ";");
        struct text words = arena_copy(&doctor->ctl->arena, (struct text){at, line});
        tolerant = tolerant && words.at && strstr(words.at, "max_fails=0");
        if (words.at && text_starts(words, TEXT("unix:"))) {
            struct text path = text_skip(words, 5);
            path.length = strcspn(path.at, " \t");
            view->servers[view->server_count++] = arena_copy(&doctor->ctl->arena, path).at;
        }
        at += line;
    }
    return tolerant;
}

static bool listed(const char *path, const char *const *paths, int count)
{
    for (int i = 0; i < count; i++)
        if (strcmp(path, paths[i]) == 0)
            return true;
    return false;
}

static bool check_servers(struct doctor *doctor, const struct view *view)
{
    for (int i = 0; i < view->server_count; i++)
        if (!listed(view->servers[i], doctor->sockets, doctor->socket_count)) {
            doctor_say(doctor, "nginx", HEALTH_FAILED,
                       "start that worker, or take its line out of the upstream block",
                       "it sends requests to %s, where no worker is", view->servers[i]);
            return false;
        }
    for (int i = 0; i < doctor->socket_count; i++)
        if (!listed(doctor->sockets[i], view->servers, view->server_count)) {
            doctor_say(doctor, "nginx", HEALTH_WARNING, "add a line to the upstream block, then reload nginx",
                       "it sends nothing to the worker at %s", doctor->sockets[i]);
            return false;
        }
    return true;
}

static bool check_times(struct doctor *doctor, const struct view *view)
{
    long deadline_ms = doctor_number("INVOICEGATE_DEADLINE_MS", 30000);
    long drain_ms = doctor_number("INVOICEGATE_DRAIN_MS", 40000);
    long read_ms = time_of(view->text, "fastcgi_read_timeout");
    long kept_ms = time_of(view->upstream, "keepalive_time");
    long idle_ms = time_of(view->upstream, "keepalive_timeout");
    if (read_ms <= deadline_ms)
        doctor_say(doctor, "nginx", HEALTH_FAILED,
                   "raise fastcgi_read_timeout, or lower INVOICEGATE_DEADLINE_MS",
                   "it gives up after %ld ms, before the gateway's deadline of %ld ms",
                   read_ms < 0 ? 60000 : read_ms, deadline_ms);
    else if (kept_ms < 0 || idle_ms < 0 || deadline_ms + kept_ms + idle_ms > drain_ms)
        doctor_say(doctor, "nginx", HEALTH_WARNING,
                   "set keepalive_time 3s and keepalive_timeout 1s in the upstream block, or raise "
                   "INVOICEGATE_DRAIN_MS (and TimeoutStopSec)",
                   "it may keep connections longer than a worker drains (%ld ms)", drain_ms);
    else
        return true;
    return false;
}

/* A request that waits has two of nginx's connections: its client's and its worker's. */
static long requests_at_a_time(struct view *view)
{
    char *connections = find_directive(view->text, "worker_connections");
    char *processes = find_directive(view->text, "worker_processes");
    long each = connections ? strtol(connections, NULL, 10) : 512;
    long count = 1;
    if (processes)
        count =
            strncmp(processes, "auto", 4) == 0 ? sysconf(_SC_NPROCESSORS_ONLN) : strtol(processes, NULL, 10);
    return each * (count > 0 ? count : 1) / 2;
}

static int count_of(char *text, const char *directive, const char *value)
{
    int count = 0;
    for (char *at = text; (at = find_directive(at, directive));)
        count += strncmp(at, value, strlen(value)) == 0;
    return count;
}

/* For people alone: a gateway that nobody watches works all the same. */
static void check_monitoring(struct doctor *doctor, int listeners)
{
    if (listeners == 0)
        doctor_say(doctor, "monitoring", HEALTH_SKIPPED,
                   "include invoicegate-admin.conf in the http block for /metrics, /livez and /readyz",
                   "nginx has no listener for it");
    else
        doctor_say(doctor, "monitoring", HEALTH_OK, NULL, "nginx has a listener for it");
}

static void examine(struct doctor *doctor, struct view *view)
{
    bool tolerant = read_upstream(doctor, view);
    int watching = count_of(view->text, "fastcgi_param", "INVOICEGATE_ADMIN ");
    bool passes = count_of(view->text, "fastcgi_pass", "invoicegate;") > watching;
    if (!view->upstream)
        doctor_say(
            doctor, "nginx", HEALTH_FAILED,
            "include nginx-workers.conf and invoicegate-http.conf in the http block, then reload nginx",
            "it knows no upstream invoicegate");
    else if (!passes)
        doctor_say(doctor, "nginx", HEALTH_FAILED,
                   "include invoicegate-server.conf in the server block that shall answer, then reload nginx",
                   "no server passes requests to the workers");
    else if (strstr(view->text, "non_idempotent"))
        doctor_say(doctor, "nginx", HEALTH_FAILED, "take non_idempotent out of fastcgi_next_upstream",
                   "it may send one POST to two workers");
    else if (!tolerant)
        doctor_say(doctor, "nginx", HEALTH_WARNING, "add max_fails=0 to every server of the upstream block",
                   "it shuns a worker that restarts");
    else if (check_servers(doctor, view) && check_times(doctor, view))
        doctor_say(doctor, "nginx", HEALTH_OK, NULL,
                   "it passes requests to %d workers, %ld at a time (worker_connections)", view->server_count,
                   requests_at_a_time(view));
    check_monitoring(doctor, watching);
}

void doctor_check_nginx(struct doctor *doctor)
{
    struct arena *arena = &doctor->ctl->arena;
    const char *config = option_text(doctor->ctl, "nginx");
    struct errand errand = {
        .words = {doctor_program(arena, "nginx"), "-T", config ? "-c" : NULL, config, NULL},
        .errors_too = true};
    struct text said;
    struct view view = {.text = NULL};
    if (!errand.words[0]) {
        doctor_say(doctor, "nginx", HEALTH_SKIPPED, NULL, "it is not installed on this host");
        return;
    }
    int status = doctor_run(arena, &errand, &said);
    if (status != 0 && geteuid() != 0) {
        doctor_say(doctor, "nginx", HEALTH_SKIPPED, "run as root", "its configuration may not be read");
        return;
    }
    if (status != 0) {
        const char *line = strstr(said.at, "[emerg] ");
        line = line ? line + strlen("[emerg] ") : said.at;
        doctor_say(doctor, "nginx", HEALTH_FAILED, "nginx -t says the same",
                   "its configuration is not valid: %.*s", (int)strcspn(line, "\n"), line);
        return;
    }
    view.text = arena_alloc(arena, said.length + 1);
    if (!view.text)
        return;
    memcpy(view.text, said.at, said.length + 1);
    blank_comments(view.text);
    examine(doctor, &view);
}
