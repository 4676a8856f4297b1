/* What the fuzz targets share. A target's input is what a stranger sends; a broken promise aborts. */
#ifndef INVOICEGATE_TESTS_FUZZ_H
#define INVOICEGATE_TESTS_FUZZ_H

#include <stdint.h>

#include "base/arena.h"
#include "front/request.h"

/* A key of the right form. */
#define FUZZ_KEY "igk_live_0123456789ABCDEFGHIJabcdefghij47pEPA"
#define FUZZ_DIGEST_KEY TEXT("digest key")

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The part of *rest before the separator, which is taken away with it; everything where there is none. */
struct text fuzz_take(struct text *rest, struct text separator);
/* A copy that is as long as it says, so that the sanitizers see whoever reads behind it. The caller frees it.
 * An absent text stays absent. */
struct text fuzz_exact(struct text text);

/* Reads the request twice: it must say the same both times, and its refusal must be one that can be told. */
void fuzz_request(const struct request_rules *rules, const struct http_request *http);

#endif
