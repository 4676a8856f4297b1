#include "ctl/say.h"

#include <stdarg.h>
#include <stdio.h>

#include "ctl/clean.h"

#define LINE_BYTES 2048

__attribute__((format(printf, 2, 0))) static void say(const char *prefix, const char *format, va_list values)
{
    char line[LINE_BYTES];
    vsnprintf(line, sizeof(line), format, values);
    fputs(prefix, stderr);
    clean_put(stderr, text_from(line));
    fputc('\n', stderr);
}

void say_error(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    say("invoicegatectl: ", format, values);
    va_end(values);
}

void say_note(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    say("", format, values);
    va_end(values);
}
