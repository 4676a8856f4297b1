// Which parameters an endpoint takes, and the check of a form against that.
#pragma once

#include "sandbox/call.h"

extern const struct param PARAMS_NONE[];
extern const struct param PARAMS_READ[];
extern const struct param PARAMS_PRODUCT_CREATE[];
extern const struct param PARAMS_PRODUCT_UPDATE[];
extern const struct param PARAMS_PRODUCT_LIST[];
extern const struct param PARAMS_PRICE_CREATE[];
extern const struct param PARAMS_PRICE_UPDATE[];
extern const struct param PARAMS_PRICE_LIST[];
extern const struct param PARAMS_CUSTOMER_CREATE[];
extern const struct param PARAMS_CUSTOMER_LIST[];
extern const struct param PARAMS_INVOICE_CREATE[];
extern const struct param PARAMS_INVOICE_UPDATE[];
extern const struct param PARAMS_INVOICE_LIST[];
extern const struct param PARAMS_INVOICE_FINALIZE[];
extern const struct param PARAMS_INVOICE_PAY[];
extern const struct param PARAMS_LINES_ADD[];
extern const struct param PARAMS_LINES_LIST[];
extern const struct param PARAMS_ITEM_CREATE[];
extern const struct param PARAMS_ITEM_LIST[];

// False when the form does not fit; the call then has its 400.
bool params_check(struct call *call, const struct param *params) MUST_CHECK;

// Merges metadata[key]=value of the form into what is there (an empty value removes the key). False with a
// 400 when there would be too many.
bool metadata_merge(struct call *call, const char *prefix, struct metadata *metadata) MUST_CHECK;
