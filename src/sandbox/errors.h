// Answers that say no, in the API's form.
#pragma once

#include "sandbox/call.h"

// Any error; replaces what was answered so far. code and param may be NULL.
void call_error(struct call *call, int status, const char *type, const char *code, const char *param,
                const char *format, ...) __attribute__((format(printf, 6, 7)));

// 400 for parameters that are not valid: nothing was executed, nothing is saved under the key.
void call_invalid(struct call *call, const char *code, const char *param, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

// A refusal found while executing: saved under the key.
void call_refuse(struct call *call, int status, const char *code, const char *param, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

// 404 for the object that the path names.
void call_missing(struct call *call, const char *what);
