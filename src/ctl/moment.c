#include "ctl/moment.h"

#include <stdio.h>

#define SECONDS_LENGTH 19 /* of "2026-01-31 12:00:00" */

void moment_iso(struct text moment, char iso[MOMENT_BYTES])
{
    bool zoned = moment.length > 3 && memcmp(moment.at + moment.length - 3, "+00", 3) == 0;
    int length = (int)(moment.length - (zoned ? 3 : 0));
    snprintf(iso, MOMENT_BYTES, "%.*s%s", length, moment.at, zoned ? "Z" : "");
    char *gap = strchr(iso, ' ');
    if (gap)
        *gap = 'T';
}

void moment_short(struct text moment, char seconds[MOMENT_BYTES])
{
    size_t length = moment.length < SECONDS_LENGTH ? moment.length : SECONDS_LENGTH;
    snprintf(seconds, MOMENT_BYTES, "%.*s", (int)length, moment.length ? moment.at : "");
}
