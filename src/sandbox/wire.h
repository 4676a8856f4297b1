// How answers leave: at once, late, cut, dripping, endless, or not at all.
#pragma once

#include "sandbox/sandbox.h"

// What libevent is told about an answer that does not go out at once.
struct wire_plan {
    enum wire_how how;
    int status;
    int64_t delay_ms; // before it begins
    int64_t step_ms;  // between two pieces (WIRE_DRIP)
    int64_t bytes;    // of a piece, of the cut answer, of the endless one; -1: a default
};

// Headers are set already. body is copied. The request must not be touched afterwards.
void wire_send(struct sandbox *sandbox, struct evhttp_request *request, const struct text *body,
               struct wire_plan plan);

// Gives up what is under way, before the server is freed.
void wire_drop_all(struct sandbox *sandbox);
