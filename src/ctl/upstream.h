/* Reading from the upstream, one call after the other: products and prices. GET only: nothing here changes
 * anything there. */
#ifndef INVOICEGATE_CTL_UPSTREAM_H
#define INVOICEGATE_CTL_UPSTREAM_H

#include <curl/curl.h>
#include <json-c/json.h>

#include "ctl/ctl.h"

struct upstream {
    CURL *curl;
    struct curl_slist *headers;
    struct arena *arena;
    const char *url; /* without a slash at its end */
    long status;     /* of the last answer; 0: there was none */
    int tries_max;
    bool key_of_other_mode; /* as the key says of itself */
    char error[CURL_ERROR_SIZE];
};

/* Reads the settings (INVOICEGATE_UPSTREAM_URL, the key file of the mode, ...) and prepares calls for one
 * account (NULL: for the platform's own). Says what is wrong. To be closed in any case. */
enum ctl_exit upstream_open(struct upstream *upstream, struct ctl *ctl, const char *mode,
                            const char *account_id) MUST_CHECK;
void upstream_close(struct upstream *upstream);

/* GET of a path with its query. CTL_DONE: *object is the caller's, *bytes the answer as it came (in the
 * arena). CTL_NOT_FOUND: a 404, nothing said. CTL_UPSTREAM: said; busy and broken answers were tried again
 * before. */
enum ctl_exit upstream_get(struct upstream *upstream, const char *path, struct json_object **object,
                           struct text *bytes) MUST_CHECK;
/* What the last answer's Date said; -1 when it did not. */
time_t upstream_date(const struct upstream *upstream);
/* A text as it may stand in a path or query. */
const char *upstream_escape(const struct upstream *upstream, const char *text);

#endif
