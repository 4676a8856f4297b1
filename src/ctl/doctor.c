/* Examines an installation: settings, database, upstream, sockets, nginx, disk. Changes nothing. */
#include "ctl/doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ctl/clean.h"
#include "ctl/commands.h"
#include "ctl/options.h"
#include "ctl/output.h"
#include "ctl/say.h"

#ifndef INVOICEGATE_CONFIG_DIR
#define INVOICEGATE_CONFIG_DIR "/etc/invoicegate"
#endif
#define SETTINGS_DEFAULT INVOICEGATE_CONFIG_DIR "/invoicegate.env"
#define CREDENTIALS_DEFAULT "/etc/credstore"

static const struct {
    const char *name;
    const char *shown;
    enum tone tone;
} healths[HEALTH_COUNT] = {
    [HEALTH_OK] = {"ok", "ok", TONE_GOOD},
    [HEALTH_WARNING] = {"warning", "WARNING", TONE_WARNING},
    [HEALTH_FAILED] = {"failed", "FAILED", TONE_ALARM},
    [HEALTH_SKIPPED] = {"skipped", "skipped", TONE_DIM},
};

static void put_finding(struct doctor *doctor, const char *check, enum health health, struct text found,
                        const char *advice)
{
    const struct terminal *terminal = &doctor->ctl->terminal;
    printf("%s%-7s%s  %-10s  ", tone_on(terminal, healths[health].tone), healths[health].shown,
           tone_off(terminal, healths[health].tone), check);
    clean_put(stdout, found);
    if (advice) {
        printf("\n%21s%s-> ", "", tone_on(terminal, TONE_BOLD));
        clean_put(stdout, text_from(advice));
        fputs(tone_off(terminal, TONE_BOLD), stdout);
    }
    putchar('\n');
}

static void keep_finding(struct doctor *doctor, const char *check, enum health health, struct text found,
                         const char *advice)
{
    struct json_object *finding = json_object_new_object();
    json_object_object_add(finding, "check", json_object_new_string(check));
    json_object_object_add(finding, "state", json_object_new_string(healths[health].name));
    json_object_object_add(finding, "found", json_string(found));
    json_object_object_add(finding, "advice", json_string(text_from(advice)));
    json_object_array_add(doctor->findings, finding);
}

void doctor_say(struct doctor *doctor, const char *check, enum health health, const char *advice,
                const char *format, ...)
{
    char line[2048];
    va_list values;
    va_start(values, format);
    vsnprintf(line, sizeof(line), format, values);
    va_end(values);
    doctor->counts[health]++;
    if (doctor->findings)
        keep_finding(doctor, check, health, text_from(line), advice);
    else
        put_finding(doctor, check, health, text_from(line), advice);
}

const char *doctor_setting(const char *name, const char *fallback)
{
    const char *value = getenv(name);
    return value && *value ? value : fallback;
}

long doctor_number(const char *name, long fallback)
{
    int64_t number;
    const char *value = doctor_setting(name, NULL);
    return value && text_to_int64(text_from(value), &number) ? (long)number : fallback;
}

static void conclude(const struct doctor *doctor)
{
    int failed = doctor->counts[HEALTH_FAILED];
    int warnings = doctor->counts[HEALTH_WARNING];
    if (failed > 0)
        printf("\n%d of the checks failed%s\n", failed, warnings > 0 ? ", and there are warnings" : "");
    else
        printf("\n%s\n", warnings > 0 ? "nothing failed, but there are warnings" : "all is well");
}

static enum ctl_exit doctor(struct ctl *ctl)
{
    struct doctor doctor = {.ctl = ctl, .findings = ctl->json ? json_object_new_array() : NULL};
    const char *settings = option_text(ctl, "settings");
    const char *credentials = option_text(ctl, "credentials");
    if (settings || access(SETTINGS_DEFAULT, F_OK) == 0) {
        doctor.installed = true;
        if (!doctor_read_settings(&doctor, settings ? settings : SETTINGS_DEFAULT,
                                  credentials ? credentials : CREDENTIALS_DEFAULT)) {
            json_object_put(doctor.findings);
            return CTL_FAILED;
        }
    }
    doctor_check_worker(&doctor);
    doctor_check_database(&doctor);
    doctor_check_upstream(&doctor);
    doctor_check_sockets(&doctor);
    doctor_check_units(&doctor);
    doctor_check_nginx(&doctor);
    doctor_check_disk(&doctor);
    if (ctl->json)
        json_print_data(doctor.findings);
    else
        conclude(&doctor);
    return doctor.counts[HEALTH_FAILED] > 0 ? CTL_FAILED : CTL_DONE;
}

static const struct option options[] = {
    {"settings", "FILE", "the workers' settings; default " SETTINGS_DEFAULT ", or the environment", NULL,
     false, false},
    {"credentials", "DIR", "where the workers' secrets are; default " CREDENTIALS_DEFAULT, NULL, false,
     false},
    {"sql", "DIR", "where the migrations are; default: the installed ones", NULL, false, false},
    {"nginx", "FILE", "nginx's configuration; default: where nginx itself looks", NULL, false, false},
    OPTIONS_END,
};

const struct command doctor_commands[] = {
    {"doctor", NULL, "", 0, 0, "examine an installation and say what to do about what is wrong",
     "Looks at settings, database, migrations, grants, history, clocks, upstream and its keys, sockets,\n"
     "units, nginx and disk, and changes nothing. As root it sees most; what it cannot see it skips. A\n"
     "worker is tried as the user invoicegate; with --settings, as whoever calls. Exit code 1 when a check\n"
     "failed; warnings alone are 0.",
     options,
     "  invoicegatectl doctor\n"
     "  invoicegatectl doctor --json | jq '.data[] | select(.state == \"failed\")'\n",
     doctor},
    COMMANDS_END,
};
