// Fault rules and latencies out of JSON.
#pragma once

#include <json-c/json.h>

#include "sandbox/faults.h"

// A rule from malloc; NULL with the problem told.
struct fault_rule *control_read_rule(json_object *object, struct text *problem) MUST_CHECK;

// Absent members stay as they are; false when one is no number in range.
bool control_read_latency(json_object *object, int64_t *latency_ms, int64_t *jitter_ms) MUST_CHECK;
