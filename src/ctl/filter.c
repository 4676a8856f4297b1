#include "ctl/filter.h"

#include "base/digest.h"
#include "ctl/options.h"

#define LIMIT_DEFAULT 50
#define LIMIT_MAX 100000

static bool read_after(struct ctl *ctl, struct db_param *param)
{
    uint8_t uuid[UUID_BYTES];
    const char *after = option_text(ctl, "after");
    *param = db_text(after);
    if (!after || uuid_from_text(text_from(after), uuid))
        return true;
    usage_error(ctl, "--after takes the request_id of the last row, not '%s'", after);
    return false;
}

bool filter_read(struct ctl *ctl, struct filter *filter)
{
    const char *since;
    const char *until;
    int64_t agency_id;
    if (!option_number(ctl, "agency", &agency_id) || !option_number(ctl, "limit", &filter->limit) ||
        !option_moment(ctl, "since", &since) || !option_moment(ctl, "until", &until) ||
        !read_after(ctl, &filter->params[FILTER_AFTER]))
        return false;
    if (filter->limit > LIMIT_MAX) {
        usage_error(ctl, "--limit is at most %d; go on with --after", LIMIT_MAX);
        return false;
    }
    filter->limit = filter->limit > 0 ? filter->limit : LIMIT_DEFAULT;
    filter->params[FILTER_AGENCY] = agency_id > 0 ? db_int(agency_id) : db_text(NULL);
    filter->params[FILTER_ACCOUNT] = db_text(option_text(ctl, "account"));
    filter->params[FILTER_CLIENT] = db_text(option_text(ctl, "client"));
    filter->params[FILTER_STATE] = db_text(option_text(ctl, "state"));
    filter->params[FILTER_MODE] = db_text(option_text(ctl, "mode"));
    filter->params[FILTER_SINCE] = db_text(since);
    filter->params[FILTER_UNTIL] = db_text(until);
    filter->params[FILTER_LIMIT] = db_int(filter->limit);
    return true;
}
