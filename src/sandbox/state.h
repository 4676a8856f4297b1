// The state file: every call that was executed and can change something, in order. Reading it executes them
// again with the same clock and the same random numbers, which makes the same objects and the same saved
// answers.
#pragma once

#include "sandbox/api.h"

struct state {
    const char *path;
    int fd; // -1 without a file
    struct text record;
};

// Opens the file, executes what is in it and cuts off a record that was not finished. False with a line on
// standard error.
bool state_open(struct state *state, const char *path, struct call *scratch, struct store *store) MUST_CHECK;

// Before the answer is sent. A file that cannot be written ends the program: what was answered would be lost.
// random is what the call's generator started with.
void state_add_call(struct state *state, const struct call *call, uint64_t random, const char *body,
                    size_t body_len);
void state_add_forget_keys(struct state *state);
void state_empty(struct state *state);
void state_close(struct state *state);
