#include "base/log.h"

#include <stdio.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "base/utf8.h"

#define LINE_BYTES 8192
#define FIELD_BYTES 512

static const char *const level_names[] = {"error", "warning", "info", "debug"};
static enum log_level most_verbose = LOG_INFO; /* set once at start */

/* A line under construction. Room for the closing bytes is always kept. */
struct line {
    char at[LINE_BYTES];
    size_t length;
    bool full;
};

#define CLOSING_BYTES 2

void log_level_set(enum log_level level)
{
    most_verbose = level;
}

bool log_level_from(const char *name, enum log_level *level)
{
    for (int i = 0; i < (int)(sizeof level_names / sizeof *level_names); i++)
        if (strcmp(name, level_names[i]) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    return false;
}

static void add(struct line *line, const char *at, size_t length)
{
    if (line->full || length > sizeof line->at - CLOSING_BYTES - line->length) {
        line->full = true;
        return;
    }
    memcpy(line->at + line->length, at, length);
    line->length += length;
}

static void add_string(struct line *line, const char *string)
{
    add(line, string, strlen(string));
}

/* One code point, or "?" for a byte that starts none. Answers how many bytes of the text it took. */
static size_t add_point(struct line *line, struct text text)
{
    size_t bytes = utf8_next(text);
    char escape[8];
    int length;

    if (bytes == 0) {
        add_string(line, "?");
        return 1;
    }
    if (*text.at == '"' || *text.at == '\\') {
        add(line, "\\", 1);
    } else if ((unsigned char)*text.at < 0x20 || *text.at == 0x7f) {
        length = snprintf(escape, sizeof escape, "\\u%04x", (unsigned char)*text.at);
        add(line, escape, (size_t)length);
        return 1;
    }
    add(line, text.at, bytes);
    return bytes;
}

/* How many bytes at the front can be written as they are. */
static size_t plain_length(struct text text)
{
    size_t length = 0;

    while (length < text.length && text.at[length] >= 0x20 && text.at[length] <= 0x7e &&
           text.at[length] != '"' && text.at[length] != '\\')
        length++;
    return length;
}

static void add_text(struct line *line, struct text text)
{
    size_t taken = 0;

    add_string(line, "\"");
    while (text.length > 0 && taken < FIELD_BYTES) {
        struct text room = {text.at, text.length < FIELD_BYTES - taken ? text.length : FIELD_BYTES - taken};
        size_t bytes = plain_length(room);
        if (bytes > 0)
            add(line, text.at, bytes);
        else
            bytes = add_point(line, text);
        text = text_skip(text, bytes);
        taken += bytes;
    }
    add_string(line, text.length > 0 ? "...\"" : "\"");
}

/* {"time":"YYYY-MM-DDTHH:MM:SS.mmmZ" */
static void add_time(struct line *line)
{
    static char second[64]; /* the last line's, and what it is the text of: most lines share one */
    static time_t second_s = -1;
    struct timespec now = {0};
    struct tm utc;
    int ms;

    clock_gettime(CLOCK_REALTIME, &now);
    if (now.tv_sec != second_s) {
        gmtime_r(&now.tv_sec, &utc);
        strftime(second, sizeof second, "{\"time\":\"%Y-%m-%dT%H:%M:%S.", &utc);
        second_s = now.tv_sec;
    }
    ms = (int)(now.tv_nsec / 1000000);
    add_string(line, second);
    add(line, (char[]){(char)('0' + ms / 100), (char)('0' + ms / 10 % 10), (char)('0' + ms % 10)}, 3);
    add(line, "Z\"", 2);
}

/* A field is written whole or not at all. */
static void add_field(struct line *line, const struct log_field *field)
{
    size_t start = line->length;
    char digits[TEXT_INT64_BYTES];
    struct text number;

    add_string(line, ",\"");
    add_string(line, field->name); /* a literal of the program */
    add_string(line, "\":");
    if (field->text.at) {
        add_text(line, field->text);
    } else if (field->number == LOG_NO_NUMBER) {
        add_string(line, "null");
    } else {
        number = text_of_int64(field->number, digits);
        add(line, number.at, number.length);
    }
    if (line->full)
        line->length = start;
}

void log_event(enum log_level level, const char *message, const struct log_field *fields, int count)
{
    struct line line;
    ssize_t written;

    if (level > most_verbose)
        return;
    line.length = 0;
    line.full = false;
    add_time(&line);
    add_field(&line, &LOG_TEXT("severity", text_from(level_names[level])));
    add_field(&line, &LOG_TEXT("message", text_from(message)));
    for (int i = 0; i < count; i++)
        add_field(&line, &fields[i]);
    memcpy(line.at + line.length, "}\n", CLOSING_BYTES);
    written = write(STDERR_FILENO, line.at, line.length + CLOSING_BYTES);
    (void)written; /* nobody is left to be told */
}
