/* The examination of an installation: each check says what it found and what to do about it. */
#ifndef INVOICEGATE_CTL_DOCTOR_H
#define INVOICEGATE_CTL_DOCTOR_H

#include <json-c/json.h>

#include "ctl/ctl.h"

enum health { HEALTH_OK, HEALTH_WARNING, HEALTH_FAILED, HEALTH_SKIPPED, HEALTH_COUNT };

#define DOCTOR_SOCKETS_MAX 64

struct doctor {
    struct ctl *ctl;
    struct json_object *findings; /* with --json, where they wait for the end */
    int counts[HEALTH_COUNT];
    bool installed; /* the settings come from a file: an installation, not a shell */
    /* As the settings name it; the operator's own is in INVOICEGATE_DATABASE, as ever. */
    const char *worker_database;
    const char *sockets[DOCTOR_SOCKETS_MAX]; /* paths of those that exist */
    int socket_count;
};

/* One finding. advice: what to do, or NULL. */
void doctor_say(struct doctor *doctor, const char *check, enum health health, const char *advice,
                const char *format, ...) __attribute__((format(printf, 5, 6)));

/* A setting of the workers, or its default. */
const char *doctor_setting(const char *name, const char *fallback);
long doctor_number(const char *name, long fallback);

/* What is said on standard error between the two goes into the answer instead, its first line without the
 * program's name. */
struct hearing {
    int saved_fd;
    int file_fd;
};
struct hearing hearing_begin(void);
struct text hearing_end(struct hearing hearing, struct arena *arena);

/* A program to run without a shell. */
struct errand {
    const char *words[10];        /* its path and arguments, then NULL */
    bool errors_too;              /* take its standard error as well */
    bool (*prepare)(void *owner); /* in the child, before the program; NULL for nothing */
    void *owner;
};

/* Takes what it writes. Answers its exit status, -1 when it could not be run or did not end in time. */
int doctor_run(struct arena *arena, const struct errand *errand, struct text *output);
/* The path of a program, also where ordinary users do not look; NULL when there is none. */
const char *doctor_program(struct arena *arena, const char *name);

/* The checks, in their order. */
MUST_CHECK bool doctor_read_settings(struct doctor *doctor, const char *file, const char *credentials);
void doctor_check_worker(struct doctor *doctor);
void doctor_check_database(struct doctor *doctor);
void doctor_check_upstream(struct doctor *doctor);
void doctor_check_sockets(struct doctor *doctor);
void doctor_check_units(struct doctor *doctor);
void doctor_check_nginx(struct doctor *doctor);
void doctor_check_disk(struct doctor *doctor);

#endif
