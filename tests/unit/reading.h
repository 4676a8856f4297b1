/* Objects read for a test: each in memory of its own, so that the sanitizers see whoever outlives it. */
#ifndef INVOICEGATE_TESTS_READING_H
#define INVOICEGATE_TESTS_READING_H

#include "flow/object.h"

/* None when the text is no JSON object. Whatever is told must be freed. */
struct object reading_of(struct text body);
void reading_free(struct object object);

#endif
