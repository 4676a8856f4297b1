// Reading a price out of the forms that name one.
#pragma once

#include "sandbox/call.h"

// The price of that id if an invoice may use it; otherwise NULL and the call has its refusal, naming the
// parameter.
const struct price *price_for_invoice(struct call *call, const char *id, const char *param);

// quantity times the price, rounded half up. False when it does not fit.
bool price_amount(const struct price *price, int64_t quantity, int64_t *amount_minor) MUST_CHECK;
