#include "base/metrics.h"

#include <stdio.h>

const struct scale metric_seconds = {
    {1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000,
     20000000, 30000000},
    1000000,
};
const struct scale metric_items = {
    {1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 160, 192, 256},
    1,
};

/* The commonest first. 499: the client left before its answer, in nginx's words. */
static const struct {
    int status;
    const char *name;
} statuses[] = {
    {200, "200"}, {400, "400"}, {401, "401"}, {402, "402"}, {403, "403"}, {404, "404"},
    {405, "405"}, {409, "409"}, {413, "413"}, {415, "415"}, {422, "422"}, {429, "429"},
    {499, "499"}, {500, "500"}, {502, "502"}, {503, "503"}, {504, "504"}, {0, "other"},
};

#define STATUS_COUNT ((int)(sizeof(statuses) / sizeof(statuses[0])))
_Static_assert(STATUS_COUNT <= METRIC_STATUSES, "every status has its place");

int metric_status(int status)
{
    int place = 0;
    while (place < STATUS_COUNT - 1 && statuses[place].status != status)
        place++;
    return place;
}

const char *metric_status_name(int place)
{
    return place < STATUS_COUNT ? statuses[place].name : NULL;
}

void histogram_add(struct histogram *histogram, const struct scale *scale, int64_t value)
{
    int bucket = 0;
    while (bucket < METRIC_BUCKETS && value > scale->bounds[bucket])
        bucket++;
    histogram->buckets[bucket]++;
    histogram->sum += value > 0 ? (uint64_t)value : 0;
}

void metric_head(struct builder *out, const char *name, const char *type, const char *help)
{
    const char *const words[] = {"# HELP ", name, " ", help, "\n# TYPE ", name, " ", type, "\n"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        builder_add(out, text_from(words[i]));
}

/* NAME_SUFFIX{LABELS,MORE} and a space; no braces where both are empty. */
static void add_name(struct builder *out, const char *name, const char *suffix, const char *labels,
                     const char *more)
{
    builder_add(out, text_from(name));
    builder_add(out, text_from(suffix));
    if (*labels || *more) {
        builder_add_char(out, '{');
        builder_add(out, text_from(labels));
        if (*labels && *more)
            builder_add_char(out, ',');
        builder_add(out, text_from(more));
        builder_add_char(out, '}');
    }
    builder_add_char(out, ' ');
}

static void add_sample(struct builder *out, const char *name, const char *suffix, const char *labels,
                       const char *more, int64_t value)
{
    add_name(out, name, suffix, labels, more);
    builder_add_int64(out, value);
    builder_add_char(out, '\n');
}

void metric_write(struct builder *out, const char *name, const char *labels, int64_t value)
{
    add_sample(out, name, "", labels, "", value);
}

void metric_write_histogram(struct builder *out, const char *name, const char *labels,
                            const struct histogram *histogram, const struct scale *scale)
{
    uint64_t so_far = 0;
    char text[64];
    for (int i = 0; i < METRIC_BUCKETS; i++) {
        so_far += histogram->buckets[i];
        snprintf(text, sizeof(text), "le=\"%g\"", (double)scale->bounds[i] / (double)scale->unit);
        add_sample(out, name, "_bucket", labels, text, (int64_t)so_far);
    }
    so_far += histogram->buckets[METRIC_BUCKETS];
    add_sample(out, name, "_bucket", labels, "le=\"+Inf\"", (int64_t)so_far);
    snprintf(text, sizeof(text), "%.6f\n", (double)histogram->sum / (double)scale->unit);
    add_name(out, name, "_sum", labels, "");
    builder_add(out, text_from(text));
    add_sample(out, name, "_count", labels, "", (int64_t)so_far);
}
