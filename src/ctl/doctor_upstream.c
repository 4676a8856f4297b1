/* The upstream: reachable, verified, and of one mind with us about the keys and the time. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "ctl/doctor.h"
#include "ctl/upstream.h"

#define CLOCK_WARNING_S 5
#define CLOCK_FAILURE_S 300

/* Plain HTTP is for a stand-in on this host. */
static void check_transport(struct doctor *doctor, const char *url)
{
    static const char *const local[] = {"http://127.", "http://localhost", "http://[::1]"};
    if (strncmp(url, "https://", 8) == 0)
        return;
    for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++)
        if (strncmp(url, local[i], strlen(local[i])) == 0) {
            doctor_say(doctor, "upstream", HEALTH_WARNING, "set INVOICEGATE_UPSTREAM_URL for real invoices",
                       "%s is a stand-in on this host", url);
            return;
        }
    doctor_say(doctor, "upstream", HEALTH_FAILED, "write https:// in INVOICEGATE_UPSTREAM_URL",
               "%s would carry keys and invoices in the clear", url);
}

static void check_date(struct doctor *doctor, const struct upstream *upstream)
{
    time_t theirs = upstream_date(upstream);
    long apart = theirs > 0 ? labs((long)(theirs - time(NULL))) : 0;
    if (theirs <= 0)
        return;
    if (apart > CLOCK_WARNING_S)
        doctor_say(doctor, "clock", apart > CLOCK_FAILURE_S ? HEALTH_FAILED : HEALTH_WARNING,
                   "synchronise this host's clock, with chrony or systemd-timesyncd",
                   "this host's clock and the upstream's are %ld s apart", apart);
    else
        doctor_say(doctor, "clock", HEALTH_OK, NULL, "this host's clock and the upstream's agree");
}

/* The platform's own account, which its key can read. */
static void check_platform(struct doctor *doctor, const char *mode, struct json_object *account)
{
    struct json_object *member = NULL;
    const char *expected = doctor_setting("INVOICEGATE_UPSTREAM_PLATFORM", NULL);
    const char *id =
        json_object_object_get_ex(account, "id", &member) ? json_object_get_string(member) : NULL;
    if (expected && id && strcmp(expected, id) != 0)
        doctor_say(doctor, "upstream", HEALTH_FAILED, "correct INVOICEGATE_UPSTREAM_PLATFORM or the key",
                   "the %s key belongs to %s, the settings name %s", mode, id, expected);
    else
        doctor_say(doctor, "upstream", HEALTH_OK, NULL, "it takes the %s key", mode);
}

static void check_mode(struct doctor *doctor, const char *mode, const char *setting, bool first)
{
    struct ctl *ctl = doctor->ctl;
    struct upstream upstream = {0};
    struct json_object *account = NULL;
    struct text bytes;
    if (!doctor_setting(setting, NULL) && !getenv("CREDENTIALS_DIRECTORY")) {
        doctor_say(doctor, "upstream", HEALTH_SKIPPED, NULL, "no %s key: this mode is not served", mode);
        return;
    }
    struct hearing hearing = hearing_begin();
    enum ctl_exit end = upstream_open(&upstream, ctl, mode, NULL);
    upstream.tries_max = 1;
    if (end == CTL_DONE)
        end = upstream_get(&upstream, "/v1/account", &account, &bytes);
    struct text said = hearing_end(hearing, &ctl->arena);
    if (upstream.key_of_other_mode)
        doctor_say(doctor, "upstream", HEALTH_FAILED,
                   "put the right key into its file, then restart the workers",
                   "the %s key says of itself that it is of the other mode", mode);
    else if (end == CTL_DONE)
        check_platform(doctor, mode, account);
    else if (upstream.status == 403 || upstream.status == 404) /* a key with few rights; it is one, though */
        doctor_say(doctor, "upstream", HEALTH_OK, NULL, "it knows the %s key", mode);
    else
        doctor_say(doctor, "upstream", HEALTH_FAILED,
                   upstream.status == 401
                       ? "put the right key into its file, then restart the workers"
                       : "see that this host can reach it, and which authorities it trusts",
                   "%s mode: %s", mode, said.at);
    if (upstream.status > 0 && first)
        check_date(doctor, &upstream);
    json_object_put(account);
    upstream_close(&upstream);
}

void doctor_check_upstream(struct doctor *doctor)
{
    check_transport(doctor, doctor_setting("INVOICEGATE_UPSTREAM_URL", "https://api.stripe.com"));
    bool live = doctor_setting("INVOICEGATE_UPSTREAM_KEY_FILE", NULL) != NULL;
    check_mode(doctor, "live", "INVOICEGATE_UPSTREAM_KEY_FILE", true);
    check_mode(doctor, "test", "INVOICEGATE_UPSTREAM_TEST_KEY_FILE", !live);
}
