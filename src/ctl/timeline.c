#include "ctl/timeline.h"

#include <stdio.h>

#include "ctl/clean.h"

#define BAR_DEFAULT 40 /* where no terminal says how wide it is */
#define BAR_MIN 10
#define TEXT_COLUMNS 5

struct line {
    struct text texts[TEXT_COLUMNS]; /* call, start, duration, answer, upstream's id; clean */
    enum tone tone;
    int64_t start_ms;
    int64_t duration_ms;
};

struct timeline {
    struct ctl *ctl;
    const PGresult *calls;
    struct line *lines;
    int count;
    int widths[TEXT_COLUMNS];
    int64_t first_ms;
    int64_t last_ms;
    int bar_columns;
};

static struct text field(const struct timeline *timeline, int row, const char *name)
{
    int column = PQfnumber(timeline->calls, name);
    CHECK(column >= 0);
    return db_cell(timeline->calls, row, column);
}

static void fill_line(struct timeline *timeline, int row)
{
    struct arena *arena = &timeline->ctl->arena;
    struct line *line = &timeline->lines[row];
    struct text status = field(timeline, row, "http_status");
    struct text outcome = field(timeline, row, "outcome");
    bool repeated = !text_is(field(timeline, row, "attempt"), TEXT("1"));
    bool taken_over = !text_is(field(timeline, row, "fence"), TEXT("1"));
    line->start_ms = db_cell_int(timeline->calls, row, PQfnumber(timeline->calls, "start_ms"));
    line->duration_ms = db_cell_int(timeline->calls, row, PQfnumber(timeline->calls, "duration_ms"));
    line->tone = tone_of_state(outcome.at);
    line->texts[0] =
        arena_printf(arena, "%s%s%s%s%s", field(timeline, row, "step").at, repeated ? " #" : "",
                     repeated ? field(timeline, row, "attempt").at : "", taken_over ? " fence " : "",
                     taken_over ? field(timeline, row, "fence").at : "");
    line->texts[1] =
        arena_printf(arena, "%s%s", line->start_ms < 0 ? "" : "+", story_duration(arena, line->start_ms).at);
    line->texts[2] = story_duration(arena, line->duration_ms);
    line->texts[3] = arena_printf(arena, "%s %s", status.at ? status.at : "---", outcome.at);
    line->texts[4] = field(timeline, row, "upstream_request_id");
    for (int i = 0; i < TEXT_COLUMNS; i++) {
        line->texts[i] = clean(arena, line->texts[i]);
        int width = clean_width(line->texts[i]);
        if (width > timeline->widths[i])
            timeline->widths[i] = width;
    }
}

static bool fill(struct timeline *timeline)
{
    timeline->lines = arena_zalloc(&timeline->ctl->arena, sizeof(struct line) * (size_t)timeline->count);
    if (!timeline->lines)
        return false;
    for (int row = 0; row < timeline->count; row++) {
        fill_line(timeline, row);
        struct line *line = &timeline->lines[row];
        int64_t end_ms = line->start_ms + line->duration_ms;
        if (line->start_ms < timeline->first_ms)
            timeline->first_ms = line->start_ms;
        if (end_ms > timeline->last_ms)
            timeline->last_ms = end_ms;
    }
    return !arena_overflowed(&timeline->ctl->arena);
}

static int bar_columns(const struct timeline *timeline)
{
    int left = timeline->ctl->terminal.width - 2;
    for (int i = 0; i < TEXT_COLUMNS; i++)
        left -= timeline->widths[i] > 0 ? timeline->widths[i] + 2 : 0;
    if (timeline->ctl->terminal.width == 0)
        return BAR_DEFAULT;
    return left < BAR_MIN ? BAR_MIN : left;
}

/* Where a moment falls on the axis. */
static int place(const struct timeline *timeline, int64_t at_ms)
{
    int64_t span_ms = timeline->last_ms - timeline->first_ms;
    return span_ms > 0 ? (int)((at_ms - timeline->first_ms) * timeline->bar_columns / span_ms) : 0;
}

/* At least one column, so that nothing is lost; never beyond the axis. */
static void put_bar(const struct timeline *timeline, const struct line *line)
{
    const struct terminal *terminal = &timeline->ctl->terminal;
    int start = place(timeline, line->start_ms);
    int end = place(timeline, line->start_ms + line->duration_ms);
    if (start >= timeline->bar_columns)
        start = timeline->bar_columns - 1;
    if (end <= start)
        end = start + 1;
    for (int i = 0; i < start; i++)
        fputs(terminal->utf8 ? "\u00b7" : ".", stdout);
    fputs(tone_on(terminal, line->tone), stdout);
    for (int i = start; i < end; i++)
        fputs(terminal->utf8 ? "\u2588" : "#", stdout);
    fputs(tone_off(terminal, line->tone), stdout);
    for (int i = end; i < timeline->bar_columns; i++)
        fputs(terminal->utf8 ? "\u00b7" : ".", stdout);
}

static void put_line(const struct timeline *timeline, const struct line *line)
{
    const struct terminal *terminal = &timeline->ctl->terminal;
    printf("  ");
    for (int i = 0; i < TEXT_COLUMNS; i++) {
        bool right = i == 1 || i == 2;
        int padding = timeline->widths[i] - clean_width(line->texts[i]);
        if (timeline->widths[i] == 0)
            continue;
        printf("%*s%s%s%s%*s", right ? padding : 0, "", i == 3 ? tone_on(terminal, line->tone) : "",
               line->texts[i].at ? line->texts[i].at : "", i == 3 ? tone_off(terminal, line->tone) : "",
               right ? 2 : padding + 2, "");
    }
    put_bar(timeline, line);
    printf("\n");
}

void timeline_print(struct ctl *ctl, const PGresult *calls)
{
    struct timeline timeline = {.ctl = ctl, .calls = calls, .count = PQntuples(calls)};
    if (timeline.count == 0 || !fill(&timeline))
        return;
    timeline.bar_columns = bar_columns(&timeline);
    for (int row = 0; row < timeline.count; row++)
        put_line(&timeline, &timeline.lines[row]);
}
