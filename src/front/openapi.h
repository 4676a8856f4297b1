/* What GET /openapi.json answers: the description of both interfaces that stands beside this file. */
#ifndef INVOICEGATE_FRONT_OPENAPI_H
#define INVOICEGATE_FRONT_OPENAPI_H

#include "base/text.h"

struct text openapi_document(void);

#endif
