// What all list calls have in common: pages, newest first.
#pragma once

#include "sandbox/call.h"

// Does the object belong into the list that the call asks for?
typedef bool list_filter(const struct call *call, const void *object);

struct listing {
    const struct list *objects; // oldest first
    const struct table *table;  // to find starting_after and ending_before
    enum shape shape;
    list_filter *filter;
    const char *url;
    const char *noun;
};

// Answers the page.
void list_answer(struct call *call, const struct listing *listing);

// Does a time pass the call's created filters?
bool list_created_fits(const struct call *call, int64_t created_s);

// Is the parameter absent or equal to the value (NULL equals nothing)?
bool list_equals(const struct call *call, const char *name, const char *value);
bool list_equals_bool(const struct call *call, const char *name, bool value);
